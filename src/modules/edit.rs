//! A text file that a module edits: what is there, and the changes to other contents.

use super::attrs::unsafe_writes;
use super::touch::Write;
use super::{Act, Arg, Args, Attrs, Change, Content, Done, Failure, Kind, Look, Plan, Stat, encoding, paths};
use crate::value::{Map, Value, bytes_of, shown_text};

/// What modules that edit a file take beside the file arguments.
pub(super) const EDIT_ARGS: &[Arg] = &[
    Arg::new("backup", Kind::Bool, "keep a copy of what was there").default("no"),
    Arg::new("validate", Kind::Str, "a command with %s that must accept the new file"),
];

const ATTRIBUTES: &str = "ownership, perms or SE linux context changed";

/// For modules that edit any file.
pub(super) const ENCODING: Arg = Arg::new("encoding", Kind::Str, "what the file is written in").default("utf-8");

/// One file, looked at.
pub(super) struct TextFile {
    /// Where its contents are: links are followed.
    pub(super) path: String,
    pub(super) found: Option<Stat>,
    /// Empty where there is no file.
    pub(super) text: String,
    /// Where it is not UTF-8.
    encoding: Option<String>,
}

impl TextFile {
    /// A missing file is one without text; a directory is a failure.
    pub(super) fn open(look: &dyn Look, path: &str) -> Result<TextFile, Failure> {
        let found = look.stat(path, true).map_err(|error| Failure::io(format_args!("cannot look at {path}"), &error))?;
        if found.as_ref().is_some_and(|found| found.kind == "directory") {
            return Err(Failure::new(format!("Path {path} is a directory !")).with("rc", 256));
        }
        let path = if found.is_some() { paths::real(look, path) } else { path.to_owned() };
        let text = look.exact_text(&path).map_err(|error| Failure::io(format_args!("cannot read {path}"), &error))?;
        Ok(TextFile { path, found, text: text.unwrap_or_default(), encoding: None })
    }

    /// As [`TextFile::open`], for a module with [`ENCODING`].
    pub(super) fn open_encoded(look: &dyn Look, path: &str, args: &Args) -> Result<TextFile, Failure> {
        let file = TextFile::open(look, path)?;
        match args.str("encoding") {
            None | Some("utf-8") => Ok(file),
            Some(encoding) => {
                let text = encoding::decode(look, bytes_of(&file.text), encoding)?;
                let wrong =
                    || Failure::new(format!("{path} is not written in {encoding}: `encoding` says what it is written in"));
                Ok(TextFile { text: text.ok_or_else(wrong)?, encoding: Some(encoding.to_owned()), ..file })
            }
        }
    }

    /// As [`TextFile::open`], where a missing file may only be made if the task says so.
    pub(super) fn open_existing(look: &dyn Look, path: &str, create: bool) -> Result<TextFile, Failure> {
        TextFile::open(look, path)?.existing(create)
    }

    pub(super) fn existing(self, create: bool) -> Result<TextFile, Failure> {
        if self.found.is_none() && !create {
            return Err(Failure::new(format!("Path {} does not exist !", self.path)).with("rc", 257));
        }
        Ok(self)
    }

    /// The bytes of a text that is to be in the file.
    fn bytes(&self, look: &dyn Look, text: &str) -> Result<Vec<u8>, Failure> {
        let Some(encoding) = &self.encoding else { return Ok(bytes_of(text)) };
        let lacks = || Failure::new(format!("{} would hold what {encoding} has no bytes for", self.path));
        encoding::encode(look, text, encoding)?.ok_or_else(lacks)
    }

    /// Plans other contents, and the attributes that the arguments ask for. The plan's `msg` says what happens.
    pub(super) fn become_text(
        self,
        args: &Args,
        look: &dyn Look,
        after: &str,
        msg: &str,
        plan: &mut Plan,
    ) -> Result<(), Failure> {
        let wanted = Attrs::wanted(args, look, self.found.as_ref(), false)?;
        let is_same = self.text == after;
        if let Some(found) = self.found.as_ref().filter(|_| is_same) {
            if let Some(change) = wanted.change(look, &self.path, found, true) {
                plan.push(change).set("msg", ATTRIBUTES);
            }
            return Ok(());
        }
        let is_dressed = self.found.as_ref().is_some_and(|found| !wanted.missing_from(found).is_empty());
        plan.set("msg", if is_dressed { format!("{msg} and {ATTRIBUTES}") } else { msg.to_owned() });
        if self.found.is_none() {
            make_parents(look, &self.path, plan);
        }
        let bytes = self.bytes(look, after)?;
        let write = Write {
            attrs: wanted,
            validate: args.str("validate").map(str::to_owned),
            backup: args.bool("backup") && self.found.is_some(),
            unsafe_writes: unsafe_writes(args, look),
            ..Write::new(&self.path, Content::Bytes(bytes))
        };
        let (before, after) = (shown_text(&self.text), shown_text(after));
        plan.push(Change::new(format!("{} (content)", self.path), before.as_ref(), after.as_ref(), Act::Write(write)));
        Ok(())
    }
}

/// A new file may need its directories.
pub(super) fn make_parents(look: &dyn Look, path: &str, plan: &mut Plan) {
    let mut missing = Vec::new();
    let mut at = paths::parent(path);
    while !matches!(at, "/" | ".") && !look.exists(at) {
        missing.push(at);
        at = paths::parent(at);
    }
    for path in missing.into_iter().rev() {
        plan.push(Change::step(path, Act::MakeDir { path: path.to_owned(), attrs: Attrs::default() }));
    }
}

/// The lines of a file, each with its line break.
pub(super) struct Lines {
    pub(super) lines: Vec<String>,
    /// The line break that new lines get.
    pub(super) end: &'static str,
}

impl Lines {
    pub(super) fn of(text: &str) -> Lines {
        let end = if text.split_inclusive('\n').next().is_some_and(|line| line.ends_with("\r\n")) { "\r\n" } else { "\n" };
        Lines { lines: text.split_inclusive('\n').map(str::to_owned).collect(), end }
    }

    pub(super) fn bare(line: &str) -> &str {
        line.trim_end_matches(['\r', '\n'])
    }

    /// The last line may lack its line break; one is added before anything follows it.
    pub(super) fn insert(&mut self, at: usize, line: &str) {
        if at == self.lines.len()
            && let Some(last) = self.lines.last_mut()
            && !last.ends_with('\n')
        {
            last.push_str(self.end);
        }
        self.lines.insert(at, format!("{line}{}", self.end));
    }
}

/// The values of the plan, with the backup's path under `key` where one was made.
pub(super) fn with_backup(key: &str, values: Map, done: &[Done]) -> Map {
    let mut values = values;
    if let Some(path) = done.iter().find_map(|one| one.values.get("backup_file")) {
        values.insert(key.into(), Value::clone(path));
    }
    values
}

/// For modules that return `backup_file` where one was made.
pub(super) fn finish(_: &Args, values: Map, done: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    Ok(with_backup("backup_file", values, done))
}
