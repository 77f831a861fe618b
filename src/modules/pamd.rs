//! `pamd`: a rule in the file of a PAM service.
//!
//! Only the rules that change are written anew; every other line stays as it is.

use super::edit::{TextFile, with_backup};
use super::{Arg, Args, Done, Failure, Kind, Look, Module, Plan, Rule};
use crate::value::Map;

pub(super) static MODULE: Module = Module {
    name: "pamd",
    collection: "community.general",
    summary: "edit the rules of a PAM service",
    args: &[&[
        Arg::new("name", Kind::Str, "the service's file, such as system-auth").required(),
        Arg::new("path", Kind::Path, "where the services' files are").default("/etc/pam.d"),
        Arg::new("type", Kind::Str, "the type of the rule that is meant").choices(TYPES).required(),
        Arg::new("control", Kind::Str, "its control, such as `required` or `[success=1 default=ignore]`").required(),
        Arg::new("module_path", Kind::Str, "its module, such as pam_unix.so").required(),
        Arg::new("new_type", Kind::Str, "the type of the changed or new rule").choices(TYPES),
        Arg::new("new_control", Kind::Str, "its control"),
        Arg::new("new_module_path", Kind::Str, "its module"),
        Arg::new("module_arguments", Kind::List, "arguments of the module"),
        Arg::new("state", Kind::Str, "what becomes of the rule, or where the new one goes")
            .choices(&["absent", "before", "after", "args_absent", "args_present", "updated"])
            .default("updated"),
        Arg::new("backup", Kind::Bool, "keep a copy of what was there").default("no"),
    ]],
    rules: &[
        Rule::If("state", "args_present", &["module_arguments"]),
        Rule::If("state", "args_absent", &["module_arguments"]),
        Rule::If("state", "before", NEW),
        Rule::If("state", "after", NEW),
    ],
    free_form: None,
    plan,
    finish,
};

const TYPES: &[&str] = &["account", "-account", "auth", "-auth", "password", "-password", "session", "-session"];
const NEW: &[&str] = &["new_control", "new_type", "new_module_path"];
const CONTROLS: &[&str] = &["required", "requisite", "sufficient", "optional", "include", "substack"];
/// What a module may answer, as controls in brackets name it.
const ANSWERS: &[&str] = &[
    "success",
    "open_err",
    "symbol_err",
    "service_err",
    "system_err",
    "buf_err",
    "perm_denied",
    "auth_err",
    "cred_insufficient",
    "authinfo_unavail",
    "user_unknown",
    "maxtries",
    "new_authtok_reqd",
    "acct_expired",
    "session_err",
    "cred_unavail",
    "cred_expired",
    "cred_err",
    "no_module_data",
    "conv_err",
    "authtok_err",
    "authtok_recover_err",
    "authtok_lock_busy",
    "authtok_disable_aging",
    "try_again",
    "ignore",
    "abort",
    "authtok_expired",
    "module_unknown",
    "bad_item",
    "conv_again",
    "incomplete",
    "default",
];
const ACTIONS: &[&str] = &["ignore", "bad", "die", "ok", "done", "reset"];

/// One rule of a service.
#[derive(Clone, Debug, PartialEq)]
struct PamRule {
    kind: String,
    control: String,
    module: String,
    arguments: Vec<String>,
}

/// A line of the file; continued lines are one.
struct Line {
    raw: String,
    /// What is behind `#`.
    comment: String,
    rule: Option<PamRule>,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let path = format!("{}/{}", args.required("path")?.trim_end_matches('/'), args.required("name")?);
    let asked = Asked::of(args)?;
    let file = TextFile::open(look, &path)?;
    if file.found.is_none() {
        return Err(Failure::new(format!(
            "Unable to open/read PAM module file {path}: there is none; `name` says which service is meant, and `path` where its file is"
        )));
    }
    let (lines, count) = asked.applied(read(&file.text));
    let mut plan = Plan::default();
    if count > 0 {
        let after: String = lines.into_iter().map(|line| line.raw).collect();
        file.become_text(args, look, &after, "", &mut plan)?;
        plan.values.shift_remove("msg");
    }
    plan.set("change_count", count).set("backupdest", "");
    Ok(plan)
}

fn finish(_: &Args, values: Map, done: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    Ok(with_backup("backupdest", values, done))
}

/// What a task asks for.
struct Asked<'a> {
    state: &'a str,
    kind: &'a str,
    control: String,
    module: &'a str,
    new_kind: Option<&'a str>,
    new_control: Option<String>,
    new_module: Option<&'a str>,
    arguments: Option<Vec<String>>,
}

impl<'a> Asked<'a> {
    fn of(args: &'a Args) -> Result<Asked<'a>, Failure> {
        let given = |name: &str| args.str(name).filter(|text| !text.is_empty());
        let state = args.required("state")?;
        let is_made = matches!(state, "updated" | "before" | "after");
        let new_control = given("new_control").filter(|_| is_made).map(checked_control).transpose()?;
        let new_module = given("new_module_path").filter(|_| is_made);
        if new_module.is_some_and(|module| module.contains(|c: char| c.is_whitespace() || c == '#')) {
            return Err(Failure::new("new_module_path is one word; `module_arguments` takes what the module is given"));
        }
        Ok(Asked {
            state,
            kind: args.required("type")?,
            control: plain(args.required("control")?),
            module: args.required("module_path")?,
            new_kind: given("new_type").filter(|_| is_made),
            new_control,
            new_module,
            arguments: args.has("module_arguments").then(|| arguments(args)).transpose()?,
        })
    }

    /// The lines as they are to be, and how many rules are not yet.
    fn applied(&self, lines: Vec<Line>) -> (Vec<Line>, usize) {
        match self.state {
            "absent" => {
                let before = lines.len();
                let left: Vec<Line> =
                    lines.into_iter().filter(|line| !line.rule.as_ref().is_some_and(|rule| self.means(rule))).collect();
                let count = before - left.len();
                (left, count)
            }
            "before" | "after" => self.inserted(lines),
            _ => self.edited(lines),
        }
    }

    fn edited(&self, mut lines: Vec<Line>) -> (Vec<Line>, usize) {
        let mut count = 0;
        for line in &mut lines {
            let Some(rule) = line.rule.as_ref().filter(|rule| self.means(rule)) else { continue };
            let after = self.changed(rule);
            if after != *rule {
                line.raw = after.line(&line.comment);
                line.rule = Some(after);
                count += 1;
            }
        }
        (lines, count)
    }

    /// The new rule beside each that is meant, unless such a one is there.
    fn inserted(&self, lines: Vec<Line>) -> (Vec<Line>, usize) {
        let new = PamRule {
            kind: self.new_kind.unwrap_or(self.kind).to_owned(),
            control: self.new_control.clone().unwrap_or_else(|| self.control.clone()),
            module: self.new_module.unwrap_or(self.module).to_owned(),
            arguments: self.arguments.clone().unwrap_or_default(),
        };
        let is_before = self.state == "before";
        let is_lacking = |at: usize, rule: &PamRule| {
            let next = if is_before { neighbour(lines[..at].iter().rev()) } else { neighbour(lines[at + 1..].iter()) };
            self.means(rule) && *rule != new && !next.is_some_and(|next| new.is_like(next))
        };
        let places: Vec<usize> =
            (0..lines.len()).filter(|at| lines[*at].rule.as_ref().is_some_and(|rule| is_lacking(*at, rule))).collect();
        let count = places.len();
        let mut all = Vec::new();
        for (at, mut line) in lines.into_iter().enumerate() {
            let is_here = places.contains(&at);
            let added = || Line { raw: new.line(""), comment: String::new(), rule: Some(new.clone()) };
            if is_here && is_before {
                all.push(added());
            }
            if is_here && !line.raw.ends_with('\n') {
                line.raw.push('\n');
            }
            all.push(line);
            if is_here && !is_before {
                all.push(added());
            }
        }
        (all, count)
    }

    fn means(&self, rule: &PamRule) -> bool {
        rule.kind.eq_ignore_ascii_case(self.kind) && plain(&rule.control) == self.control && rule.module == self.module
    }

    fn changed(&self, rule: &PamRule) -> PamRule {
        let mut after = rule.clone();
        let wanted = self.arguments.as_deref();
        match self.state {
            "args_present" => wanted.unwrap_or_default().iter().for_each(|argument| after.give(argument)),
            "args_absent" => after.arguments.retain(|argument| !wanted.unwrap_or_default().contains(argument)),
            _ => {
                if let Some(new) = self.new_kind.filter(|new| !rule.kind.eq_ignore_ascii_case(new)) {
                    new.clone_into(&mut after.kind);
                }
                if let Some(new) = self.new_control.as_ref().filter(|new| plain(&rule.control) != **new) {
                    after.control.clone_from(new);
                }
                if let Some(new) = self.new_module {
                    new.clone_into(&mut after.module);
                }
                if let Some(wanted) = wanted {
                    wanted.clone_into(&mut after.arguments);
                }
            }
        }
        after
    }
}

/// The nearest rule, where nothing but comments is before it.
fn neighbour<'l>(mut lines: impl Iterator<Item = &'l Line>) -> Option<&'l PamRule> {
    lines.find(|line| line.rule.is_some() || !line.is_empty()).and_then(|line| line.rule.as_ref())
}

fn read(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut raw = String::new();
    for part in text.split_inclusive('\n') {
        raw.push_str(part);
        if !part.trim_end_matches(['\r', '\n']).ends_with('\\') {
            lines.push(Line::of(std::mem::take(&mut raw)));
        }
    }
    if !raw.is_empty() {
        lines.push(Line::of(raw));
    }
    lines
}

impl Line {
    fn of(raw: String) -> Line {
        let whole = raw.replace("\\\r\n", " ").replace("\\\n", " ");
        let whole = whole.trim();
        let (text, comment) = comment_at(whole).map_or((whole, ""), |at| whole.split_at(at));
        Line { rule: PamRule::of(text), comment: comment.to_owned(), raw }
    }

    /// It holds nothing but a comment, if that.
    fn is_empty(&self) -> bool {
        self.raw.trim_start().is_empty() || self.raw.trim_start().starts_with('#')
    }
}

/// Where a comment begins.
fn comment_at(text: &str) -> Option<usize> {
    text.match_indices('#').map(|(at, _)| at).find(|at| !text[..*at].ends_with('\\'))
}

impl PamRule {
    fn of(text: &str) -> Option<PamRule> {
        let mut words = words(text).into_iter();
        let (kind, control, module) = (words.next()?, words.next()?, words.next()?);
        let is_type = TYPES.iter().any(|known| kind.eq_ignore_ascii_case(known));
        is_type.then(|| PamRule { kind, control, module, arguments: words.collect() })
    }

    fn line(&self, comment: &str) -> String {
        let words: Vec<&str> =
            self.arguments.iter().map(String::as_str).chain([comment]).filter(|word| !word.is_empty()).collect();
        let line = format!("{:<10} {} {} {}", self.kind, self.control, self.module, words.join(" "));
        format!("{}\n", line.trim_end())
    }

    /// The same rule, whatever its module is given.
    fn is_like(&self, other: &PamRule) -> bool {
        self.kind.eq_ignore_ascii_case(&other.kind)
            && plain(&self.control) == plain(&other.control)
            && self.module == other.module
    }

    /// An argument with a value takes the place of the one with another value.
    fn give(&mut self, argument: &str) {
        if self.arguments.iter().any(|own| own == argument) {
            return;
        }
        let own = key(argument).and_then(|wanted| self.arguments.iter_mut().find(|own| key(own) == Some(wanted)));
        match own {
            Some(own) => argument.clone_into(own),
            None => self.arguments.push(argument.to_owned()),
        }
    }
}

/// The part before `=`; `>=` is a word of pam_succeed_if and no key.
fn key(argument: &str) -> Option<&str> {
    let (key, _) = argument.split_once('=')?;
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let name = key.strip_prefix('[').unwrap_or(key);
    (!name.is_empty() && name.chars().all(is_name)).then_some(key)
}

/// Words between blanks; what is in brackets is held together.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let size = if first == '[' { closed(rest) } else { None }.unwrap_or(first.len_utf8());
        let (part, after) = rest.split_at(size);
        if first.is_whitespace() {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        } else {
            word.push_str(part);
        }
        rest = after;
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// How far it is to the end of the bracket that the text begins with.
fn closed(text: &str) -> Option<usize> {
    text.match_indices(']').map(|(at, _)| at).find(|at| !text[..*at].ends_with('\\')).map(|at| at + 1)
}

/// A control as it is compared: one blank between the parts of a bracket.
fn plain(control: &str) -> String {
    match control.trim().strip_prefix('[') {
        Some(inner) => format!("[{}]", inner.trim_end_matches(']').split_whitespace().collect::<Vec<_>>().join(" ")),
        None => control.trim().to_owned(),
    }
}

fn arguments(args: &Args) -> Result<Vec<String>, Failure> {
    let words: Vec<String> = args.list("module_arguments").iter().flat_map(|item| words(item)).collect();
    match words.iter().find(|word| word.contains('\n') || comment_at(word).is_some()) {
        Some(word) => Err(Failure::new(format!(
            "`{word}` in module_arguments cannot be written to a PAM file: `#` begins a comment there (write `\\#`), and a rule is one line"
        ))),
        None => Ok(words),
    }
}

/// A control that PAM knows.
fn checked_control(control: &str) -> Result<String, Failure> {
    let wrong = |what: &str, found: &str, known: &[&str]| {
        Failure::new(format!(
            "Rule control{what}, {found}, is not valid in new_control `{control}`; it is one of {}",
            known.join(", ")
        ))
    };
    let Some(inner) = control.trim().strip_prefix('[') else {
        let is_known = CONTROLS.contains(&control.trim());
        return if is_known { Ok(plain(control)) } else { Err(wrong("", control, CONTROLS)) };
    };
    let inner = inner.strip_suffix(']').filter(|inner| !inner.trim().is_empty());
    let inner = inner.ok_or_else(|| Failure::new(format!("new_control `{control}` is not like `[success=1 default=ignore]`")))?;
    for part in inner.split_whitespace() {
        let (answer, action) = part.split_once('=').unwrap_or((part, ""));
        if !ANSWERS.contains(&answer) {
            return Err(wrong(" value", answer, ANSWERS));
        }
        let is_jump = !action.is_empty() && action.bytes().all(|byte| byte.is_ascii_digit());
        if !is_jump && !ACTIONS.contains(&action) {
            return Err(wrong(" action", action, &[ACTIONS, &["a number"]].concat()));
        }
    }
    Ok(plain(control))
}
