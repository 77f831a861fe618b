//! Host patterns: `all`, `web*`, `web:db`, `web:&eu:!web3`, `~web\d+`, `web[0]`, `web[1:3]`, and `@file` in limits.

use super::hosts::Inventory;
use super::problem::Problem;
use crate::diag::{Diagnostic, Explain, closest};
use crate::value::Span;
use fancy_regex::Regex;
use indexmap::IndexSet;

/// The hosts that a pattern stands for, in the inventory's order.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub hosts: Vec<String>,
    /// Parts of the pattern that match nothing, as warnings; a part that cannot be read, as an error.
    pub diagnostics: Vec<Diagnostic>,
}

impl Inventory {
    /// The hosts of a pattern that was written at `span`.
    pub fn select(&self, pattern: &str, span: Span) -> Selection {
        let mut selector = Selector { inventory: self, span, diagnostics: Vec::new() };
        let hosts = selector.evaluate(terms(pattern));
        Selection { hosts: hosts.into_iter().map(str::to_owned).collect(), diagnostics: selector.diagnostics }
    }

    /// The same within `--limit`, in which `@file` stands for the patterns in that file, one a line.
    pub fn select_within(&self, pattern: &str, span: Span, limit: Option<&str>) -> Selection {
        let mut selection = self.select(pattern, span);
        let Some(limit) = limit else { return selection };
        let mut selector = Selector { inventory: self, span: Span::NOWHERE, diagnostics: Vec::new() };
        let terms = selector.with_files(terms(limit));
        let within = selector.evaluate(terms);
        selection.hosts.retain(|host| within.contains(host.as_str()));
        selection.diagnostics.extend(selector.diagnostics);
        selection
    }
}

/// The parts between commas, or else between colons; brackets and IPv6 addresses stay whole.
fn terms(pattern: &str) -> Vec<String> {
    let mut terms = match pattern.contains(',') {
        true => pattern.split(',').map(|term| term.trim().to_owned()).collect(),
        false => split_colons(pattern),
    };
    terms.retain(|term| !term.is_empty());
    terms
}

fn split_colons(pattern: &str) -> Vec<String> {
    let pattern = pattern.trim();
    let bare = pattern.trim_start_matches(['!', '&']);
    if bare.parse::<std::net::Ipv6Addr>().is_ok() || bare.starts_with('@') {
        return vec![pattern.to_owned()];
    }
    let mut parts = vec![String::new()];
    let mut depth = 0_usize;
    for letter in pattern.chars() {
        match letter {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if letter == ':' && depth == 0 {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

struct Selector<'a> {
    inventory: &'a Inventory,
    span: Span,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Selector<'a> {
    /// Plain parts first, then `&`, then `!`, wherever they stand.
    fn evaluate(&mut self, terms: Vec<String>) -> IndexSet<&'a str> {
        let (special, plain): (Vec<_>, Vec<_>) = terms.into_iter().partition(|term| term.starts_with(['&', '!']));
        let plain = if plain.is_empty() && !special.is_empty() { vec!["all".to_owned()] } else { plain };
        let mut hosts: IndexSet<&str> = plain.iter().flat_map(|term| self.hosts_of_term(term)).collect();
        for term in special.iter().filter_map(|term| term.strip_prefix('&')) {
            let others: IndexSet<&str> = self.hosts_of_term(term).into_iter().collect();
            hosts.retain(|host| others.contains(host));
        }
        for term in special.iter().filter_map(|term| term.strip_prefix('!')) {
            let others: IndexSet<&str> = self.hosts_of_term(term).into_iter().collect();
            hosts.retain(|host| !others.contains(host));
        }
        hosts
    }

    fn with_files(&mut self, terms: Vec<String>) -> Vec<String> {
        let mut all = Vec::new();
        for term in terms {
            let Some(path) = term.strip_prefix('@') else {
                all.push(term);
                continue;
            };
            match std::fs::read_to_string(path) {
                Ok(text) => all.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).flat_map(self::terms)),
                Err(error) => self.report(&Problem::Unreadable { path: path.into(), why: error.to_string() }),
            }
        }
        all
    }

    fn report(&mut self, problem: &Problem) {
        self.diagnostics.push(problem.explain());
    }

    fn hosts_of_term(&mut self, term: &str) -> Vec<&'a str> {
        let (name, subscript) = subscript(term);
        let hosts = self.matches(name);
        match subscript {
            None => hosts,
            Some((first, last)) => part(&hosts, first, last),
        }
    }

    /// Groups of that name, and hosts where no group has it or the name is a pattern.
    fn matches(&mut self, name: &str) -> Vec<&'a str> {
        let inventory = self.inventory;
        let Some(matcher) = self.matcher(name) else { return Vec::new() };
        let groups: Vec<&str> = inventory.groups.keys().map(String::as_str).filter(|group| matcher.fits(group)).collect();
        let mut hosts: IndexSet<&str> = groups.iter().flat_map(|group| inventory.hosts_of(group)).collect();
        if groups.is_empty() || name.starts_with('~') || name.contains(['.', '?', '*', '[']) {
            hosts.extend(inventory.hosts.keys().map(String::as_str).filter(|host| matcher.fits(host)));
        }
        let localhost = inventory.localhosts.iter().find(|host| host.name == name);
        if let Some(localhost) = localhost.filter(|_| hosts.is_empty()) {
            return vec![&localhost.name];
        }
        if hosts.is_empty() && groups.is_empty() {
            let names = inventory.groups.keys().chain(inventory.hosts.keys()).map(String::as_str);
            let near = closest(name, names).map(str::to_owned);
            self.report(&Problem::UnknownPattern { span: self.span, pattern: name.to_owned(), near });
        }
        hosts.into_iter().collect()
    }

    fn matcher(&mut self, name: &str) -> Option<Matcher> {
        let Some(expression) = name.strip_prefix('~') else { return Some(Matcher::Glob(name.chars().collect())) };
        match Regex::new(&format!("^(?:{expression})")) {
            Ok(regex) => Some(Matcher::Regex(Box::new(regex))),
            Err(error) => {
                self.report(&Problem::BadPattern { span: self.span, pattern: name.to_owned(), why: error.to_string() });
                None
            }
        }
    }
}

enum Matcher {
    Glob(Vec<char>),
    /// From the start of the name, as far as it goes.
    Regex(Box<Regex>),
}

impl Matcher {
    fn fits(&self, name: &str) -> bool {
        match self {
            Matcher::Glob(pattern) => glob(pattern, &name.chars().collect::<Vec<_>>()),
            Matcher::Regex(regex) => regex.is_match(name).unwrap_or(false),
        }
    }
}

/// `*`, `?`, `[abc]`, `[!abc]`, `[a-z]`, over the whole name.
fn glob(pattern: &[char], name: &[char]) -> bool {
    let (mut at, mut place) = (0, 0);
    let mut star = None;
    while place < name.len() {
        if pattern.get(at) == Some(&'*') {
            star = Some((at, place));
            at += 1;
        } else if let Some(length) = pattern.get(at..).and_then(|rest| one(rest, name[place])) {
            at += length;
            place += 1;
        } else if let Some((star_at, star_place)) = star {
            at = star_at + 1;
            place = star_place + 1;
            star = Some((star_at, place));
        } else {
            return false;
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|letter| *letter == '*')
}

/// How much of the pattern fits one letter.
fn one(pattern: &[char], letter: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match class(pattern, letter) {
            Some((length, fits)) => fits.then_some(length),
            None => (letter == '[').then_some(1),
        },
        same => (*same == letter).then_some(1),
    }
}

/// The length of the class at the start, and whether the letter is in it; none if it has no end.
fn class(pattern: &[char], letter: char) -> Option<(usize, bool)> {
    let is_negated = pattern.get(1) == Some(&'!');
    let first = if is_negated { 2 } else { 1 };
    let end = pattern.iter().skip(first + 1).position(|letter| *letter == ']')? + first + 1;
    let members = pattern.get(first..end)?;
    let mut fits = false;
    let mut at = 0;
    while let Some(low) = members.get(at) {
        match (members.get(at + 1), members.get(at + 2)) {
            (Some('-'), Some(high)) => {
                fits |= (*low..=*high).contains(&letter);
                at += 3;
            }
            _ => {
                fits |= *low == letter;
                at += 1;
            }
        }
    }
    Some((end + 1, fits != is_negated))
}

/// `web[0]`, `web[-1]`, `web[1:3]` (with the last), `web[1:]`.
fn subscript(term: &str) -> (&str, Option<(i64, Option<i64>)>) {
    let none = (term, None);
    let Some((name, inner)) = term.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) else { return none };
    if name.is_empty() || term.starts_with('~') {
        return none;
    }
    if let Some(index) = inner.strip_prefix('-').map_or_else(|| number(inner), |rest| number(rest).map(|index| -index)) {
        return (name, Some((index, Some(index))));
    }
    let Some((first, last)) = inner.split_once(':').or_else(|| inner.split_once('-')) else { return none };
    match (number(first), number(last)) {
        (Some(first), Some(last)) => (name, Some((first, Some(last)))),
        (Some(first), None) if last.is_empty() => (name, Some((first, None))),
        _ => none,
    }
}

fn number(text: &str) -> Option<i64> {
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok())?
}

fn part<'a>(hosts: &[&'a str], first: i64, last: Option<i64>) -> Vec<&'a str> {
    let count = i64::try_from(hosts.len()).unwrap_or(i64::MAX);
    let from_start = |index: i64| if index < 0 { index + count } else { index };
    let (first, last) = (from_start(first), last.map_or(count - 1, from_start).min(count - 1));
    let (Ok(first), Ok(last)) = (usize::try_from(first), usize::try_from(last)) else { return Vec::new() };
    hosts.get(first..=last).map(<[&str]>::to_vec).unwrap_or_default()
}
