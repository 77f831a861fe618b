//! The file that a module of this room looks after.

use super::openssl::Openssl;
use crate::modules::touch::Write;
use crate::modules::{Act, Args, Attrs, Change, Content, Done, Failure, Look, Plan, Stat};
use crate::value::{Map, Value};

pub(super) struct Target<'a> {
    pub(super) args: &'a Args,
    pub(super) look: &'a dyn Look,
    pub(super) path: &'a str,
    pub(super) found: Option<Stat>,
    /// Mode of a new file, where the task names none.
    mode: u32,
}

impl<'a> Target<'a> {
    pub(super) fn of(args: &'a Args, look: &'a dyn Look, mode: u32) -> Result<Target<'a>, Failure> {
        let path = args.required("path")?;
        let found = look.stat(path, true).map_err(|error| Failure::io(format!("cannot look at {path}"), &error))?;
        if found.as_ref().is_some_and(|found| found.kind == "directory") {
            return Err(Failure::new(format!("{path} is a directory; `path` must name a file")));
        }
        let parent = crate::modules::paths::parent(path);
        if !look.exists(parent) && args.str("state") != Some("absent") {
            return Err(Failure::new(format!("The directory {parent} does not exist or the file is not a directory")));
        }
        Ok(Target { args, look, path, found, mode })
    }

    pub(super) fn text(&self) -> Result<String, Failure> {
        let text = self.look.text(self.path).map_err(|error| Failure::io(format!("cannot read {}", self.path), &error))?;
        Ok(text.unwrap_or_default())
    }

    /// The whole plan of `state: absent`.
    pub(super) fn absent(&self) -> Plan {
        let mut plan = Plan::default();
        plan.set("filename", self.path);
        if self.found.is_some() {
            plan.push(Change::new(self.path, "present", "absent", Act::Remove { path: self.path.to_owned() }));
        }
        plan
    }

    /// Writes what `make` makes, unless it is there already; in check mode nothing is made.
    pub(super) fn settle(
        &self,
        is_settled: bool,
        make: impl FnOnce(&Openssl<'_>) -> Result<Vec<u8>, Failure>,
    ) -> Result<Plan, Failure> {
        let mut plan = Plan::default();
        plan.set("filename", self.path);
        let mut wanted = Attrs::wanted(self.args, self.look, self.found.as_ref(), false)?;
        if is_settled && !self.args.bool("force") {
            let change = self.found.as_ref().and_then(|found| wanted.change(self.look, self.path, found, true));
            plan.changes.extend(change);
            return Ok(plan);
        }
        if self.found.is_none() && wanted.mode.is_none() {
            wanted.mode = Some(self.mode);
        }
        let body = if self.look.is_check() { Vec::new() } else { make(&Openssl::on(self.look)?)? };
        let write = Write {
            attrs: wanted,
            backup: self.args.bool("backup") && self.found.is_some(),
            unsafe_writes: self.args.bool("unsafe_writes"),
            ..Write::new(self.path, Content::Bytes(body))
        };
        let before = if self.found.is_some() { "another" } else { "absent" };
        plan.push(Change::new(self.path, before, "present", Act::Write(write)));
        Ok(plan)
    }
}

/// What is there in the end; `content` is the name under which it is returned.
pub(super) fn finish(args: &Args, mut values: Map, done: &[Done], look: &dyn Look, content: &str) -> Result<Map, Failure> {
    for one in done {
        values.extend(
            one.values
                .iter()
                .filter(|(key, _)| key.as_str() == Some("backup_file"))
                .map(|(key, value)| (key.clone(), value.clone())),
        );
    }
    let path = args.required("path")?;
    if args.bool("return_content") {
        let text = look.text(path).map_err(|error| Failure::io(format!("cannot read {path}"), &error))?;
        let is_secret = content == "privatekey";
        values.insert(content.into(), text.map_or(Value::Null, |text| if is_secret { Value::secret(text) } else { text.into() }));
    }
    Ok(values)
}
