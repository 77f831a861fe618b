//! `openssh_keypair`: a key and its public half, by the host's `ssh-keygen`.

use crate::modules::attrs::{FILE_ARGS, describe};
use crate::modules::{
    Act, Arg, Args, Attrs, Change, Cmd, Content, Done, Failure, Kind, Look, Module, Plan, Stat, finish_plainly, paths,
    touch::Write,
};
use crate::value::{Map, Value};

pub(in crate::modules) const MODULE: Module = Module {
    name: "openssh_keypair",
    collection: "community.crypto",
    summary: "makes key pairs for OpenSSH",
    args: &[ARGS, FILE_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] =
    &[
        Arg::new("path", Kind::Path, "the private key; `.pub` is added for the public one").required(),
        Arg::new("state", Kind::Str, "whether it is there").default("present").choices(&["present", "absent"]),
        Arg::new("type", Kind::Str, "the algorithm").default("rsa").choices(&["rsa", "dsa", "rsa1", "ecdsa", "ed25519"]),
        Arg::new("size", Kind::Int, "bits; 4096 for rsa, 1024 for dsa, 256 for ecdsa if not given"),
        Arg::new("comment", Kind::Str, "what is written behind the public key"),
        Arg::new("force", Kind::Bool, "make it anew in any case").default("no"),
        Arg::new("passphrase", Kind::Str, "not built in: `user` makes keys with a passphrase").secret(),
        Arg::new("private_key_format", Kind::Str, "of a key that is made")
            .default("auto")
            .choices(&["auto", "pkcs1", "pkcs8", "ssh"]),
        Arg::new("regenerate", Kind::Str, "what becomes of a key that is not as wanted")
            .default("partial_idempotence")
            .choices(&["never", "fail", "partial_idempotence", "full_idempotence", "always"]),
        Arg::new("backend", Kind::Str, "the host's ssh-keygen is always used").inert().default("auto").choices(&[
            "auto",
            "cryptography",
            "opensshbin",
        ]),
    ];

struct Pair<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    path: &'a str,
    public: String,
}

/// What `ssh-keygen -l` says of a key.
struct Print {
    size: i64,
    fingerprint: String,
    comment: String,
    kind: String,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let pair = Pair::of(args, look)?;
    let mut plan = Plan::default();
    plan.set("filename", pair.path).set("type", pair.kind()).set("size", pair.size());
    let found = pair.stat(pair.path)?;
    if args.str("state") == Some("absent") {
        pair.remove(&mut plan)?;
        return Ok(plan);
    }
    pair.require(found.as_ref())?;
    if pair.must_make(found.is_some())? {
        pair.make(found.as_ref(), &mut plan)?;
    } else if let Some(found) = found {
        pair.settle(&found, &mut plan)?;
    }
    Ok(plan)
}

impl<'a> Pair<'a> {
    fn of(args: &'a Args, look: &'a dyn Look) -> Result<Pair<'a>, Failure> {
        let path = args.required("path")?;
        Ok(Pair { args, look, path, public: format!("{path}.pub") })
    }

    fn kind(&self) -> &str {
        self.args.str("type").unwrap_or("rsa")
    }

    fn size(&self) -> i64 {
        self.args.int("size").unwrap_or(match self.kind() {
            "dsa" => 1024,
            "ecdsa" | "ed25519" => 256,
            _ => 4096,
        })
    }

    fn stat(&self, path: &str) -> Result<Option<Stat>, Failure> {
        self.look.stat(path, true).map_err(|error| Failure::io(format_args!("cannot look at {path}"), &error))
    }

    fn remove(&self, plan: &mut Plan) -> Result<(), Failure> {
        for path in [self.path, &self.public] {
            if self.stat(path)?.is_some() {
                plan.push(Change::new(path, "present", "absent", Act::Remove { path: path.to_owned() }));
            }
        }
        Ok(())
    }

    fn require(&self, found: Option<&Stat>) -> Result<(), Failure> {
        if self.args.has("passphrase") {
            return Err(Failure::new("`passphrase` is not built in: `user` with `ssh_key_passphrase` makes such a key"));
        }
        if found.is_some_and(|found| found.kind == "directory") {
            return Err(Failure::new(format!("{} is a directory. Please specify a path to a file.", self.path)));
        }
        let dir = paths::parent(self.path);
        if self.stat(dir)?.is_none_or(|found| found.kind != "directory") {
            return Err(Failure::new(format!("The directory {dir} does not exist or the file is not a directory")));
        }
        match self.look.which("ssh-keygen") {
            Some(_) => Ok(()),
            None => Err(Failure::new("there is no ssh-keygen on this host; it comes with the package `openssh-client`")),
        }
    }

    fn must_make(&self, is_there: bool) -> Result<bool, Failure> {
        let regenerate = self.args.str("regenerate").unwrap_or_default();
        if !is_there || self.args.bool("force") || regenerate == "always" {
            return Ok(true);
        }
        let print = self.print()?;
        let is_readable = print.is_some();
        let is_as_wanted =
            print.is_some_and(|print| print.kind == self.kind() && (self.kind() == "ed25519" || print.size == self.size()));
        match regenerate {
            _ if is_as_wanted => Ok(false),
            "never" => Ok(false),
            "full_idempotence" => Ok(true),
            "partial_idempotence" if is_readable => Ok(true),
            _ if is_readable => Err(Failure::new(
                "Key has wrong type and/or size. Will not proceed. To force regeneration, call the module with `regenerate` set to \
                 `partial_idempotence`, `full_idempotence` or `always`, or with `force=true`.",
            )),
            _ => Err(Failure::new(
                "Unable to read the key. The key is protected with a passphrase or broken. Will not proceed. To force regeneration, \
                 call the module with `regenerate` set to `full_idempotence` or `always`, or with `force=true`.",
            )),
        }
    }

    fn print(&self) -> Result<Option<Print>, Failure> {
        let output = self.look.run(&Cmd::new(["ssh-keygen", "-lf", self.path]))?;
        Ok(output.is_success().then(|| Print::read(&output.stdout_text())).flatten())
    }

    fn make(&self, found: Option<&Stat>, plan: &mut Plan) -> Result<(), Failure> {
        let mut argv: Vec<String> = ["ssh-keygen", "-q", "-t", self.kind()].map(str::to_owned).to_vec();
        if self.kind() != "ed25519" {
            argv.extend(["-b".to_owned(), self.size().to_string()]);
        }
        match self.args.str("private_key_format") {
            Some("pkcs1") => argv.extend(["-m".to_owned(), "PEM".to_owned()]),
            Some("pkcs8") => argv.extend(["-m".to_owned(), "PKCS8".to_owned()]),
            _ => {}
        }
        let comment = self.args.str("comment").unwrap_or_default();
        argv.extend(["-N", "", "-C", comment, "-f", self.path].map(str::to_owned));
        let mut cmd = Cmd::new(argv);
        if found.is_some() {
            // It asks whether to overwrite.
            cmd = cmd.stdin("y\n");
        }
        let before = if found.is_some() { Value::from("another key") } else { Value::Null };
        let after = Map::from_iter([("type".into(), Value::from(self.kind())), ("size".into(), self.size().into())]);
        plan.push(Change::new(self.path, before, after, Act::Run(cmd)));
        let wanted = Attrs::wanted(self.args, self.look, None, false)?;
        self.dress(self.path, wanted.clone(), plan);
        self.dress(&self.public, Attrs { mode: None, flags: None, ..wanted }, plan);
        Ok(())
    }

    fn dress(&self, path: &str, attrs: Attrs, plan: &mut Plan) {
        if !attrs.is_empty() {
            plan.push(Change::step(path, Act::SetAttrs { path: path.to_owned(), attrs, follow: true }));
        }
    }

    /// A key that is as wanted: its public half, its comment, its owner.
    fn settle(&self, found: &Stat, plan: &mut Plan) -> Result<(), Failure> {
        let wanted = Attrs::wanted(self.args, self.look, Some(found), false)?;
        plan.changes.extend(wanted.change(self.look, self.path, found, true));
        let public = self.stat(&self.public)?;
        match (&public, self.args.str("comment")) {
            (Some(_), Some(comment)) if self.comment()? != comment => {
                let cmd = Cmd::new(["ssh-keygen", "-q", "-c", "-C", comment, "-f", self.path]);
                plan.push(Change::new(&self.public, self.comment()?, comment, Act::Run(cmd)));
            }
            (None, comment) => {
                plan.push(self.write_public(comment, &wanted)?);
            }
            _ => {}
        }
        let wanted = Attrs { mode: None, flags: None, ..wanted };
        plan.changes.extend(public.and_then(|found| wanted.change(self.look, &self.public, &found, true)));
        Ok(())
    }

    fn write_public(&self, comment: Option<&str>, wanted: &Attrs) -> Result<Change, Failure> {
        let output = self.look.run(&Cmd::new(["ssh-keygen", "-yf", self.path]))?;
        if !output.is_success() {
            return Err(Failure::of_command("cannot read the public key", &output));
        }
        let text = output.stdout_text();
        let key: Vec<&str> = text.split_whitespace().take(if comment.is_some() { 2 } else { usize::MAX }).collect();
        let line = key.into_iter().chain(comment).collect::<Vec<_>>().join(" ") + "\n";
        let attrs = Attrs { mode: Some(0o644), flags: None, ..wanted.clone() };
        let write = Write { attrs, ..Write::new(self.public.as_str(), Content::Bytes(line.clone().into_bytes())) };
        Ok(Change::new(&self.public, Value::Null, line, Act::Write(write)))
    }

    /// What stands behind the public key.
    fn comment(&self) -> Result<String, Failure> {
        let text = self.public_text()?;
        Ok(text.trim().splitn(3, ' ').nth(2).unwrap_or_default().to_owned())
    }

    fn public_text(&self) -> Result<String, Failure> {
        let read = self.look.text(&self.public);
        let text = read.map_err(|error| Failure::io(format_args!("cannot read {}", self.public), &error))?;
        Ok(text.unwrap_or_default())
    }
}

impl Print {
    /// `256 SHA256:…= a comment (ED25519)`.
    fn read(line: &str) -> Option<Print> {
        let (size, rest) = line.trim().split_once(' ')?;
        let (fingerprint, rest) = rest.split_once(' ')?;
        let (comment, kind) = rest.rsplit_once('(')?;
        let comment = comment.trim().trim_start_matches("no comment").to_owned();
        let kind = kind.trim_end_matches(')').to_lowercase();
        Some(Print { size: size.parse().ok()?, fingerprint: fingerprint.to_owned(), comment, kind })
    }
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let mut values = finish_plainly(args, values, done, look)?;
    let pair = Pair::of(args, look)?;
    if args.str("state") == Some("absent") {
        return Ok(values);
    }
    describe(look, pair.path, &mut values);
    values.insert("size".into(), pair.size().into());
    if let Some(print) = pair.print()? {
        values.insert("size".into(), print.size.into());
        values.insert("type".into(), print.kind.into());
        values.insert("fingerprint".into(), print.fingerprint.into());
        values.insert("comment".into(), print.comment.into());
    }
    values.insert("public_key".into(), pair.public_text()?.trim().into());
    Ok(values)
}
