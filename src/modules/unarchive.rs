//! `unarchive`: that what is in an archive is on the host.
//!
//! For tar archives the host's `tar --diff` says what is missing; zip files carry checksums, which are compared here. An
//! archive that the control side sent is handed to tar over its standard input and never becomes a file.

mod zip;

use super::attrs::{self, FILE_ARGS};
use super::touch::Write;
use super::{
    Act, Arg, Args, Attrs, Change, Cmd, Content, Done, Failure, HttpRequest, Kind, Look, Module, Output, Plan, Rule, Stat, clock,
};
use crate::value::{Map, Value};
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "unarchive",
    collection: "ansible.builtin",
    summary: "unpacks an archive on the host",
    args: &[ARGS, FILE_ARGS],
    rules: &[Rule::Exclusive(&["include", "exclude"])],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("src", Kind::Path, "the archive: on the control side, with `remote_src` on the host, or an address").required(),
    Arg::new("dest", Kind::Path, "an existing directory on the host").required(),
    Arg::new("remote_src", Kind::Bool, "the archive is on the host").default("no"),
    Arg::new("copy", Kind::Bool, "the opposite of `remote_src`, its older name").default("yes"),
    Arg::new("creates", Kind::Path, "do nothing where this exists"),
    Arg::new("exclude", Kind::List, "leave these out"),
    Arg::new("include", Kind::List, "unpack only these"),
    Arg::new("extra_opts", Kind::List, "more options for tar or unzip"),
    Arg::new("keep_newer", Kind::Bool, "leave files alone that are newer than in the archive").default("no"),
    Arg::new("list_files", Kind::Bool, "return the names of what is in the archive").default("no"),
    Arg::new("validate_certs", Kind::Bool, "check the certificate of the address").default("yes"),
    Arg::new("decrypt", Kind::Bool, "decrypt an archive that is in a vault").default("yes"),
    Arg::new("io_buffer_size", Kind::Int, "the host's tools choose their own").inert().default("65536"),
    Arg::new("_blob", Kind::Str, "sha256 of the archive that the control side has").hidden(),
];

/// A question to tar takes this long at most; big archives are read whole.
const ASK: Duration = Duration::from_secs(1800);
const NO_UNZIP: &str =
    "there is no unzip on this host, which zip files need: install it first (`apt: name=unzip`, `dnf: name=unzip`)";

/// How the archive is packed, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Tar,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
    Zip,
}

/// The archive as the host can read it.
struct Archive<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    dest: &'a str,
    /// Where it is on the host, unless its bytes are at hand.
    path: String,
    bytes: Option<Vec<u8>>,
    packing: Packing,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let dest = args.required("dest")?;
    let mut plan = Plan::default();
    if let Some(creates) = args.str("creates").filter(|path| look.exists(path)) {
        plan.skipped = Some(format!("skipped, since {creates} exists"));
        return Ok(plan);
    }
    let found = look.stat(dest, true).map_err(|error| Failure::io(format!("cannot read {dest}"), &error))?;
    if found.is_none_or(|stat| stat.kind != "directory") {
        return Err(Failure::new(format!("dest '{dest}' must be an existing dir; make it with `file: state: directory` first")));
    }
    let archive = Archive::find(args, look, dest)?;
    plan.set("src", args.str("src")).set("dest", dest).set("handler", archive.packing.handler());
    let differing = archive.differing()?;
    let names = if args.bool("list_files") || wants_attrs(args) { archive.names()? } else { Vec::new() };
    if args.bool("list_files") {
        plan.set("files", names.clone());
    }
    if differing.is_empty() {
        plan.changes = attributes(args, look, dest, &names)?;
    } else {
        plan.changes = archive.extract(&differing)?;
        // Owners and modes can be compared only once the files are there.
        plan.again = wants_attrs(args);
    }
    Ok(plan)
}

fn finish(_: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let mut values = values;
    let ran = done.iter().find(|one| one.values.contains_key("rc"));
    if let Some(ran) = ran {
        let result = [("rc", "rc"), ("stdout", "out"), ("stderr", "err")];
        let result: Map =
            result.into_iter().filter_map(|(key, name)| Some((name.into(), ran.values.get(key)?.clone()))).collect();
        values.insert("extract_results".into(), result.into());
    }
    if let Some(dest) = values.get("dest").and_then(Value::as_str).map(str::to_owned) {
        attrs::describe(look, &dest, &mut values);
    }
    Ok(values)
}

fn wants_attrs(args: &Args) -> bool {
    ["owner", "group", "mode"].iter().any(|arg| args.has(arg))
}

/// What is not as wanted of the unpacked files' owners and modes.
fn attributes(args: &Args, look: &dyn Look, dest: &str, names: &[String]) -> Result<Vec<Change>, Failure> {
    let mut changes = Vec::new();
    for name in names.iter().filter(|_| wants_attrs(args)) {
        let path = format!("{}/{}", dest.trim_end_matches('/'), name.trim_end_matches('/'));
        let found = look.stat(&path, false).map_err(|error| Failure::io(format!("cannot read {path}"), &error))?;
        // Options such as --strip-components unpack under other names.
        let Some(stat) = found else { continue };
        let mut wanted = Attrs::wanted(args, look, Some(&stat), stat.kind == "directory")?;
        if stat.kind == "link" {
            wanted.mode = None;
        }
        changes.extend(wanted.change(look, &path, &stat, false));
    }
    Ok(changes)
}

impl Packing {
    fn of(bytes: &[u8]) -> Packing {
        match bytes {
            [0x1f, 0x8b, ..] => Packing::Gzip,
            [b'B', b'Z', b'h', ..] => Packing::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Packing::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
            [b'P', b'K', 3 | 5, 4 | 6, ..] => Packing::Zip,
            _ => Packing::Tar,
        }
    }

    fn of_name(name: &str) -> Option<Packing> {
        let name = name.to_lowercase();
        let suffixes: [(&[&str], Packing); 6] = [
            (&[".tar.gz", ".tgz"], Packing::Gzip),
            (&[".tar.bz2", ".tbz", ".tbz2"], Packing::Bzip2),
            (&[".tar.xz", ".txz"], Packing::Xz),
            (&[".tar.zst", ".tzst"], Packing::Zstd),
            (&[".zip", ".jar", ".war"], Packing::Zip),
            (&[".tar"], Packing::Tar),
        ];
        suffixes.into_iter().find(|(ends, _)| ends.iter().any(|end| name.ends_with(end))).map(|(_, packing)| packing)
    }

    fn handler(self) -> &'static str {
        match self {
            Packing::Tar => "TarArchive",
            Packing::Gzip => "TgzArchive",
            Packing::Bzip2 => "TarBzipArchive",
            Packing::Xz => "TarXzArchive",
            Packing::Zstd => "TarZstdArchive",
            Packing::Zip => "ZipArchive",
        }
    }

    fn option(self) -> Option<&'static str> {
        match self {
            Packing::Tar | Packing::Zip => None,
            Packing::Gzip => Some("-z"),
            Packing::Bzip2 => Some("-j"),
            Packing::Xz => Some("-J"),
            Packing::Zstd => Some("--zstd"),
        }
    }
}

impl<'a> Archive<'a> {
    fn find(args: &'a Args, look: &'a dyn Look, dest: &'a str) -> Result<Archive<'a>, Failure> {
        let src = args.required("src")?;
        let (path, bytes) = match args.str("_blob") {
            Some(hash) => match look.blob_path(hash)? {
                Some(path) => (path, None),
                None => (src.to_owned(), Some(look.blob(hash)?)),
            },
            None if src.contains("://") => download(args, look, src)?,
            None => (src.to_owned(), None),
        };
        let is_named = path == src && bytes.is_none() && look.exists(src);
        let packing = match (&bytes, Packing::of_name(src).filter(|_| is_named)) {
            (Some(bytes), _) => Packing::of(bytes),
            (None, Some(packing)) => packing,
            (None, None) => Packing::of(&look.head(&path, 8).map_err(|error| {
                let msg = format!(
                    "Source '{src}' cannot be read on the host; without `remote_src` it is looked for on the control side"
                );
                Failure::io(msg, &error)
            })?),
        };
        Ok(Archive { args, look, dest, path, bytes, packing })
    }

    /// As the task calls it.
    fn src(&self) -> &str {
        self.args.str("src").unwrap_or(&self.path)
    }

    /// What is not on disk as it is in the archive; one line each.
    fn differing(&self) -> Result<Vec<String>, Failure> {
        if self.packing == Packing::Zip {
            return self.differing_zip();
        }
        let output = self.look.run(&self.tar(&["--diff"])?)?;
        let said = output.stdout_text() + &output.stderr_text();
        let lines: Vec<String> = said.lines().filter(|line| self.counts(line)).map(str::to_owned).collect();
        if output.code > 1 && lines.iter().any(|line| !is_difference(line)) {
            return Err(self.unreadable(&output));
        }
        let differing: Vec<String> = lines.into_iter().filter(|line| is_difference(line)).collect();
        if self.args.bool("keep_newer") { self.without_newer(differing) } else { Ok(differing) }
    }

    fn unreadable(&self, output: &Output) -> Failure {
        let packer = match self.packing {
            Packing::Gzip => "gzip",
            Packing::Bzip2 => "bzip2",
            Packing::Xz => "xz",
            Packing::Zstd => "zstd",
            Packing::Tar | Packing::Zip => "tar",
        };
        let hint = if self.look.which(packer).is_none() {
            format!(" (there is no {packer} on this host: install it first)")
        } else {
            String::new()
        };
        Failure::of_command(format!("Failed to find handler for \"{}\": tar cannot read it{hint}", self.src()), output)
    }

    /// What a task sets itself, and what only root can restore, makes no difference.
    fn counts(&self, line: &str) -> bool {
        let is_root = self.look.uid() == 0;
        let ignored = [
            (!is_root || self.args.has("owner"), ": Uid differs"),
            (!is_root || self.args.has("group"), ": Gid differs"),
            (!is_root || self.args.has("mode"), ": Mode differs"),
        ];
        let is_noise = line.contains("Removing leading") || line.contains("time stamp") || line.contains(": : Warning: ");
        !is_noise && !ignored.iter().any(|(applies, end)| *applies && line.ends_with(end))
    }

    /// Without those whose file on disk is newer than the one in the archive.
    fn without_newer(&self, differing: Vec<String>) -> Result<Vec<String>, Failure> {
        let listing = self.look.run(&self.tar(&["--list", "-v", "--full-time"])?.env("TZ", "UTC"))?.stdout_text();
        let times: Vec<(String, f64)> = listing.lines().filter_map(listed).collect();
        let is_older = |line: &String| {
            let Some((name, _)) = line.rsplit_once(": ") else { return true };
            let packed = times.iter().find(|(known, _)| known == name).map(|(_, time)| *time);
            let found = self.stat(name).map(|stat| stat.mtime);
            !matches!((packed, found), (Some(packed), Some(found)) if found >= packed)
        };
        Ok(differing.into_iter().filter(is_older).collect())
    }

    fn stat(&self, name: &str) -> Option<Stat> {
        self.look.stat(&format!("{}/{}", self.dest.trim_end_matches('/'), name.trim_end_matches('/')), false).ok().flatten()
    }

    fn differing_zip(&self) -> Result<Vec<String>, Failure> {
        Ok(self.zip_entries()?.into_iter().filter(|entry| !self.is_unpacked(entry)).map(|entry| entry.name).collect())
    }

    fn zip_entries(&self) -> Result<Vec<zip::Entry>, Failure> {
        let read = || self.look.read(&self.path).map_err(|error| Failure::io(format!("cannot read {}", self.path), &error));
        let bytes = self.bytes.clone().map_or_else(read, Ok)?;
        let entries = zip::entries(&bytes).ok_or_else(|| Failure::new(format!("{} is not a complete zip file", self.src())))?;
        Ok(entries.into_iter().filter(|entry| self.is_chosen(&entry.name)).collect())
    }

    fn is_chosen(&self, name: &str) -> bool {
        let matches = |arg: &str| self.args.list(arg).iter().any(|pattern| super::glob::is_match(pattern, name));
        !matches("exclude") && (!self.args.has("include") || self.args.list("include").is_empty() || matches("include"))
    }

    fn is_unpacked(&self, entry: &zip::Entry) -> bool {
        let Some(stat) = self.stat(&entry.name) else { return false };
        if entry.is_dir() {
            return stat.kind == "directory";
        }
        let path = format!("{}/{}", self.dest.trim_end_matches('/'), entry.name);
        let is_mode =
            self.args.has("mode") || entry.mode.is_none_or(|mode| mode & 0o777 == stat.mode & 0o777) || self.look.uid() != 0;
        let is_same = || stat.size == entry.size && self.look.read(&path).is_ok_and(|bytes| zip::crc32(&bytes) == entry.crc);
        stat.kind == "link" || is_mode && is_same()
    }

    /// Names of everything in the archive.
    fn names(&self) -> Result<Vec<String>, Failure> {
        if self.packing == Packing::Zip {
            return Ok(self.zip_entries()?.into_iter().map(|entry| entry.name).collect());
        }
        let output = self.look.run(&self.tar(&["--list", "--quoting-style=literal"])?)?;
        if !output.is_success() {
            return Err(self.unreadable(&output));
        }
        Ok(output.stdout_text().lines().map(str::to_owned).collect())
    }

    fn extract(&self, differing: &[String]) -> Result<Vec<Change>, Failure> {
        if self.packing == Packing::Zip {
            return self.unzip(differing);
        }
        let newer = if self.args.bool("keep_newer") { &["--extract", "--keep-newer-files"][..] } else { &["--extract"] };
        let act = Act::Run(Cmd { timeout: None, ..self.tar(newer)? });
        Ok(vec![Change::new(self.dest, Value::Null, differing.join("\n") + "\n", act)])
    }

    fn unzip(&self, differing: &[String]) -> Result<Vec<Change>, Failure> {
        let program = self.look.which("unzip").ok_or_else(|| Failure::new(NO_UNZIP))?;
        let path = if self.bytes.is_some() {
            format!("{}/.roll-{:x}.zip", self.dest.trim_end_matches('/'), (self.look.now() * 1e6) as u64)
        } else {
            self.path.clone()
        };
        let mut argv = vec![program, "-o".to_owned()];
        argv.extend(self.args.bool("keep_newer").then(|| "-u".to_owned()));
        argv.extend(self.args.list("extra_opts"));
        argv.push(path.clone());
        argv.extend(self.args.list("include"));
        let exclude = self.args.list("exclude");
        argv.extend((!exclude.is_empty()).then(|| "-x".to_owned()).into_iter().chain(exclude));
        argv.extend(["-d".to_owned(), self.dest.to_owned()]);
        let unpack = Change::new(self.dest, Value::Null, differing.join("\n") + "\n", Act::Run(Cmd::new(argv)));
        let Some(bytes) = &self.bytes else { return Ok(vec![unpack]) };
        // unzip reads from files only.
        let write =
            Write { attrs: Attrs { mode: Some(0o600), ..Attrs::default() }, ..Write::new(&path, Content::Bytes(bytes.clone())) };
        let put = Change::new(&path, Value::Null, Value::Null, Act::Write(write));
        let remove = Change::new(&path, Value::Null, Value::Null, Act::Remove { path: path.clone() });
        Ok(vec![put, unpack, remove])
    }

    fn tar(&self, command: &[&str]) -> Result<Cmd, Failure> {
        let missing = || Failure::new("there is no tar on this host: install it first");
        let program = self.look.which("gtar").or_else(|| self.look.which("tar")).ok_or_else(missing)?;
        let mut argv = vec![program];
        argv.extend(command.iter().map(|word| (*word).to_owned()));
        argv.extend(["-C".to_owned(), self.dest.to_owned()]);
        argv.extend(self.packing.option().map(str::to_owned));
        argv.extend(self.args.list("exclude").into_iter().map(|pattern| format!("--exclude={pattern}")));
        argv.extend(self.args.list("extra_opts"));
        argv.extend(["-f".to_owned(), if self.bytes.is_some() { "-".to_owned() } else { self.path.clone() }]);
        argv.extend(self.args.list("include"));
        let cmd = Cmd { stdin: self.bytes.clone(), ..Cmd::new(argv) };
        Ok(cmd.env("LC_ALL", "C").timeout(ASK))
    }
}

/// Where the archive has come to lie, or its bytes.
fn download(args: &Args, look: &dyn Look, url: &str) -> Result<(String, Option<Vec<u8>>), Failure> {
    let request = HttpRequest { skip_verify: !args.bool("validate_certs"), ..HttpRequest::get(url) };
    let (reply, path) = look.download(&request)?;
    if reply.status != 200 {
        return Err(Failure::new(format!("Failure downloading {url}, HTTP {} {}", reply.status, reply.reason)));
    }
    Ok(path.map_or_else(|| (url.to_owned(), Some(reply.body)), |path| (path, None)))
}

fn is_difference(line: &str) -> bool {
    line.ends_with(" differs")
        || line.ends_with(" differ")
        || line.contains(": Warning: Cannot ")
        || line.contains(": Not linked to ")
}

/// Name and time of a line such as `-rw-r--r-- root/root 3 2026-11-21 10:58:48 a/f`.
fn listed(line: &str) -> Option<(String, f64)> {
    let mut rest = line;
    let mut fields = Vec::new();
    for _ in 0..5 {
        let (field, after) = rest.trim_start().split_once(' ')?;
        fields.push(field);
        rest = after;
    }
    let date: Vec<i64> = fields[3].split('-').map_while(|part| part.parse().ok()).collect();
    let time: Vec<f64> = fields[4].split(':').map_while(|part| part.parse().ok()).collect();
    let ([year, month, day], [hours, minutes, seconds]) = (date.as_slice(), time.as_slice()) else { return None };
    let days = clock::days_from(*year, *month, *day);
    let name = rest.split(" -> ").next().unwrap_or(rest);
    Some((name.to_owned(), days as f64 * 86_400.0 + hours * 3600.0 + minutes * 60.0 + seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_read_as_names_and_times() {
        assert_eq!(listed("-rw-r--r-- root/root         3 1970-01-02 00:00:01 a/f b"), Some(("a/f b".to_owned(), 86_401.0)));
        assert_eq!(listed("lrwxrwxrwx root/root 0 2000-03-01 00:00:00 a/l -> f"), Some(("a/l".to_owned(), 951_868_800.0)));
        assert_eq!(listed("tar: nonsense"), None);
    }

    #[test]
    fn archives_are_known_by_their_first_bytes() {
        assert_eq!(Packing::of(&[0x1f, 0x8b, 8]), Packing::Gzip);
        assert_eq!(Packing::of(b"PK\x03\x04"), Packing::Zip);
        assert_eq!(Packing::of(b"a/file"), Packing::Tar);
        assert_eq!(Packing::of_name("X.TAR.GZ"), Some(Packing::Gzip));
        assert_eq!(Packing::of_name("data"), None);
    }
}
