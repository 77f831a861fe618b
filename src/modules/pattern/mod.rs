//! Python's regular expressions, for both sides.
//!
//! Main type: [`Pattern`]. Users write patterns for Python's `re`, with look-around, back references and its own corner cases
//! (`$` before a last newline, `\Z`, `{,3}`, `[[]`); a regex crate reads them differently, and would be a third of the host
//! program. Matching is backtracking with memory: the same answer as Python's, in linear time unless back references are used;
//! those give up with an error instead of running for ever. Start reading at `parse.rs`, then `matching.rs`.

mod matching;
mod parse;
mod program;

use program::Program;
use std::ops::Range;

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub struct Pattern {
    program: Program,
}

/// How a pattern is read, beside what it says itself with `(?i)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    pub ignore_case: bool,
    /// `^` and `$` at every line.
    pub multi_line: bool,
    /// `.` matches a newline too.
    pub dot_all: bool,
    /// Spaces and comments in the pattern do not count.
    pub verbose: bool,
}

/// Where a pattern was found, and its groups.
#[derive(Clone, Debug, PartialEq)]
pub struct Match<'p, 't> {
    pattern: &'p Pattern,
    text: &'t str,
    groups: Vec<Option<Range<usize>>>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        std::ptr::eq(self, other)
    }
}

/// Why a pattern cannot be used: not one that Python knows, or one that takes too long on this text.
pub type Problem = String;

impl Pattern {
    pub fn new(text: &str) -> Result<Pattern, Problem> {
        Pattern::with(text, Flags::default())
    }

    pub fn with(text: &str, flags: Flags) -> Result<Pattern, Problem> {
        let program = parse::parse(text, flags).and_then(|parsed| Program::of(&parsed));
        program.map(|program| Pattern { program }).map_err(|problem| format!("bad regular expression `{text}`: {problem}"))
    }

    /// As `re.search`: anywhere in the text.
    pub fn is_match(&self, text: &str) -> Result<bool, Problem> {
        self.find(text).map(|found| found.is_some())
    }

    pub fn find<'t>(&self, text: &'t str) -> Result<Option<Match<'_, 't>>, Problem> {
        self.find_from(text, 0)
    }

    /// The first match that begins at byte `from` or later; what is before it is still seen by `^` and look-behind.
    pub fn find_from<'t>(&self, text: &'t str, from: usize) -> Result<Option<Match<'_, 't>>, Problem> {
        let groups = matching::search(&self.program, text, from, false)?;
        Ok(groups.map(|groups| Match { pattern: self, text, groups }))
    }

    /// As `re.match`: at the beginning of the text.
    pub fn find_at_start<'t>(&self, text: &'t str) -> Result<Option<Match<'_, 't>>, Problem> {
        let groups = matching::search(&self.program, text, 0, true)?;
        Ok(groups.map(|groups| Match { pattern: self, text, groups }))
    }

    /// As `re.finditer`: all that do not overlap; an empty one also right behind another.
    pub fn find_all<'t>(&self, text: &'t str) -> Result<Vec<Match<'_, 't>>, Problem> {
        let mut found: Vec<Match<'_, 't>> = Vec::new();
        let mut from = 0;
        while from <= text.len() {
            let Some(one) = self.find_from(text, from)? else { break };
            let range = one.range();
            // After a match nothing empty is found at its end twice.
            from =
                if range.is_empty() { range.end + text[range.end..].chars().next().map_or(1, char::len_utf8) } else { range.end };
            found.push(one);
        }
        Ok(found)
    }

    /// As `re.subn`: the new text and how often it was found. `\1`, `\g<1>` and `\g<name>` stand for groups.
    pub fn replace(&self, text: &str, template: &str, count: usize) -> Result<(String, usize), Problem> {
        // A bad template is one even where nothing is found.
        Match { pattern: self, text: "", groups: vec![None; self.program.groups] }.expand(template)?;
        let mut out = String::new();
        let mut at = 0;
        let mut times = 0;
        for one in self.find_all(text)? {
            if count != 0 && times == count {
                break;
            }
            out.push_str(&text[at..one.range().start]);
            out.push_str(&one.expand(template)?);
            at = one.range().end;
            times += 1;
        }
        out.push_str(&text[at..]);
        Ok((out, times))
    }

    /// How many groups it has, not counting the whole.
    pub fn group_count(&self) -> usize {
        self.program.groups - 1
    }

    /// Named groups and their numbers.
    pub fn names(&self) -> &[(String, usize)] {
        &self.program.names
    }
}

impl<'t> Match<'_, 't> {
    /// Where in the text the whole match is.
    pub fn range(&self) -> Range<usize> {
        self.groups.first().cloned().flatten().unwrap_or_default()
    }

    pub fn as_str(&self) -> &'t str {
        &self.text[self.range()]
    }

    /// A group's text; group 0 is the whole. `None` where it took no part.
    pub fn group(&self, number: usize) -> Option<&'t str> {
        self.groups.get(number).cloned().flatten().map(|range| &self.text[range])
    }

    pub fn named(&self, name: &str) -> Option<&'t str> {
        self.group(self.number_of(name)?)
    }

    /// Where in the text a named group is.
    pub fn named_range(&self, name: &str) -> Option<Range<usize>> {
        self.groups.get(self.number_of(name)?).cloned().flatten()
    }

    fn number_of(&self, name: &str) -> Option<usize> {
        self.pattern.names().iter().find(|(known, _)| known == name).map(|(_, number)| *number)
    }

    /// A replacement text with its groups filled in, as `Match.expand`.
    pub fn expand(&self, template: &str) -> Result<String, Problem> {
        let mut out = String::new();
        let mut rest = template;
        while let Some(at) = rest.find('\\') {
            out.push_str(&rest[..at]);
            rest = self.escape(&rest[at + 1..], &mut out)?;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// What stands behind a backslash; the rest of the template.
    fn escape<'s>(&self, rest: &'s str, out: &mut String) -> Result<&'s str, Problem> {
        let Some(c) = rest.chars().next() else { return Err("bad escape (end of pattern)".to_owned()) };
        let after = &rest[c.len_utf8()..];
        if c == 'g' {
            let (name, after) = after.strip_prefix('<').and_then(|rest| rest.split_once('>')).ok_or("missing group name")?;
            let number =
                name.parse().ok().or_else(|| self.number_of(name)).ok_or_else(|| format!("unknown group name '{name}'"))?;
            out.push_str(self.filled(number)?);
            return Ok(after);
        }
        if c.is_ascii_digit() && c != '0' {
            let width = 1 + usize::from(after.starts_with(|c: char| c.is_ascii_digit()));
            out.push_str(self.filled(rest[..width].parse().unwrap_or_default())?);
            return Ok(&rest[width..]);
        }
        match c {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'a' => out.push('\x07'),
            'f' => out.push('\x0c'),
            'v' => out.push('\x0b'),
            '0' => out.push('\0'),
            '\\' => out.push('\\'),
            c if c.is_ascii_alphabetic() => return Err(format!("bad escape \\{c}")),
            c => out.extend(['\\', c]),
        }
        Ok(after)
    }

    fn filled(&self, number: usize) -> Result<&'t str, Problem> {
        if number >= self.groups.len() {
            return Err(format!("invalid group reference {number}"));
        }
        Ok(self.group(number).unwrap_or_default())
    }
}

/// A text as a pattern that matches just it, as `re.escape`.
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if "()[]{}?*+-|^$\\.&~# \t\n\r\x0b\x0c".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(pattern: &str, text: &str) -> Option<Vec<Option<String>>> {
        let pattern = Pattern::new(pattern).unwrap();
        let found = pattern.find(text).unwrap()?;
        Some((0..=pattern.group_count()).map(|at| found.group(at).map(str::to_owned)).collect())
    }

    fn whole(pattern: &str, text: &str) -> Option<String> {
        groups(pattern, text)?.swap_remove(0)
    }

    #[test]
    fn patterns_find_what_python_finds() {
        for (pattern, text, found) in [
            ("a+?", "aaa", "a"),
            ("a{,2}", "aaa", "aa"),
            ("a{2}", "aaa", "aa"),
            ("a{x}", "a{x}", "a{x}"),
            ("(a|ab)(c|bcd)", "abcd", "abcd"),
            ("^b", "a\nb", "-"),
            ("(?m)^b", "a\nb", "b"),
            ("b$", "ab\n", "b"),
            (r"b\Z", "ab\n", "-"),
            (r"\Aa.c", "a\nc", "-"),
            ("(?s)a.c", "a\nc", "a\nc"),
            ("(?i)straße|ABC", "xabc", "abc"),
            ("(?i:A)b", "ab", "ab"),
            (r"\bfoo\b", "a foo b", "foo"),
            (r"\d+\s\w+", "x 42 größe!", "42 größe"),
            ("[[]x[]]", "[x]", "[x]"),
            ("[^a-c]+", "abxyz", "xyz"),
            (r"[\w.-]+@", "me.x-y@h", "me.x-y@"),
            ("[a&&b]+", "a&b", "a&b"),
            ("(?<=a)b", "bab", "b"),
            ("(?<!a)b", "abcb", "b"),
            ("a(?=b)", "acab", "a"),
            ("a(?!b)", "abac", "a"),
            (r"(.)\1", "abccd", "cc"),
            (r"(?P<q>['\x22]).*?(?P=q)", "x='1\"' y", "'1\"'"),
            ("(?x) a  b # comment\n c", "abc", "abc"),
            ("(a*)*b", "aab", "aab"),
            ("(?:a|b)*?c", "abac", "abac"),
            (r"a\.b\-c\/d", "a.b-c/d", "a.b-c/d"),
            ("x*", "aaa", ""),
            ("(?>a+)b", "aab", "aab"),
            ("a++a", "aaa", "-"),
            ("(a)?b(?(1)c|d)", "bd", "bd"),
            ("(a)?b(?(1)c|d)", "abc", "abc"),
            (r"^\s*#?\s*PermitRootLogin\b.*$", "#PermitRootLogin yes\n", "#PermitRootLogin yes"),
        ] {
            let wanted = (found != "-").then(|| found.to_owned());
            assert_eq!(whole(pattern, text), wanted, "{pattern:?} on {text:?}");
        }
    }

    #[test]
    fn groups_hold_what_they_matched_last() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(groups("(?:(a)|b)*", "ab"), Some(vec![some("ab"), some("a")]));
        assert_eq!(groups("(a)|(b)", "b"), Some(vec![some("b"), None, some("b")]));
        assert_eq!(groups("(a|(b))+", "ba"), Some(vec![some("ba"), some("a"), some("b")]));
    }

    #[test]
    fn replacing_follows_python() {
        let sub =
            |pattern: &str, template: &str, text: &str| Pattern::new(pattern).unwrap().replace(text, template, 0).unwrap().0;
        assert_eq!(sub("(b)(?P<x>c)", r"<\2\g<1>\g<x>\\>", "abcd"), "a<cbc\\>d");
        assert_eq!(sub("x*", "-", "abxd"), "-a-b--d-");
        assert_eq!(sub("(a)|b", r"[\1]", "ab"), "[a][]");
        assert_eq!(sub("", "-", "ß"), "-ß-");
        assert!(Pattern::new("a").unwrap().replace("a", r"\1", 0).is_err());
        assert!(Pattern::new("a").unwrap().replace("a", r"\q", 0).is_err());
        assert_eq!(Pattern::new("a").unwrap().replace("aaa", "b", 2).unwrap(), ("bba".to_owned(), 2));
    }

    #[test]
    fn what_python_refuses_is_refused() {
        for bad in [
            "(",
            ")",
            "[",
            "a**",
            "*a",
            "a{2,1}",
            r"\h",
            "(?P<1>a)",
            "(?P<a>x)(?P<a>y)",
            r"\2(a)",
            "(?<=a*)b",
            "[b-a]",
            "(?z)",
            "a\\",
            "(?P=x)",
        ] {
            assert!(Pattern::new(bad).is_err(), "{bad}");
        }
        assert!(Pattern::new(&"(".repeat(10_000)).is_err());
        assert!(Pattern::new("((a{1000}){1000}){1000}").is_err());
    }

    #[test]
    fn no_pattern_runs_for_ever() {
        let text = "a".repeat(5_000);
        assert!(!Pattern::new("(a+)+$b").unwrap().is_match(&text).unwrap());
        assert!(!Pattern::new("(a|a)*b").unwrap().is_match(&text).unwrap());
        let long = "a b ".repeat(50_000) + "end";
        assert!(Pattern::new("(?:(?!end).)*end").unwrap().is_match(&long).unwrap());
        assert!(Pattern::new(r"(a+)+\1(a+)+\2b").unwrap().is_match(&text).is_err());
    }

    #[test]
    fn an_escaped_text_matches_itself() {
        let text = "a.b*c[d]\\ {1} ^$ #~&-";
        assert_eq!(whole(&escape(text), text).as_deref(), Some(text));
    }
}
