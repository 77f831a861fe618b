//! `copy`, and the host's half of `template`: that a file has these contents.
//!
//! The control side reads `src`, `content` or a template and sends only the sha256 of the result (`_blob`); the bytes follow
//! when they turn out to be needed. Of a big file that cannot be the one there already it sends a name without meaning. A directory
//! comes as a list (`_files`). With `remote_src` everything is on the host.

use super::attrs::{FILE_ARGS, describe, mode_of, unsafe_writes};
use super::touch::Write;
use super::{Act, Arg, Args, Attrs, Change, Content, Done, Failure, Kind, Look, Module, Plan, Rule, Stat, finish_plainly, paths};
use crate::value::{Map, Value};

pub(super) static MODULE: Module = Module {
    name: "copy",
    collection: "ansible.builtin",
    summary: "copy files to the host",
    args: &[
        FILE_ARGS,
        &[
            Arg::new("dest", Kind::Path, "where to").required(),
            Arg::new("src", Kind::Path, "file or directory to copy; with a trailing `/`, what is in it"),
            Arg::new("content", Kind::Raw, "the contents themselves"),
            Arg::new("backup", Kind::Bool, "keep a copy of what was there").default("no"),
            Arg::new("force", Kind::Bool, "replace a file with other contents").aliases(&["thirsty"]).default("yes"),
            Arg::new("directory_mode", Kind::Raw, "permissions of new directories"),
            Arg::new("remote_src", Kind::Bool, "`src` is on the host").default("no"),
            Arg::new("follow", Kind::Bool, "write to what a link points to").default("no"),
            Arg::new("local_follow", Kind::Bool, "copy what links in `src` point to").default("yes"),
            Arg::new("validate", Kind::Str, "a command with %s that must accept the new file"),
            Arg::new("checksum", Kind::Str, "sha1 that the contents must have"),
            Arg::new("decrypt", Kind::Bool, "decrypt sources that are in a vault").default("yes"),
            Arg::new("_blob", Kind::Str, "sha256 of the contents").hidden(),
            Arg::new("_size", Kind::Int, "bytes of the contents").hidden(),
            Arg::new("_blob_mode", Kind::Raw, "permissions of the source").hidden(),
            Arg::new("_checksum", Kind::Str, "sha1 of the contents").hidden(),
            Arg::new("_name", Kind::Str, "name of the source").hidden(),
            Arg::new("_files", Kind::RawList, "a directory: maps of path, kind, blob, mode, target").hidden(),
        ],
    ],
    rules: &[Rule::OneOf(&["src", "content", "_blob", "_files"]), Rule::Exclusive(&["src", "content"])],
    free_form: None,
    plan,
    finish,
};

/// Texts above this are not shown as a diff.
const DIFF_MAX: u64 = 100 << 10;
const TOO_LARGE: &str = "(too large to show)\n";

/// One thing to be put somewhere.
struct Item {
    path: String,
    kind: ItemKind,
    /// Permissions of the source, for `preserve`.
    mode: Option<Value>,
}

enum ItemKind {
    File { sha256: String, content: Content },
    Directory,
    Link { target: String },
}

struct Task<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    plan: Plan,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let task = Task { args, look, plan: Plan::default() };
    let dest = args.required("dest")?;
    if args.has("_files") {
        let items = args.items("_files").iter().map(sent_item).collect::<Result<Vec<_>, _>>()?;
        return task.tree(dest, items);
    }
    if let Some(hash) = args.str("_blob") {
        let content = Content::Blob(hash.to_owned());
        let mode = args.get("_blob_mode").cloned();
        let kind = ItemKind::File { sha256: hash.to_owned(), content };
        let name = args.str("_name").or(args.str("src")).map_or("", paths::base_name);
        return task.single(dest, name, Item { path: String::new(), kind, mode });
    }
    if !args.bool("remote_src") {
        return Err(Failure::new("the control side has not sent the contents"));
    }
    task.plan_on_host(dest)
}

/// One entry of `_files`.
fn sent_item(entry: &Value) -> Result<Item, Failure> {
    let text = |key: &str| entry.get(key).map(|value| value.to_text().as_str().to_owned());
    let bad = || Failure::new("a file list that is not understood");
    let path = text("path").ok_or_else(bad)?;
    if path.split('/').any(|part| part == "..") {
        return Err(bad());
    }
    let kind = match text("kind").as_deref() {
        Some("directory") => ItemKind::Directory,
        Some("link") => ItemKind::Link { target: text("target").ok_or_else(bad)? },
        _ => {
            let sha256 = text("blob").ok_or_else(bad)?;
            ItemKind::File { content: Content::Blob(sha256.clone()), sha256 }
        }
    };
    Ok(Item { path, kind, mode: entry.get("mode").cloned() })
}

impl Task<'_> {
    /// Of what the control side sends.
    fn size(&self) -> Option<u64> {
        self.args.int("_size").and_then(|size| u64::try_from(size).ok())
    }

    fn stat(&self, path: &str, follow: bool) -> Result<Option<Stat>, Failure> {
        self.look.stat(path, follow).map_err(|error| Failure::io(format_args!("cannot look at {path}"), &error))
    }

    fn is_dir(&self, path: &str) -> bool {
        matches!(self.look.stat(path, true), Ok(Some(found)) if found.kind == "directory")
    }

    fn plan_on_host(mut self, dest: &str) -> Result<Plan, Failure> {
        let src = self.args.required("src")?;
        let Some(found) = self.stat(src, true)? else {
            return Err(Failure::new(format!("Source {src} not found")));
        };
        self.plan.set("src", src);
        if found.kind == "directory" {
            let mut items = Vec::new();
            let top = if src.ends_with('/') { String::new() } else { paths::base_name(src).to_owned() };
            if !top.is_empty() {
                items.push(Item { path: top.clone(), kind: ItemKind::Directory, mode: Some(found.mode.into()) });
            }
            self.walk(src, &top, &mut Vec::new(), &mut items)?;
            return self.tree(dest, items);
        }
        if found.kind != "file" {
            return Err(Failure::new(format!("Cannot copy invalid source '{src}': not a file")));
        }
        let item = Item { path: String::new(), kind: self.host_file(src)?, mode: Some(found.mode.into()) };
        if let Some(wanted) = self.args.str("checksum") {
            self.verify(wanted, &self.digest(src, "sha1")?)?;
        }
        self.single(dest, paths::base_name(src), item)
    }

    fn digest(&self, path: &str, algorithm: &str) -> Result<String, Failure> {
        self.look.digest(path, algorithm).map_err(|error| Failure::io(format_args!("Source {path} not readable"), &error))
    }

    fn verify(&self, wanted: &str, found: &str) -> Result<(), Failure> {
        if wanted.eq_ignore_ascii_case(found) {
            return Ok(());
        }
        let failure = Failure::new("Copied file does not match the expected checksum. Transfer failed.");
        Err(failure.with("checksum", found).with("expected_checksum", wanted))
    }

    fn host_file(&self, path: &str) -> Result<ItemKind, Failure> {
        Ok(ItemKind::File { sha256: self.digest(path, "sha256")?, content: Content::File(path.to_owned()) })
    }

    /// `above` is where the walk is, each directory without links: what leads back up stays a link.
    fn walk(&self, dir: &str, under: &str, above: &mut Vec<String>, items: &mut Vec<Item>) -> Result<(), Failure> {
        above.push(paths::real(self.look, dir));
        let names = self.look.list(dir).map_err(|error| Failure::io(format_args!("cannot list {dir}"), &error))?;
        for name in names {
            let from = paths::join(dir, &name);
            let path = if under.is_empty() { name } else { format!("{under}/{name}") };
            let is_followed = self.args.bool("local_follow") && !self.is_circle(&from, above)?;
            // A link that leads nowhere stays what it is.
            let target = is_followed.then(|| self.look.stat(&from, true).ok().flatten()).flatten();
            let found = match target {
                Some(target) => Some(target),
                None => self.stat(&from, false)?,
            };
            let Some(found) = found else { continue };
            let mode = Some(Value::from(found.mode));
            match found.kind.as_str() {
                "directory" => {
                    items.push(Item { path: path.clone(), kind: ItemKind::Directory, mode });
                    self.walk(&from, &path, above, items)?;
                }
                "link" => items.push(Item {
                    path,
                    kind: ItemKind::Link { target: self.look.read_link(&from).unwrap_or_default() },
                    mode,
                }),
                "file" => items.push(Item { path, kind: self.host_file(&from)?, mode }),
                _ => {}
            }
        }
        above.pop();
        Ok(())
    }

    fn is_circle(&self, path: &str, above: &[String]) -> Result<bool, Failure> {
        if self.stat(path, false)?.is_none_or(|found| found.kind != "link") || !self.is_dir(path) {
            return Ok(false);
        }
        let real = paths::real(self.look, path);
        let leads_up = |dir: &String| dir.strip_prefix(&real).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        Ok(real == "/" || above.iter().any(leads_up))
    }

    /// One file: `dest` is its place, or the directory for it.
    fn single(mut self, dest: &str, name: &str, item: Item) -> Result<Plan, Failure> {
        if name.is_empty() && self.is_dir(dest) {
            return Err(Failure::new("can not use content with a dir as dest"));
        }
        let mut dest = dest.to_owned();
        if dest.ends_with('/') || self.is_dir(&dest) {
            if !self.is_dir(&dest) {
                self.make_directories(dest.trim_end_matches('/'), None)?;
            }
            dest = paths::join(&dest, name);
        } else if !self.is_dir(paths::parent(&dest)) {
            return Err(Failure::new(format!("Destination directory {} does not exist", paths::parent(&dest))));
        }
        if self.args.bool("follow") && matches!(self.stat(&dest, false)?, Some(found) if found.kind == "link") {
            dest = paths::real(self.look, &dest);
        }
        self.plan.set("dest", &dest);
        if !self.args.bool("force") && self.look.exists(&dest) {
            self.plan.set("msg", "file already exists");
            return Ok(self.plan);
        }
        self.put(&dest, item)?;
        Ok(self.plan)
    }

    fn tree(mut self, dest: &str, items: Vec<Item>) -> Result<Plan, Failure> {
        let dest = dest.trim_end_matches('/');
        self.plan.set("dest", format!("{dest}/"));
        if !self.is_dir(dest) {
            self.make_directories(dest, None)?;
        }
        for item in items {
            let path = paths::join(dest, &item.path);
            self.put(&path, item)?;
        }
        Ok(self.plan)
    }

    fn put(&mut self, path: &str, item: Item) -> Result<(), Failure> {
        match item.kind {
            ItemKind::Directory => self.put_directory(path, item.mode.as_ref()),
            ItemKind::Link { target } => {
                if self.look.read_link(path).ok().as_deref() != Some(target.as_str()) {
                    let before = self.look.read_link(path).ok();
                    let act = Act::Symlink { path: path.to_owned(), target: target.clone() };
                    self.plan.push(Change::new(path, before, target, act));
                }
                Ok(())
            }
            ItemKind::File { sha256, content } => self.put_file(path, &sha256, content, item.mode.as_ref()),
        }
    }

    fn put_directory(&mut self, path: &str, source_mode: Option<&Value>) -> Result<(), Failure> {
        match self.stat(path, true)? {
            None => self.make_directories(path, source_mode),
            Some(found) if found.kind == "directory" => {
                let wanted = Attrs { mode: None, ..Attrs::wanted(self.args, self.look, Some(&found), true)? };
                self.plan.changes.extend(wanted.change(self.look, path, &found, true));
                Ok(())
            }
            Some(_) => Err(Failure::new(format!("{path} is there and is not a directory"))),
        }
    }

    /// The directory and its missing parents, unless this plan makes them already.
    fn make_directories(&mut self, path: &str, source_mode: Option<&Value>) -> Result<(), Failure> {
        let mut missing = Vec::new();
        let mut at = path;
        while !matches!(at, "/" | "." | "") && self.stat(at, true)?.is_none() && !self.makes(at) {
            missing.push(at.to_owned());
            at = paths::parent(at);
        }
        let wanted = Attrs::wanted(self.args, self.look, None, true)?;
        let mode = match (self.args.get("directory_mode"), self.args.str("mode"), source_mode) {
            (Some(mode), ..) => mode_of(mode, 0o755, true)?,
            (None, Some("preserve"), Some(mode)) => mode_of(mode, 0o755, true)?,
            _ => None,
        };
        for path in missing.into_iter().rev() {
            let attrs = Attrs { mode, ..wanted.clone() };
            self.plan.push(Change::new(&path, Value::Null, "directory", Act::MakeDir { path: path.clone(), attrs }));
        }
        Ok(())
    }

    fn makes(&self, path: &str) -> bool {
        self.plan.changes.iter().any(|change| matches!(&change.act, Act::MakeDir { path: made, .. } if made == path))
    }

    fn put_file(&mut self, path: &str, sha256: &str, content: Content, source_mode: Option<&Value>) -> Result<(), Failure> {
        let link = self.stat(path, false)?.filter(|found| found.kind == "link");
        let found = self.stat(path, true)?;
        if found.as_ref().is_some_and(|found| found.kind == "directory") {
            return Err(Failure::new(format!("{path} is a directory")));
        }
        let mut attrs = Attrs::wanted(self.args, self.look, found.as_ref(), false)?;
        if self.args.str("mode") == Some("preserve")
            && let Some(mode) = source_mode
        {
            attrs.mode = mode_of(mode, 0o644, false)?;
        }
        let may_be_it = |found: &&Stat| link.is_none() && self.size().is_none_or(|size| size == found.size);
        if let Some(found) = found.as_ref().filter(may_be_it)
            && self.digest(path, "sha256")? == sha256
        {
            self.plan.changes.extend(attrs.change(self.look, path, found, false));
            return Ok(());
        }
        if let (Some(wanted), Some(found)) = (self.args.str("checksum"), self.args.str("_checksum")) {
            self.verify(wanted, found)?;
        }
        let before = if found.is_some() { self.shown(&Content::File(path.to_owned()))? } else { Value::Null };
        let after = self.shown(&content)?;
        let write = Write {
            attrs,
            validate: self.args.str("validate").map(str::to_owned),
            backup: self.args.bool("backup"),
            unsafe_writes: unsafe_writes(self.args, self.look),
            ..Write::new(path, content)
        };
        self.plan.push(Change::new(path, before, after, Act::Write(write)));
        Ok(())
    }

    /// A text for `--diff`; null where nobody looks, and a remark where it would not help.
    fn shown(&self, content: &Content) -> Result<Value, Failure> {
        if !self.look.is_diff() {
            return Ok(Value::Null);
        }
        let bytes = match content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Blob(_) if self.size().is_some_and(|size| size > DIFF_MAX) => return Ok(TOO_LARGE.into()),
            Content::Blob(hash) => self.look.blob(hash)?,
            Content::File(path) => match self.stat(path, true)? {
                Some(found) if found.size > DIFF_MAX => return Ok(TOO_LARGE.into()),
                _ => self.look.read(path).map_err(|error| Failure::io(format_args!("cannot read {path}"), &error))?,
            },
        };
        if bytes.len() as u64 > DIFF_MAX {
            return Ok(TOO_LARGE.into());
        }
        Ok(String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).map_or_else(|| "(binary)\n".into(), Value::from))
    }
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let mut values = finish_plainly(args, values, done, look)?;
    let dest = values.get("dest").map(Value::to_text).unwrap_or_default();
    if dest.ends_with('/') || values.contains_key("msg") {
        return Ok(values);
    }
    describe(look, &dest, &mut values);
    let algorithms = if done.is_empty() { &["sha1"][..] } else { &["sha1", "md5"] };
    let sums = look.digests(&dest, algorithms).unwrap_or_default();
    values.extend(["checksum", "md5sum"].into_iter().zip(sums).map(|(name, sum)| (name.into(), sum.into())));
    if done.is_empty() {
        values.insert("path".into(), dest.as_str().into());
    }
    Ok(values)
}
