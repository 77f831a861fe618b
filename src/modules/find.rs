//! `find`: files of the host by name, size, age, mode and contents.

use super::pattern::{Flags, Pattern};
use super::stat::describe;
use super::{Arg, Args, Failure, Kind, Look, Module, Plan, Stat, encoding, finish_plainly, glob, paths};
use crate::value::{Map, Value};

pub(super) static MODULE: Module = Module {
    name: "find",
    collection: "ansible.builtin",
    summary: "find files by name, size, age and contents",
    args: &[&[
        Arg::new("paths", Kind::List, "directories to search").aliases(&["name", "path"]).required(),
        Arg::new("patterns", Kind::List, "names must match one of these").aliases(&["pattern"]),
        Arg::new("excludes", Kind::List, "names must match none of these").aliases(&["exclude"]),
        Arg::new("contains", Kind::Str, "a line of the file must match, from its beginning"),
        Arg::new("read_whole_file", Kind::Bool, "`contains` is looked for anywhere in the whole file").default("no"),
        Arg::new("file_type", Kind::Str, "what to find").choices(&["any", "directory", "file", "link"]).default("file"),
        Arg::new("recurse", Kind::Bool, "search directories in directories").default("no"),
        Arg::new("depth", Kind::Int, "how deep"),
        Arg::new("size", Kind::Str, "at least this big, or with `-` at most; b, k, m, g, t"),
        Arg::new("age", Kind::Str, "at least this old, or with `-` at most; s, m, h, d, w"),
        Arg::new("age_stamp", Kind::Str, "which time counts").choices(&["atime", "ctime", "mtime"]).default("mtime"),
        Arg::new("hidden", Kind::Bool, "names that begin with a dot too").default("no"),
        Arg::new("mode", Kind::Raw, "permissions"),
        Arg::new("exact_mode", Kind::Bool, "exactly these permissions, not at least").default("yes"),
        Arg::new("follow", Kind::Bool, "search what links point to").default("no"),
        Arg::new("get_checksum", Kind::Bool, "return checksums").default("no"),
        Arg::new("checksum_algorithm", Kind::Str, "how to compute them")
            .aliases(&["checksum", "checksum_algo"])
            .choices(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"])
            .default("sha1"),
        Arg::new("use_regex", Kind::Bool, "patterns are regular expressions").default("no"),
        Arg::new("limit", Kind::Int, "stop after so many"),
        Arg::new("encoding", Kind::Str, "how the searched files are written"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// Names by shell pattern or regular expression.
enum Names {
    Globs(Vec<String>),
    Patterns(Vec<Pattern>),
}

impl Names {
    fn of(args: &Args, key: &str) -> Result<Names, Failure> {
        let texts: Vec<String> = args.list(key).into_iter().filter(|text| !text.is_empty()).collect();
        if !args.bool("use_regex") {
            return Ok(Names::Globs(texts));
        }
        let patterns = texts.iter().map(|text| Pattern::new(text)).collect::<Result<_, _>>();
        patterns.map(Names::Patterns).map_err(Failure::new)
    }

    fn is_empty(&self) -> bool {
        match self {
            Names::Globs(all) => all.is_empty(),
            Names::Patterns(all) => all.is_empty(),
        }
    }

    fn matches(&self, name: &str) -> Result<bool, Failure> {
        match self {
            Names::Globs(all) => Ok(all.iter().any(|pattern| glob::is_match(pattern, name))),
            Names::Patterns(all) => {
                let found = all.iter().map(|pattern| pattern.find_at_start(name).map(|found| found.is_some()));
                found.collect::<Result<Vec<_>, _>>().map(|found| found.contains(&true)).map_err(Failure::new)
            }
        }
    }
}

struct Search<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    patterns: Names,
    excludes: Names,
    contains: Option<Pattern>,
    /// Seconds or bytes; negative ones mean "at most".
    age: Option<i64>,
    size: Option<i64>,
    now: f64,
    files: Vec<Value>,
    examined: usize,
    skipped: Map,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let number = |name: &'static str, units: &[(char, i64)]| {
        let Some(text) = args.str(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        amount(text, units).map(Some).ok_or_else(|| Failure::new(format!("failed to process {name}")).with(name, text))
    };
    let flags = Flags { ..Flags::default() };
    let contains = args.str("contains").map(|text| Pattern::with(text, flags).map_err(Failure::new)).transpose()?;
    let mut search = Search {
        args,
        look,
        patterns: Names::of(args, "patterns")?,
        excludes: Names::of(args, "excludes")?,
        contains,
        age: number("age", &[('s', 1), ('m', 60), ('h', 3600), ('d', 86400), ('w', 604_800)])?,
        size: number("size", &[('b', 1), ('k', 1 << 10), ('m', 1 << 20), ('g', 1 << 30), ('t', 1 << 40)])?,
        now: look.now(),
        files: Vec::new(),
        examined: 0,
        skipped: Map::new(),
    };
    for path in args.list("paths") {
        let path = super::expand::path(look, &path);
        search.top(&path);
    }
    let mut plan = Plan::default();
    let msg = if search.skipped.is_empty() { "All paths examined" } else { "Not all paths examined, check warnings for details" };
    plan.set("files", search.files.clone()).set("matched", search.files.len()).set("examined", search.examined);
    plan.set("msg", if search.is_full() { "Limit of matches reached" } else { msg }).set("skipped_paths", search.skipped);
    Ok(plan)
}

fn amount(text: &str, units: &[(char, i64)]) -> Option<i64> {
    let last = text.chars().last()?.to_ascii_lowercase();
    let (number, unit) = match units.iter().find(|(name, _)| *name == last) {
        Some((_, unit)) => (&text[..text.len() - 1], *unit),
        None => (text, 1),
    };
    number.trim().parse::<i64>().ok()?.checked_mul(unit)
}

impl Search<'_> {
    fn is_full(&self) -> bool {
        self.args.int("limit").is_some_and(|limit| i64::try_from(self.files.len()).is_ok_and(|found| found >= limit))
    }

    fn top(&mut self, path: &str) {
        let problem = match self.look.stat(path, true) {
            Ok(Some(found)) if found.kind == "directory" => self.directory(path, 1).err().map(|failure| failure.msg),
            Ok(_) => Some(format!("'{path}' is not a directory")),
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = problem {
            self.skipped.insert(path.into(), problem.into());
        }
    }

    fn directory(&mut self, dir: &str, level: i64) -> Result<(), Failure> {
        let names = match self.look.list(dir) {
            Ok(names) => names,
            Err(error) => {
                self.skipped.insert(dir.into(), format!("{error}: '{dir}'").into());
                return Ok(());
            }
        };
        let mut inner = Vec::new();
        for name in names {
            let path = paths::join(dir, &name);
            let Ok(Some(found)) = self.look.stat(&path, false) else { continue };
            let target = (found.kind == "link").then(|| self.look.stat(&path, true).ok().flatten()).flatten();
            let is_dir = found.kind == "directory"
                || self.args.bool("follow") && target.as_ref().is_some_and(|target| target.kind == "directory");
            if is_dir {
                inner.push(path.clone());
            }
            self.examined += 1;
            if name.starts_with('.') && !self.args.bool("hidden") {
                continue;
            }
            if self.is_wanted(&name, &path, &found)? {
                self.add(&path, &found);
            }
            if self.is_full() {
                return Ok(());
            }
        }
        let is_deep_enough = self.args.int("depth").is_some_and(|depth| depth > 0 && level >= depth);
        if !self.args.bool("recurse") || level > 400 {
            return Ok(());
        }
        if is_deep_enough {
            // What lies just below counts as examined all the same.
            self.examined += inner.iter().filter_map(|dir| self.look.list(dir).ok()).map(|names| names.len()).sum::<usize>();
            return Ok(());
        }
        for path in inner {
            self.directory(&path, level + 1)?;
            if self.is_full() {
                break;
            }
        }
        Ok(())
    }

    fn is_wanted(&self, name: &str, path: &str, found: &Stat) -> Result<bool, Failure> {
        let kind = self.args.str("file_type").unwrap_or("file");
        if kind != "any" && kind != found.kind {
            return Ok(false);
        }
        if !self.patterns.is_empty() && !self.patterns.matches(name)? || self.excludes.matches(name)? {
            return Ok(false);
        }
        Ok(self.is_of_age(found) && self.is_of_mode(found)? && self.is_of_size(found) && self.has_contents(path, found)?)
    }

    fn is_of_age(&self, found: &Stat) -> bool {
        let time = match self.args.str("age_stamp") {
            Some("atime") => found.atime,
            Some("ctime") => found.ctime,
            _ => found.mtime,
        };
        within(self.age, self.now - time)
    }

    /// Only files have a size that counts.
    fn is_of_size(&self, found: &Stat) -> bool {
        match found.kind.as_str() {
            "directory" | "link" => self.size.is_none(),
            _ => within(self.size, found.size as f64),
        }
    }

    fn is_of_mode(&self, found: &Stat) -> Result<bool, Failure> {
        let Some(wanted) = self.args.get("mode") else { return Ok(true) };
        let mode = super::attrs::mode_of(wanted, found.mode, found.kind == "directory")?.unwrap_or(found.mode);
        Ok(if self.args.bool("exact_mode") { mode == found.mode } else { found.mode & mode == mode })
    }

    fn has_contents(&self, path: &str, found: &Stat) -> Result<bool, Failure> {
        let Some(pattern) = &self.contains else { return Ok(true) };
        if found.kind != "file" {
            return Ok(false);
        }
        let Some(text) = self.text(path)? else { return Ok(false) };
        if self.args.bool("read_whole_file") {
            return pattern.is_match(&text).map_err(Failure::new);
        }
        for line in text.lines() {
            if pattern.find_at_start(line).map_err(Failure::new)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn text(&self, path: &str) -> Result<Option<String>, Failure> {
        let encoding = self.args.str("encoding").unwrap_or("utf-8");
        let Ok(bytes) = self.look.read(path) else { return Ok(None) };
        let text = encoding::decode(self.look, bytes, encoding)?;
        let failed =
            || Failure::new(format!("Failed to read the file {path} due to an encoding error. current encoding: {encoding}"));
        text.map(Some).ok_or_else(failed)
    }

    fn add(&mut self, path: &str, found: &Stat) {
        let mut values = describe(self.look, path, found);
        for name in ["exists", "readable", "writeable", "executable", "blocks", "block_size", "device_type"] {
            values.shift_remove(name);
        }
        if self.args.bool("get_checksum") && found.kind == "file" {
            let algorithm = self.args.str("checksum_algorithm").unwrap_or("sha1");
            values.insert("checksum".into(), self.look.digest(path, algorithm).ok().into());
        }
        self.files.push(values.into());
    }
}

/// At least so much, or at most where it is negative.
fn within(limit: Option<i64>, found: f64) -> bool {
    match limit {
        None => true,
        Some(limit) if limit >= 0 => found >= limit as f64,
        Some(limit) => found <= limit.unsigned_abs() as f64,
    }
}
