//! `mount_facts`: what is mounted, and what should be, from the tables of one's choice.

use super::facts::hardware::{sizes, unescaped, uuids};
use super::{Arg, Args, Cmd, Failure, Kind, Look, Module, Output, Plan, Space, finish_plainly, glob, paths};
use crate::value::{Map, Value};
use std::collections::HashSet;
use std::time::Duration;

pub(super) static MODULE: Module = Module {
    name: "mount_facts",
    collection: "ansible.builtin",
    summary: "mounts as facts, from the tables of one's choice",
    args: &[&[
        Arg::new("devices", Kind::List, "only devices that match one of these patterns"),
        Arg::new("fstypes", Kind::List, "only kinds of file systems that match one of these patterns"),
        Arg::new("sources", Kind::List, "tables to read: paths, `mount`, `dynamic`, `static` or `all`"),
        Arg::new("mount_binary", Kind::Raw, "the program that lists mounts where no table does; null: none")
            .default("mount")
            .keeps_null(),
        Arg::new("timeout", Kind::Float, "seconds for a network file system to answer"),
        Arg::new("on_timeout", Kind::Str, "what its silence is").choices(&["error", "warn", "ignore"]).default("error"),
        Arg::new("include_aggregate_mounts", Kind::Bool, "list the mounts that others cover, too; unsaid, it is a warning"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// Tables of what is mounted.
const DYNAMIC: &[&str] = &["/etc/mtab", "/proc/mounts", "/etc/mnttab"];
/// Tables of what should be.
const STATIC: &[&str] = &["/etc/fstab", "/etc/vfstab"];
/// A network file system is asked by a program, which can be left alone.
const PATIENCE: Duration = Duration::from_secs(30);

/// A line of a table.
struct Entry {
    source: String,
    line: String,
    device: String,
    mount: String,
    fstype: String,
    options: String,
    dump: Option<i64>,
    passno: Option<i64>,
}

struct Mounts<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    uuids: Vec<(String, String)>,
    warnings: Vec<String>,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    if let Some(timeout) = args.float("timeout").filter(|timeout| *timeout <= 0.0) {
        return Err(Failure::new(format!("argument 'timeout' must be a positive number or null, not {timeout}")));
    }
    let mut mounts = Mounts { args, look, uuids: uuids(look), warnings: Vec::new() };
    let (mut points, mut all) = (Map::new(), Vec::new());
    let mut repeated: Vec<(String, Vec<String>)> = Vec::new();
    for entry in mounts.entries()? {
        let is_first = !points.contains_key(entry.mount.as_str());
        let described = mounts.described(&entry)?;
        if is_first {
            points.insert(entry.mount.as_str().into(), described.clone());
        } else {
            match repeated.iter_mut().find(|(source, _)| *source == entry.source) {
                Some((_, names)) => names.push(entry.mount.clone()),
                None => repeated.push((entry.source.clone(), vec![entry.mount.clone()])),
            }
        }
        all.push(described);
    }
    let is_aggregate = args.has("include_aggregate_mounts").then(|| args.bool("include_aggregate_mounts"));
    if is_aggregate.is_none() && !repeated.is_empty() {
        let told: Vec<String> = repeated.iter().map(|(source, names)| format!("{source} ({})", names.join(", "))).collect();
        mounts.warnings.push(format!(
            "mount_facts: ignoring repeat mounts in the following sources: {}. `include_aggregate_mounts` lists them, or says \
             that they do not matter",
            told.join(", ")
        ));
    }
    let mut plan = Plan::default();
    let aggregate = if is_aggregate == Some(true) { all } else { Vec::new() };
    let facts = [("mount_points".into(), points.into()), ("aggregate_mounts".into(), aggregate.into())];
    plan.set("ansible_facts", Map::from_iter(facts));
    if !mounts.warnings.is_empty() {
        plan.set("warnings", mounts.warnings);
    }
    Ok(plan)
}

impl Mounts<'_> {
    /// Every mount of every source that is wanted, in their order.
    fn entries(&mut self) -> Result<Vec<Entry>, Failure> {
        let said = self.args.list("sources");
        let said = if said.is_empty() { vec!["all".to_owned()] } else { said };
        let (mut entries, mut seen) = (Vec::new(), HashSet::new());
        for source in &said {
            match source.as_str() {
                "" => return Err(Failure::new("sources contains an empty string")),
                "dynamic" => self.dynamic(&mut seen, &mut entries)?,
                "static" => STATIC.iter().for_each(|path| self.of_file(path, &mut seen, &mut entries)),
                "all" => {
                    self.dynamic(&mut seen, &mut entries)?;
                    STATIC.iter().for_each(|path| self.of_file(path, &mut seen, &mut entries));
                }
                path if path.starts_with('/') && Some(path) != self.binary().as_deref() => {
                    self.of_file(path, &mut seen, &mut entries);
                }
                "mount" => self.of_program(&mut seen, &mut entries)?,
                other if Some(other) == self.binary().as_deref() => self.of_program(&mut seen, &mut entries)?,
                _ => {}
            }
        }
        entries.retain(|entry| self.is_wanted(entry));
        Ok(entries)
    }

    fn is_wanted(&self, entry: &Entry) -> bool {
        let matches = |arg: &str, text: &str| {
            let patterns = self.args.list(arg);
            patterns.is_empty() || patterns.iter().any(|pattern| glob::is_match(pattern, text))
        };
        matches("devices", &entry.device) && matches("fstypes", &entry.fstype)
    }

    fn binary(&self) -> Option<String> {
        self.args.get("mount_binary").filter(|value| !value.is_null()).map(|value| value.to_text().to_string())
    }

    /// The program lists what no table does.
    fn dynamic(&self, seen: &mut HashSet<String>, entries: &mut Vec<Entry>) -> Result<(), Failure> {
        let before = entries.len();
        DYNAMIC.iter().for_each(|path| self.of_file(path, seen, entries));
        if entries.len() == before && self.binary().is_some() { self.of_program(seen, entries) } else { Ok(()) }
    }

    /// Each file once, by whatever name.
    fn of_file(&self, path: &str, seen: &mut HashSet<String>, entries: &mut Vec<Entry>) {
        if seen.insert(paths::real(self.look, path)) {
            let text = self.look.text(path).ok().flatten().unwrap_or_default();
            entries.extend(text.lines().filter_map(|line| of_table(path, line)));
        }
    }

    fn of_program(&self, seen: &mut HashSet<String>, entries: &mut Vec<Entry>) -> Result<(), Failure> {
        let Some(binary) = self.binary().filter(|binary| seen.insert(binary.clone())) else { return Ok(()) };
        let program = self.look.require(&binary, "")?;
        let output = self.look.run(&Cmd::new([program.as_str()]).timeout(self.patience()))?;
        entries.extend(output.stdout_text().lines().filter_map(|line| of_listing(&binary, line)));
        Ok(())
    }

    fn patience(&self) -> Duration {
        self.args.float("timeout").map_or(PATIENCE, Duration::from_secs_f64)
    }

    fn described(&mut self, entry: &Entry) -> Result<Value, Failure> {
        let context = [("source".into(), entry.source.as_str().into()), ("source_data".into(), entry.line.as_str().into())];
        let mut found = Map::from_iter([
            ("device".into(), entry.device.as_str().into()),
            ("mount".into(), entry.mount.as_str().into()),
            ("fstype".into(), entry.fstype.as_str().into()),
            ("options".into(), entry.options.as_str().into()),
            ("uuid".into(), self.uuid(&entry.device).map(Value::from).unwrap_or_default()),
            ("ansible_context".into(), Map::from_iter(context).into()),
        ]);
        let numbers = [("dump", entry.dump), ("passno", entry.passno)];
        found.extend(numbers.into_iter().filter_map(|(name, number)| Some((name.into(), number?.into()))));
        if let Some(space) = self.space(entry)? {
            found.extend(sizes(&space));
        }
        Ok(found.into())
    }

    fn uuid(&self, device: &str) -> Option<String> {
        let name = device.strip_prefix("/dev/");
        let known = || self.uuids.iter().find(|(other, _)| Some(other.as_str()) == name).map(|(_, uuid)| uuid.clone());
        device.strip_prefix("UUID=").map(|uuid| uuid.trim_matches('"').to_owned()).or_else(known)
    }

    /// What is not mounted has no size. A server that is gone must not hold up the host, so a program asks it, for a while.
    fn space(&mut self, entry: &Entry) -> Result<Option<Space>, Failure> {
        if !entry.device.contains(":/") && !entry.device.starts_with("//") {
            let is_there = self.look.stat(&entry.mount, true).ok().flatten().is_some();
            return Ok(is_there.then(|| self.look.space(&entry.mount).ok()).flatten());
        }
        let cmd =
            Cmd::new(["stat", "--file-system", "--format", "%S %b %a %c %d", entry.mount.as_str()]).timeout(self.patience());
        match self.look.run(&cmd) {
            Ok(output) if Output::is_success(&output) => {
                let text = output.stdout_text();
                let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
                let [block_size, blocks, blocks_available, inodes, inodes_available] = numbers[..] else { return Ok(None) };
                Ok(Some(Space { block_size, blocks, blocks_available, inodes, inodes_available }))
            }
            Ok(_) => Ok(None),
            Err(failure) => {
                let told = format!("Timed out getting mount size for mount {} (type {})", entry.mount, entry.fstype);
                match self.args.str("on_timeout") {
                    Some("ignore") => {}
                    Some("warn") => self.warnings.push(told),
                    _ => return Err(Failure::new(format!("{told}: {}", failure.msg))),
                }
                Ok(None)
            }
        }
    }
}

/// `/dev/vda1 / ext4 rw 0 1`.
fn of_table(source: &str, line: &str) -> Option<Entry> {
    let line = line.trim();
    let fields: Vec<&str> = line.split_whitespace().take_while(|field| !field.starts_with('#')).collect();
    let [device, mount, fstype, options, numbers @ ..] = fields.as_slice() else { return None };
    let number = |at: usize| numbers.get(at).and_then(|text| text.parse().ok());
    Some(Entry {
        source: source.to_owned(),
        line: line.to_owned(),
        device: unescaped(device),
        mount: unescaped(mount),
        fstype: (*fstype).to_owned(),
        options: (*options).to_owned(),
        dump: number(0),
        passno: number(1),
    })
}

/// `/dev/vda1 on / type ext4 (rw,relatime)`.
fn of_listing(source: &str, line: &str) -> Option<Entry> {
    let (device, rest) = line.split_once(" on ")?;
    let (mount, rest) = rest.rsplit_once(" type ")?;
    let (fstype, options) = rest.split_once(' ')?;
    let options = options.trim().strip_prefix('(')?.split_once(')')?.0;
    let [device, mount, fstype, options] = [device, mount, fstype, options].map(str::to_owned);
    Some(Entry { source: source.to_owned(), line: line.to_owned(), device, mount, fstype, options, dump: None, passno: None })
}
