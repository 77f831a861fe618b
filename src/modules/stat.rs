//! `stat`: what a path is. The shortest module that looks; a good one to read first.

use super::{Arg, Args, Failure, Kind, Look, Module, Plan, Stat, attrs, finish_plainly, paths};
use crate::value::{Map, Value};

pub(super) static MODULE: Module = Module {
    name: "stat",
    collection: "ansible.builtin",
    summary: "say what a path is",
    args: &[&[
        Arg::new("path", Kind::Path, "the file to look at").aliases(&["dest", "name"]).required(),
        Arg::new("follow", Kind::Bool, "look at what a link points to").default("no"),
        Arg::new("get_checksum", Kind::Bool, "return a checksum of a file's bytes").default("yes"),
        Arg::new("checksum_algorithm", Kind::Str, "how to compute it")
            .aliases(&["checksum", "checksum_algo"])
            .choices(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"])
            .default("sha1"),
        Arg::new("get_mime", Kind::Bool, "return type and character set")
            .aliases(&["mime", "mime_type", "mime-type"])
            .default("yes"),
        Arg::new("get_attributes", Kind::Bool, "return file attributes").aliases(&["attr", "attributes"]).default("yes"),
        Arg::new("get_selinux_context", Kind::Bool, "return the SELinux context").inert().default("no"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let path = args.required("path")?;
    let follow = args.bool("follow");
    let found = look.stat(path, follow).map_err(|error| Failure::io(format_args!("cannot stat {path}"), &error))?;
    let mut plan = Plan::default();
    let Some(found) = found else {
        plan.set("stat", Map::from_iter([("exists".into(), false.into())]));
        return Ok(plan);
    };
    let mut values = describe(look, path, &found);
    if found.kind == "link" {
        let target = look.read_link(path).unwrap_or_default();
        values.insert("lnk_source".into(), paths::real(look, path).into());
        values.insert("lnk_target".into(), target.into());
    }
    let is_readable = values.get("readable") == Some(&Value::Bool(true));
    if found.kind == "file" && is_readable && args.bool("get_checksum") {
        let algorithm = args.required("checksum_algorithm")?;
        let digest = look.digest(path, algorithm).map_err(|error| Failure::io(format_args!("cannot read {path}"), &error))?;
        values.insert("checksum".into(), digest.into());
    }
    if args.bool("get_mime") {
        let (kind, charset) = mime(look, path, &found, is_readable);
        values.insert("mimetype".into(), kind.into());
        values.insert("charset".into(), charset.into());
    }
    if args.bool("get_attributes") {
        let flags = look.flags(path).unwrap_or_default();
        let names = attrs::FLAG_NAMES.iter().filter(|(_, bit, _)| flags & bit != 0).map(|(.., name)| Value::from(*name));
        values.insert("attributes".into(), names.collect::<Value>());
        values.insert("attr_flags".into(), attrs::Flags::letters(flags).into());
        values.insert("version".into(), Value::Null);
    }
    plan.set("stat", values);
    Ok(plan)
}

/// The values of what is there.
pub(super) fn describe(look: &dyn Look, path: &str, found: &Stat) -> Map {
    let mut values = Map::new();
    let mut set = |key: &str, value: Value| drop(values.insert(key.into(), value));
    set("exists", true.into());
    set("path", path.into());
    set("mode", attrs::octal(found.mode).into());
    for (name, kind) in [
        ("isdir", "directory"),
        ("ischr", "char"),
        ("isblk", "block"),
        ("isreg", "file"),
        ("isfifo", "fifo"),
        ("islnk", "link"),
        ("issock", "socket"),
    ] {
        set(name, (found.kind == kind).into());
    }
    set("uid", found.uid.into());
    set("gid", found.gid.into());
    set("size", found.size.into());
    set("inode", found.inode.into());
    set("dev", found.dev.into());
    set("nlink", found.nlink.into());
    set("atime", found.atime.into());
    set("mtime", found.mtime.into());
    set("ctime", found.ctime.into());
    for (at, class) in ["usr", "grp", "oth"].iter().enumerate() {
        for (bit, letter) in [(4, "r"), (2, "w"), (1, "x")] {
            set(&format!("{letter}{class}"), (found.mode >> (6 - 3 * at) & bit != 0).into());
        }
    }
    set("isuid", (found.mode & 0o4000 != 0).into());
    set("isgid", (found.mode & 0o2000 != 0).into());
    set("blocks", found.blocks.into());
    set("block_size", found.block_size.into());
    set("device_type", found.rdev.into());
    let may = |bit| may(look, path, found, bit);
    set("readable", may(4).into());
    set("writeable", may(2).into());
    set("executable", may(1).into());
    set("pw_name", attrs::name_of(look, "/etc/passwd", "passwd", found.uid).into());
    set("gr_name", attrs::name_of(look, "/etc/group", "group", found.gid).into());
    values
}

/// Whether this user may read (4), write (2) or execute (1) it; of a link, what it points to.
fn may(look: &dyn Look, path: &str, found: &Stat, bit: u32) -> bool {
    let target = if found.kind == "link" { look.stat(path, true).ok().flatten() } else { Some(found.clone()) };
    let Some(found) = target else { return false };
    match look.uid() {
        0 => bit != 1 || found.kind == "directory" || found.mode & 0o111 != 0,
        uid if uid == found.uid => found.mode >> 6 & bit != 0,
        _ if look.gids().contains(&found.gid) => found.mode >> 3 & bit != 0,
        _ => found.mode & bit != 0,
    }
}

/// A guess from the first bytes, in the words of `file --mime`.
fn mime(look: &dyn Look, path: &str, found: &Stat, is_readable: bool) -> (&'static str, &'static str) {
    match found.kind.as_str() {
        "directory" => return ("inode/directory", "binary"),
        "file" if found.size == 0 => return ("inode/x-empty", "binary"),
        "file" if is_readable && found.size <= 1 << 20 => {}
        _ => return ("unknown", "unknown"),
    }
    let Ok(bytes) = look.read(path) else { return ("unknown", "unknown") };
    let kinds: [(&[u8], &str); 6] = [
        (b"\x7fELF", "application/x-executable"),
        (b"\x1f\x8b", "application/gzip"),
        (b"PK\x03\x04", "application/zip"),
        (b"\x89PNG", "image/png"),
        (b"%PDF", "application/pdf"),
        (b"#!/bin/sh", "text/x-shellscript"),
    ];
    let known = kinds.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, kind)| *kind);
    let charset = match std::str::from_utf8(&bytes) {
        Ok(text) if text.contains('\0') => "binary",
        Ok(text) if text.is_ascii() => "us-ascii",
        Ok(_) => "utf-8",
        Err(_) => "binary",
    };
    (known.unwrap_or(if charset == "binary" { "application/octet-stream" } else { "text/plain" }), charset)
}
