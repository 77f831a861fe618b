//! `archive`: files of the host, packed.

use super::attrs::{FILE_ARGS, describe};
use super::{Act, Arg, Args, Attrs, Change, Cmd, Done, Failure, Kind, Look, Module, Output, Plan, finish_plainly, glob, paths};
use crate::value::{Map, Value};

pub(super) static MODULE: Module = Module {
    name: "archive",
    collection: "community.general",
    summary: "pack files and directories",
    args: &[
        FILE_ARGS,
        &[
            Arg::new("path", Kind::List, "files, directories and shell patterns").required(),
            Arg::new("dest", Kind::Path, "the archive"),
            Arg::new("format", Kind::Str, "how to pack").choices(&["bz2", "gz", "tar", "xz", "zip"]).default("gz"),
            Arg::new("exclude_path", Kind::List, "files and directories to leave out"),
            Arg::new("exclusion_patterns", Kind::List, "names to leave out"),
            Arg::new("force_archive", Kind::Bool, "an archive even of a single file").default("no"),
            Arg::new("remove", Kind::Bool, "remove what was packed").default("no"),
        ],
    ],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

struct Task<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    format: &'a str,
    dest: String,
    /// The directory that names in the archive begin at.
    root: String,
    /// What is packed, from `root`.
    members: Vec<String>,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let format = args.str("format").unwrap_or("gz");
    let given: Vec<String> = args.list("path").iter().map(|path| super::expand::path(look, path)).collect();
    let has_pattern = |path: &String| path.contains(['*', '?', '[']);
    let excluded = expanded(look, &args.list("exclude_path"));
    let mut found: Vec<String> =
        expanded(look, &given).into_iter().filter(|path| look.exists(path) && !excluded.contains(path)).collect();
    found.dedup();
    let missing: Vec<&String> = given.iter().filter(|path| !has_pattern(path) && !look.exists(path)).collect();
    let is_single = given.len() == 1 && !given.iter().any(has_pattern);
    let mut plan = Plan::default();
    plan.set("missing", missing.iter().map(|path| Value::from(*path)).collect::<Value>());
    plan.set("expanded_paths", found.clone()).set("expanded_exclude_paths", excluded.clone());
    let Some(first) = found.first() else {
        if args.has("dest") && args.str("dest").is_some_and(|dest| look.exists(dest)) {
            plan.set("dest", args.str("dest"))
                .set("dest_state", "archive")
                .set("state", "archive")
                .set("archived", Vec::<Value>::new());
            return Ok(plan);
        }
        return Err(Failure::new(format!("Error, no source paths were found: {}", given.join(", "))));
    };
    let is_dir = |path: &str| matches!(look.stat(path, true), Ok(Some(found)) if found.kind == "directory");
    let is_file = is_single && !is_dir(first) && !args.bool("force_archive");
    let ending = if is_file || matches!(format, "zip" | "tar") { format.to_owned() } else { format!("tar.{format}") };
    let dest = match args.str("dest") {
        Some(dest) => dest.to_owned(),
        None if is_single => format!("{}.{ending}", first.trim_end_matches('/')),
        None => return Err(Failure::new("Error, must specify \"dest\" when archiving multiple files or trees")),
    };
    if is_dir(&dest) {
        return Err(Failure::new(format!("{dest} is a directory; `dest` names the archive itself")));
    }
    let root = root_of(&found);
    let mut task = Task { args, look, format, dest, root, members: Vec::new() };
    plan.set("arcroot", format!("{}/", task.root.trim_end_matches('/'))).set("dest", task.dest.as_str());
    if is_file && !matches!(format, "zip" | "tar") {
        task.compressed(first, &mut plan)?;
    } else {
        for path in &found {
            task.gather(path, &excluded)?;
        }
        task.packed(&mut plan)?;
    }
    if args.bool("remove") {
        let inside = |path: &str| task.dest.starts_with(&format!("{}/", path.trim_end_matches('/')));
        if let Some(path) = found.iter().find(|path| inside(path)) {
            return Err(Failure::new(format!(
                "Error, created archive can not be contained in source paths when remove=true: {path}"
            )));
        }
        plan.changes.extend(found.iter().map(|path| Change::step(path, Act::Remove { path: path.clone() })));
    }
    Ok(plan)
}

fn expanded(look: &dyn Look, given: &[String]) -> Vec<String> {
    let one = |path: &String| {
        let matches = glob::matches(look, path);
        if matches.is_empty() { vec![path.clone()] } else { matches }
    };
    given.iter().flat_map(one).map(|path| paths::normal(&path)).collect()
}

/// The directory that all are in.
fn root_of(found: &[String]) -> String {
    let mut root = found.first().map(|path| paths::parent(path).to_owned()).unwrap_or_default();
    while !found.iter().all(|path| path.starts_with(&format!("{}/", root.trim_end_matches('/')))) && root != "/" && root != "." {
        root = paths::parent(&root).to_owned();
    }
    root
}

impl Task<'_> {
    fn member(&self, path: &str) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).trim_start_matches('/').to_owned()
    }

    fn gather(&mut self, path: &str, excluded: &[String]) -> Result<(), Failure> {
        let patterns = self.args.list("exclusion_patterns");
        let is_out =
            patterns.iter().any(|pattern| glob::is_match(pattern, path) || glob::is_match(pattern, paths::base_name(path)));
        if path == self.dest || is_out || excluded.iter().any(|other| other == path) {
            return Ok(());
        }
        let found = self.look.stat(path, false).map_err(|error| Failure::io(format_args!("cannot look at {path}"), &error))?;
        self.members.push(self.member(path));
        if found.is_some_and(|found| found.kind == "directory") {
            let names = self.look.list(path).map_err(|error| Failure::io(format_args!("cannot list {path}"), &error))?;
            for name in names {
                self.gather(&paths::join(path, &name), excluded)?;
            }
        }
        Ok(())
    }

    fn packer(&self) -> Result<String, Failure> {
        match self.format {
            "gz" => self.look.require("gzip", "gzip"),
            "bz2" => self.look.require("bzip2", "bzip2"),
            "xz" => self.look.require("xz", "xz-utils"),
            "zip" => self.look.require("zip", "zip"),
            _ => self.look.require("tar", "tar"),
        }
    }

    /// One file, compressed and nothing else.
    fn compressed(&self, path: &str, plan: &mut Plan) -> Result<(), Failure> {
        let packer = self.packer()?;
        plan.set("archived", vec![Value::from(path)]).set("state", "compress").set("dest_state", "compress");
        if self.look.exists(&self.dest) {
            let digest = |argv: [&str; 4]| {
                self.look.run(&Cmd::new(argv)).ok().filter(Output::is_success).map(|output| output.stdout_text())
            };
            let sum = |pipe: &str, file: &str| digest(["sh", "-c", pipe, file]);
            let packed = sum(&format!("{packer} -dc < \"$0\" | sha256sum"), &self.dest);
            if packed.is_some() && packed == sum("sha256sum < \"$0\"", path) {
                return self.dress(plan);
            }
        }
        let line = format!("{packer} -c < \"$0\" > \"$1.roll\" && mv \"$1.roll\" \"$1\"");
        self.make(Cmd::new(["sh", "-c", &line, path, &self.dest]), plan)
    }

    fn packed(&self, plan: &mut Plan) -> Result<(), Failure> {
        let packer = self.packer()?;
        let full = self.members.iter().map(|name| Value::from(paths::join(&self.root, name)));
        plan.set("archived", full.collect::<Value>()).set("state", "archive").set("dest_state", "archive");
        if self.look.exists(&self.dest) && self.is_packed() {
            return self.dress(plan);
        }
        let names: String = self.members.iter().map(|name| format!("{name}\n")).collect();
        let line = if self.format == "zip" {
            format!("rm -f \"$1.roll\"; cd \"$0\" && {packer} -q -y \"$1.roll\" -@ && mv \"$1.roll\" \"$1\"")
        } else {
            let pipe = if self.format == "tar" { String::new() } else { format!(" | {packer} -c") };
            format!("set -e; tar -C \"$0\" --no-recursion -cf - -T -{pipe} > \"$1.roll\"; mv \"$1.roll\" \"$1\"")
        };
        let dest = if self.dest.starts_with('/') { self.dest.clone() } else { paths::join("/", &self.dest) };
        self.make(Cmd::new(["sh", "-c", &line, &self.root, &dest]).stdin(names), plan)
    }

    /// Whether the archive holds just the members, as they are now. Of a `zip` only names and sizes are compared.
    fn is_packed(&self) -> bool {
        let run = |argv: &[&str]| self.look.run(&Cmd::new(argv.iter().copied())).ok().filter(Output::is_success);
        let list = if self.format == "zip" {
            run(&["unzip", "-Z1", &self.dest])
        } else {
            run(&["tar", "-tf", &self.dest]).filter(|_| run(&["tar", "-C", &self.root, "-df", &self.dest]).is_some())
        };
        let Some(text) = list.map(|output| output.stdout_text()) else { return false };
        let mut found: Vec<&str> = text.lines().map(|name| name.trim_end_matches('/')).collect();
        let mut wanted: Vec<&str> = self.members.iter().map(String::as_str).collect();
        found.sort_unstable();
        wanted.sort_unstable();
        let is_fresh = self.format != "zip"
            || run(&["sh", "-c", "cd \"$0\" && zip -qyFS -sf \"$1\" . >/dev/null", &self.root, &self.dest]).is_some();
        found == wanted && is_fresh
    }

    fn make(&self, cmd: Cmd, plan: &mut Plan) -> Result<(), Failure> {
        plan.push(Change::new(&self.dest, Value::Null, "archive", Act::Run(cmd)));
        let attrs = Attrs::wanted(self.args, self.look, None, false)?;
        if !attrs.is_empty() {
            let act = Act::SetAttrs { path: self.dest.clone(), attrs, follow: true };
            plan.push(Change::step(&self.dest, act));
        }
        Ok(())
    }

    fn dress(&self, plan: &mut Plan) -> Result<(), Failure> {
        let found = self.look.stat(&self.dest, true).ok().flatten().unwrap_or_default();
        let wanted = Attrs::wanted(self.args, self.look, Some(&found), false)?;
        plan.changes.extend(wanted.change(self.look, &self.dest, &found, true));
        Ok(())
    }
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let state = values.get("state").cloned().unwrap_or_default();
    let dest = values.get("dest").map(Value::to_text).unwrap_or_default();
    let mut values = finish_plainly(args, values, done, look)?;
    for name in ["rc", "stdout", "stderr"] {
        values.shift_remove(name);
    }
    describe(look, &dest, &mut values);
    values.insert("state".into(), state);
    Ok(values)
}
