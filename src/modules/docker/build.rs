//! How an image is built: the command line that a task's options stand for, and where its context comes from.
//!
//! A context is a directory of the host. Where the host has none of that name but the control side has, its tar comes as a body
//! (see `actions::docker_image`) and goes to the client's standard input: nothing of it stays on the host.

use super::engine::Engine;
use crate::modules::{Cmd, Failure};
use crate::value::{Map, Value};

pub(super) struct Recipe<'a> {
    /// `path`, `dockerfile`, `args` and the like.
    pub(super) options: &'a Map,
    /// The sha256 of the tar that the control side can send.
    pub(super) context: Option<&'a str>,
    pub(super) platforms: Vec<String>,
}

impl Recipe<'_> {
    fn text(&self, key: &str) -> Option<String> {
        self.options.get(key).filter(|value| !value.is_null()).map(|value| value.to_text().as_str().to_owned())
    }

    fn is_set(&self, key: &str) -> bool {
        self.options.get(key).and_then(Value::to_bool).unwrap_or(false)
    }

    /// The whole command; the context is its last word.
    pub(super) fn command(&self, engine: &Engine<'_>, name: &str) -> Result<Cmd, Failure> {
        let path =
            self.text("path").ok_or_else(|| Failure::new("build: `path` is missing: the directory of the build context"))?;
        // A relative path is the control side's, if it has it.
        let is_own = path.starts_with('/') || self.context.is_none();
        let is_here = path.contains("://") || is_own && engine.look.exists(&path);
        if !is_here && self.context.is_none() {
            return Err(Failure::new(format!(
                "build: {path} does not exist on the host, and the control side has no such directory to send either"
            )));
        }
        let mut cmd = engine.cli(&["build", "--tag", name])?;
        let mut option = |name: &str, value: String| cmd.argv.extend([name.to_owned(), value]);
        if let Some(file) = self.text("dockerfile") {
            // In a tar it is seen from the root of the context.
            option("--file", if file.starts_with('/') || !is_here { file } else { format!("{path}/{file}") });
        }
        for (key, name) in [("target", "--target"), ("network", "--network"), ("shm_size", "--shm-size")] {
            if let Some(value) = self.text(key) {
                option(name, value);
            }
        }
        if !self.platforms.is_empty() {
            option("--platform", self.platforms.join(","));
        }
        for (key, name, separator) in [("args", "--build-arg", '='), ("labels", "--label", '='), ("etc_hosts", "--add-host", ':')]
        {
            for (name_inside, value) in self.options.get(key).and_then(Value::as_map).into_iter().flatten() {
                option(name, format!("{name_inside}{separator}{}", value.to_text().as_str()));
            }
        }
        for image in self.options.get("cache_from").and_then(Value::as_list).unwrap_or_default() {
            option("--cache-from", image.to_text().as_str().to_owned());
        }
        for (key, flag) in [("nocache", "--no-cache"), ("pull", "--pull")] {
            if self.is_set(key) {
                cmd.argv.push(flag.to_owned());
            }
        }
        match self.context.filter(|_| !is_here) {
            None => cmd.argv.push(path),
            Some(hash) => {
                cmd.argv.push("-".to_owned());
                if !engine.look.is_check() {
                    cmd.stdin = Some(engine.look.blob(hash)?);
                }
            }
        }
        engine.look.say(&format!("building {name}"));
        Ok(cmd)
    }
}
