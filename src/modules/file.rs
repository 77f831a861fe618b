//! `file`: that a path is a file, a directory, a link, or nothing.

use super::attrs::{FILE_ARGS, describe, unknown_accounts};
use super::touch::Write;
use super::{Act, Arg, Args, Attrs, Change, Content, Done, Failure, Kind, Look, Module, Plan, Stat, paths};
use crate::value::{Map, Value};

pub(super) static MODULE: Module = Module {
    name: "file",
    collection: "ansible.builtin",
    summary: "see to files, directories and links, and their permissions",
    args: &[
        FILE_ARGS,
        &[
            Arg::new("path", Kind::Path, "what is managed").aliases(&["dest", "name"]).required(),
            Arg::new("state", Kind::Str, "what it is to be").choices(&["absent", "directory", "file", "hard", "link", "touch"]),
            Arg::new("src", Kind::Path, "what a link points to"),
            Arg::new("recurse", Kind::Bool, "set attributes on everything in a directory").default("no"),
            Arg::new("force", Kind::Bool, "make links to nothing, and in place of files").default("no"),
            Arg::new("follow", Kind::Bool, "treat what a link points to").default("yes"),
            Arg::new("modification_time", Kind::Str, "`now`, `preserve` or a time"),
            Arg::new("modification_time_format", Kind::Str, "how that time is written").default("%Y%m%d%H%M.%S"),
            Arg::new("access_time", Kind::Str, "`now`, `preserve` or a time"),
            Arg::new("_diff_peek", Kind::Str, "only say whether it looks binary"),
            Arg::new("access_time_format", Kind::Str, "how that time is written").default("%Y%m%d%H%M.%S"),
        ],
    ],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

/// One task, its path looked at.
struct Task<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    path: String,
    found: Option<Stat>,
    plan: Plan,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let path = match args.required("path")?.trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    if args.has("_diff_peek") {
        let is_binary = look.read(path).is_ok_and(|bytes| bytes.iter().take(8192).any(|byte| *byte == 0));
        let values = [("appears_binary", Value::Bool(is_binary)), ("path", path.into())];
        return Ok(Plan::of(values.into_iter().map(|(key, value)| (key.into(), value)).collect()));
    }
    let mut task = Task { args, look, path: path.to_owned(), found: look_at(look, path)?, plan: Plan::default() };
    let state = task.state()?;
    let warnings = if look.is_check() && state != "absent" { unknown_accounts(args, look) } else { Vec::new() };
    if !warnings.is_empty() {
        task.plan.set("warnings", warnings.clone());
    }
    task.change_to(state).map_err(|failure| match warnings.is_empty() {
        true => failure,
        false => failure.with("warnings", warnings),
    })?;
    task.note_diff();
    Ok(task.plan)
}

fn look_at(look: &dyn Look, path: &str) -> Result<Option<Stat>, Failure> {
    look.stat(path, false).map_err(|error| Failure::io(format_args!("cannot look at {path}"), &error))
}

/// All paths below a directory.
fn list_tree(look: &dyn Look, dir: &str, directories: &mut Vec<Value>, files: &mut Vec<Value>) {
    for name in look.list(dir).unwrap_or_default() {
        let path = paths::join(dir, &name);
        if matches!(look.stat(&path, false), Ok(Some(found)) if found.kind == "directory") {
            directories.push(Value::from(&path));
            list_tree(look, &path, directories, files);
        } else {
            files.push(path.into());
        }
    }
}

/// What is there now, in the words of `state`.
fn state_of(found: Option<&Stat>) -> &str {
    match found {
        None => "absent",
        Some(found) => match found.kind.as_str() {
            "link" => "link",
            "directory" => "directory",
            "file" if found.nlink > 1 => "hard",
            _ => "file",
        },
    }
}

impl<'a> Task<'a> {
    /// What is asked for; left out, whatever is there.
    fn state(&self) -> Result<&'a str, Failure> {
        let state = self.stated();
        if self.args.has("src") && !matches!(state, "link" | "hard") {
            return Err(Failure::new("src option requires state to be 'link' or 'hard'").with("path", &self.path));
        }
        Ok(state)
    }

    fn stated(&self) -> &'a str {
        match self.args.str("state") {
            Some(state) => state,
            None if self.args.bool("recurse") => "directory",
            None => match state_of(self.found.as_ref()) {
                "directory" => "directory",
                "hard" if self.args.has("src") => "hard",
                "link" if self.args.bool("follow") && !self.args.has("src") => match self.look.stat(&self.path, true) {
                    Ok(Some(target)) if target.kind == "directory" => "directory",
                    Ok(Some(_)) => "file",
                    _ => "link",
                },
                "link" => "link",
                _ => "file",
            },
        }
    }

    fn change_to(&mut self, state: &str) -> Result<(), Failure> {
        match state {
            "absent" => self.absent(),
            "directory" => self.directory()?,
            "link" => self.link()?,
            "hard" => self.hard()?,
            "touch" => self.touch()?,
            _ => self.file()?,
        }
        Ok(())
    }

    /// Always among the answers, with the path even where nothing changes.
    fn note_diff(&mut self) {
        let mut sides = [Map::from_iter([("path".into(), Value::from(&self.path))]), Map::new()];
        sides[1] = sides[0].clone();
        for change in &self.plan.changes {
            for (side, shown) in sides.iter_mut().zip([&change.before, &change.after]) {
                match shown.as_map() {
                    Some(shown) if shown.get("path").and_then(Value::as_str) == Some(&self.path) => {
                        side.extend(shown.iter().map(|(key, value)| (key.clone(), value.clone())));
                    }
                    _ => {}
                }
            }
        }
        let [before, after] = sides;
        self.plan.set("diff", Map::from_iter([("before".into(), before.into()), ("after".into(), after.into())]));
    }

    fn push_state(&mut self, after: &str, act: Act) {
        let shown =
            |state: &str| Value::map(Map::from_iter([("path".into(), Value::from(&self.path)), ("state".into(), state.into())]));
        let before = shown(state_of(self.found.as_ref()));
        let after = shown(after);
        self.plan.push(Change::new(&self.path, before, after, act));
    }

    /// Goes on with what a link leads to, where links are followed.
    fn follow(&mut self) -> Result<(), Failure> {
        let is_link = self.found.as_ref().is_some_and(|found| found.kind == "link");
        if is_link && self.args.bool("follow") && matches!(self.look.stat(&self.path, true), Ok(Some(_))) {
            self.path = paths::real(self.look, &self.path);
            self.found = look_at(self.look, &self.path)?;
        }
        Ok(())
    }

    fn fail(&self, msg: String) -> Failure {
        Failure::new(msg).with("path", &self.path).with("state", state_of(self.found.as_ref()))
    }

    /// The change of mode and owner of what is there.
    fn attributes(&mut self, path: &str, found: &Stat) -> Result<(), Failure> {
        let wanted = Attrs::wanted(self.args, self.look, Some(found), found.kind == "directory")?;
        self.plan.changes.extend(wanted.change(self.look, path, found, false));
        Ok(())
    }

    fn absent(&mut self) {
        if let Some(found) = &self.found {
            let is_shown = found.kind == "directory" && self.look.is_diff();
            self.push_state("absent", Act::Remove { path: self.path.clone() });
            if is_shown && let Some(change) = self.plan.changes.last_mut() {
                let (mut directories, mut files) = (Vec::new(), Vec::new());
                list_tree(self.look, &self.path, &mut directories, &mut files);
                let inside = Map::from_iter([("directories".into(), directories.into()), ("files".into(), files.into())]);
                if let Value::Map(before) = &mut change.before {
                    std::sync::Arc::make_mut(before).insert("path_content".into(), inside.into());
                }
            }
        }
        self.plan.set("path", &self.path).set("state", "absent");
    }

    fn file(&mut self) -> Result<(), Failure> {
        self.follow()?;
        match self.found.clone() {
            Some(found) if found.kind != "directory" => {
                self.plan.set("path", &self.path);
                let path = self.path.clone();
                self.times(&found, None)?;
                self.attributes(&path, &found)
            }
            found => {
                let state = state_of(found.as_ref());
                Err(self.fail(format!("file ({}) is {state}, cannot continue", self.path)))
            }
        }
    }

    fn directory(&mut self) -> Result<(), Failure> {
        self.follow()?;
        self.plan.set("path", &self.path);
        match self.found.clone() {
            None => return self.make_directories(),
            Some(found) if found.kind == "directory" => {
                let path = self.path.clone();
                self.times(&found, None)?;
                self.attributes(&path, &found)?;
            }
            Some(_) => return Err(self.fail(format!("{} already exists as a {}", self.path, state_of(self.found.as_ref())))),
        }
        if self.args.bool("recurse") {
            let path = self.path.clone();
            self.recurse(&path, &mut Vec::new())?;
        }
        Ok(())
    }

    /// The directory and its missing parents, all with the same attributes.
    fn make_directories(&mut self) -> Result<(), Failure> {
        let attrs = Attrs::wanted(self.args, self.look, None, true)?;
        let mut missing = Vec::new();
        let mut at = self.path.as_str();
        while !matches!(at, "/" | ".") {
            match self.look.stat(at, true) {
                Ok(Some(found)) if found.kind == "directory" => break,
                Ok(None) => missing.push(at.to_owned()),
                Ok(Some(_)) => {
                    let msg = format!("There was an issue creating {} as requested: {at} is not a directory", self.path);
                    return Err(Failure::new(msg).with("path", &self.path));
                }
                Err(error) => return Err(Failure::io(format_args!("cannot look at {at}"), &error)),
            }
            at = paths::parent(at);
        }
        let last = missing.first().cloned();
        for path in missing.into_iter().rev() {
            let act = Act::MakeDir { path: path.clone(), attrs: attrs.clone() };
            if Some(&path) == last.as_ref() {
                self.push_state("directory", act);
            } else {
                self.plan.push(Change::step(path, act));
            }
        }
        Ok(())
    }

    /// `seen` are the directories that links have led to.
    fn recurse(&mut self, dir: &str, seen: &mut Vec<String>) -> Result<(), Failure> {
        let names = self.look.list(dir).map_err(|error| Failure::io(format_args!("cannot list {dir}"), &error))?;
        for name in names {
            let path = paths::join(dir, &name);
            let Some(found) = look_at(self.look, &path)? else { continue };
            match found.kind.as_str() {
                "link" if self.args.bool("follow") => {
                    if let Ok(Some(target)) = self.look.stat(&path, true) {
                        let real = paths::real(self.look, &path);
                        self.attributes(&real, &target)?;
                        if target.kind == "directory" && !seen.contains(&real) {
                            seen.push(real.clone());
                            self.recurse(&real, seen)?;
                        }
                    }
                }
                "directory" => {
                    self.attributes(&path, &found)?;
                    self.recurse(&path, seen)?;
                }
                _ => self.attributes(&path, &found)?,
            }
        }
        Ok(())
    }

    fn link(&mut self) -> Result<(), Failure> {
        let args = self.args;
        let force = args.bool("force");
        let found = state_of(self.found.as_ref()).to_owned();
        let src = match args.str("src") {
            Some(src) => src.to_owned(),
            None if found == "link" => self.look.read_link(&self.path).unwrap_or_default(),
            None => return Err(Failure::new("src is required for creating new symlinks").with("path", &self.path)),
        };
        // A link to be made in a directory that has the wanted name is made inside it only by `cp`; here it would replace it.
        let target = paths::join(if found == "directory" { &self.path } else { paths::parent(&self.path) }, &src);
        self.plan.set("dest", &self.path).set("src", &src);
        match found.as_str() {
            "directory" if !force => return Err(self.refuse("directory", "symlink")),
            "directory" if !self.look.list(&self.path).unwrap_or_default().is_empty() => {
                return Err(self.fail(format!("the directory {} is not empty, refusing to convert it", self.path)));
            }
            "file" | "hard" if !force => return Err(self.refuse(&found, "symlink")),
            _ => {}
        }
        if !force && !matches!(self.look.stat(&target, true), Ok(Some(_))) {
            let msg = format!("src file does not exist, use 'force=yes' if you really want to create the link: {target}");
            return Err(Failure::new(msg).with("path", &self.path).with("src", &src));
        }
        if found != "link" {
            self.push_state("link", Act::Symlink { path: self.path.clone(), target: src });
            return self.attributes_of_new_link(&target);
        } else if self.look.read_link(&self.path).ok().as_deref() != Some(src.as_str()) {
            self.retarget(&src);
        }
        self.attributes_of_link(&target)
    }

    fn retarget(&mut self, src: &str) {
        let shown =
            |target: &str| Value::map(Map::from_iter([("path".into(), Value::from(&self.path)), ("src".into(), target.into())]));
        let before = shown(&self.look.read_link(&self.path).unwrap_or_default());
        let act = Act::Symlink { path: self.path.clone(), target: src.to_owned() };
        let change = Change::new(&self.path, before, shown(src), act);
        self.plan.push(change);
    }

    /// Of the target where links are followed; of the link itself otherwise, which has an owner but no mode.
    fn attributes_of_link(&mut self, target: &str) -> Result<(), Failure> {
        if self.args.bool("follow") {
            return match self.look.stat(target, true) {
                Ok(Some(found)) => {
                    let real = paths::real(self.look, target);
                    self.attributes(&real, &found)
                }
                _ => Ok(()),
            };
        }
        let Some(found) = self.found.clone() else { return Ok(()) };
        let wanted = Attrs { mode: None, ..Attrs::wanted(self.args, self.look, Some(&found), false)? };
        let path = self.path.clone();
        self.plan.changes.extend(wanted.change(self.look, &path, &found, false));
        Ok(())
    }

    /// What is made anew is the task's user's, unless the link is to have an owner of its own.
    fn attributes_of_new_link(&mut self, target: &str) -> Result<(), Failure> {
        if self.args.bool("follow") {
            return self.attributes_of_link(target);
        }
        let attrs = Attrs { mode: None, flags: None, ..Attrs::wanted(self.args, self.look, None, false)? };
        if !attrs.is_empty() {
            let path = self.path.clone();
            self.plan.push(Change::step(path.clone(), Act::SetAttrs { path, attrs, follow: false }));
        }
        Ok(())
    }

    fn refuse(&self, from: &str, to: &str) -> Failure {
        self.fail(format!("refusing to convert from {from} to {to} for {}", self.path))
    }

    fn hard(&mut self) -> Result<(), Failure> {
        let args = self.args;
        let Some(src) = args.str("src") else {
            return Err(Failure::new("src is required for creating new hardlinks").with("dest", &self.path));
        };
        let target = paths::join(paths::parent(&self.path), src);
        self.plan.set("dest", &self.path).set("src", src);
        let Some(wanted) = look_at(self.look, &target)? else {
            let failure = Failure::new("src does not exist").with("path", &self.path);
            return Err(failure.with("dest", &self.path).with("src", src));
        };
        let act = Act::Hardlink { path: self.path.clone(), target };
        match self.found.clone() {
            None => self.push_state("hard", act),
            Some(found) if (found.inode, found.dev) == (wanted.inode, wanted.dev) => {}
            Some(found) if found.kind == "directory" || !args.bool("force") => {
                return match state_of(Some(&found)) {
                    "hard" => {
                        Err(self.fail("Cannot link, different hard link exists at destination".to_owned()).with("src", src))
                    }
                    state => Err(self.refuse(state, "hard link")),
                };
            }
            Some(_) => self.push_state("hard", act),
        }
        let path = self.path.clone();
        self.attributes(&path, &wanted)
    }

    fn touch(&mut self) -> Result<(), Failure> {
        self.follow()?;
        self.plan.set("dest", &self.path);
        let path = self.path.clone();
        let Some(found) = self.found.clone() else {
            let attrs = Attrs::wanted(self.args, self.look, None, false)?;
            let write = Write { attrs, ..Write::new(&path, Content::Bytes(Vec::new())) };
            self.push_state("touch", Act::Write(write));
            let now = self.look.now();
            let (atime, mtime) = (self.time("access_time", Some(now))?, self.time("modification_time", Some(now))?);
            self.plan.push(Change::step(path.clone(), Act::SetTimes { path, atime, mtime }));
            return Ok(());
        };
        self.times(&found, Some(self.look.now()))?;
        self.attributes(&path, &found)
    }

    /// The change of the times of what is there. `unsaid` is a time that nothing is said about.
    fn times(&mut self, found: &Stat, unsaid: Option<f64>) -> Result<(), Failure> {
        let path = self.path.clone();
        let (atime, mtime) = (self.time("access_time", unsaid)?, self.time("modification_time", unsaid)?);
        let differs = |wanted: Option<f64>, found: f64| wanted.is_some_and(|wanted| wanted != found);
        if differs(atime, found.atime) || differs(mtime, found.mtime) {
            let shown = |atime: f64, mtime: f64| {
                let entries = [("atime", Value::from(atime)), ("mtime", Value::from(mtime)), ("path", Value::from(&path))];
                Value::map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
            };
            let before = shown(found.atime, found.mtime);
            let after = shown(atime.unwrap_or(found.atime), mtime.unwrap_or(found.mtime));
            let act = Act::SetTimes { path: path.clone(), atime, mtime };
            self.plan.push(Change::new(&path, before, after, act));
        }
        Ok(())
    }

    /// `None` where a time is to stay as it is.
    fn time(&self, name: &'static str, unsaid: Option<f64>) -> Result<Option<f64>, Failure> {
        match self.args.str(name) {
            None => Ok(unsaid),
            Some("now") => Ok(Some(self.look.now())),
            Some("preserve") => Ok(None),
            Some(text) => {
                let format = self.args.str(&format!("{name}_format")).unwrap_or_default();
                let clock = super::clock::Clock::of(self.look);
                let time = clock.read(text, format).ok_or_else(|| {
                    Failure::new(format!("Error while obtaining timestamp for time {text} using format {format}"))
                })?;
                Ok(Some(time))
            }
        }
    }
}

/// What is there afterwards.
fn finish(_: &Args, values: Map, _: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let mut values = values;
    let path = values.get("path").or(values.get("dest")).map(Value::to_text).unwrap_or_default();
    if values.get("state").is_none() {
        describe(look, &path, &mut values);
    }
    Ok(values)
}
