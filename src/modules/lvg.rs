//! `lvg`: a volume group of LVM, its physical volumes, and whether its logical volumes are active.

use super::{Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Output, Plan, Rule, finish_plainly, paths, words};
use crate::value::Value;
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "lvg",
    collection: "community.general",
    summary: "makes, resizes and removes volume groups of LVM",
    args: &[ARGS],
    rules: &[Rule::If("reset_pv_uuid", "True", &["pvs"])],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[
    Arg::new("vg", Kind::Str, "the volume group").required(),
    Arg::new("pvs", Kind::List, "the devices that it is made of; those that are no physical volumes yet become some"),
    Arg::new("pesize", Kind::Str, "size of an extent of a new group: `4` (megabytes), `128K`").default("4"),
    Arg::new("pv_options", Kind::Str, "more options for pvcreate").default(""),
    Arg::new("pvresize", Kind::Bool, "let physical volumes grow to the size of their devices").default("no"),
    Arg::new("vg_options", Kind::Str, "more options for vgcreate").default(""),
    Arg::new("state", Kind::Str, "whether it is there, and whether its logical volumes are active")
        .choices(&["absent", "present", "active", "inactive"])
        .default("present"),
    Arg::new("force", Kind::Bool, "remove it with the logical volumes that it has").default("no"),
    Arg::new("reset_vg_uuid", Kind::Bool, "give it another UUID, each time").default("no"),
    Arg::new("reset_pv_uuid", Kind::Bool, "give the devices of `pvs` other UUIDs, each time").default("no"),
    Arg::new("remove_extra_pvs", Kind::Bool, "take out physical volumes that are not in `pvs`").default("yes"),
];

const ASK: Duration = Duration::from_secs(120);
const AUTOACTIVATION: &str = "--setautoactivation";
/// What pvdisplay is asked about a physical volume, in this order.
const SIZES: &str = "dev_size,pv_size,pe_start,vg_extent_size";

/// One volume group of a host, as a task wants it.
struct Group<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    name: &'a str,
    /// Devices of the task, each once.
    wanted: Vec<String>,
    plan: Plan,
}

/// A physical volume; `group` is empty where it belongs to none.
struct Volume {
    device: String,
    real: String,
    group: String,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let name = args.required("vg")?;
    let groups = rows(look, "vgs", &["-o", "vg_name,lv_count"])?;
    let found = groups.into_iter().find(|row| field(row, 0) == name);
    let mut group = Group { args, look, name, wanted: Vec::new(), plan: Plan::default() };
    match (args.str("state"), found) {
        (Some("absent"), found) => group.remove(found.as_deref())?,
        (_, None) => group.create()?,
        (_, Some(_)) => group.correct()?,
    }
    Ok(group.plan)
}

/// Asks a reporting program of LVM; options are those of all of them.
pub(super) fn ask(look: &dyn Look, program: &str, options: &[&str]) -> Result<Output, Failure> {
    let tool = look.require(program, "lvm2")?;
    let argv = [tool.as_str(), "--noheadings", "--separator", ";"].into_iter().chain(options.iter().copied());
    look.run(&Cmd::new(argv).timeout(ASK))
}

/// What it says, split into fields.
pub(super) fn rows(look: &dyn Look, program: &str, options: &[&str]) -> Result<Vec<Vec<String>>, Failure> {
    split(program, &ask(look, program, options)?)
}

pub(super) fn split(program: &str, output: &Output) -> Result<Vec<Vec<String>>, Failure> {
    if !output.is_success() {
        return Err(Failure::of_command(format_args!("{program} cannot tell what LVM has (it needs root)"), output));
    }
    let fields = |line: &str| line.trim().split(';').map(|field| field.trim().to_owned()).collect();
    let text = output.stdout_text();
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(fields).collect())
}

pub(super) fn field(row: &[String], at: usize) -> &str {
    row.get(at).map_or("", String::as_str)
}

pub(super) fn options(args: &Args, name: &str) -> Result<Vec<String>, Failure> {
    words::split(args.str(name).unwrap_or_default()).map_err(|problem| Failure::new(format!("`{name}`: {problem}")))
}

impl Group<'_> {
    fn push(&mut self, program: &str, words: Vec<String>, what: &str, before: Value, after: Value) -> Result<(), Failure> {
        let program = self.look.require(program, "lvm2")?;
        let run = Change::run(what, Cmd::new(std::iter::once(program).chain(words)));
        self.plan.push(Change { before, after, ..run });
        Ok(())
    }

    /// A command about the group itself.
    fn act(&mut self, program: &str, words: &[&str], before: Value, after: Value) -> Result<(), Failure> {
        let words = words.iter().copied().chain([self.name]).map(str::to_owned).collect();
        self.push(program, words, &format!("volume group {}", self.name), before, after)
    }

    fn remove(&mut self, found: Option<&[String]>) -> Result<(), Failure> {
        let Some(found) = found else { return Ok(()) };
        let count = field(found, 1);
        if count != "0" && !self.args.bool("force") {
            let name = self.name;
            return Err(Failure::new(format!(
                "volume group {name} has logical volumes ({count}): `force: true` removes them too"
            )));
        }
        self.act("vgremove", &["--force"], Value::pair("state", "present"), Value::pair("state", "absent"))
    }

    /// Every device of the task must be there.
    fn find_devices(&mut self) -> Result<(), Failure> {
        let mut known: Vec<String> = Vec::new();
        for device in self.args.list("pvs").into_iter().filter(|device| !device.is_empty()) {
            let stat = self.look.stat(&device, true);
            if stat.map_err(|error| Failure::io(format_args!("cannot look at {device}"), &error))?.is_none() {
                return Err(Failure::new(format!(
                    "there is no device {device} on this host; `lsblk` lists those that are there"
                )));
            }
            let real = paths::real(self.look, &device);
            if !known.contains(&real) {
                known.push(real);
                self.wanted.push(device);
            }
        }
        Ok(())
    }

    fn volumes(&self) -> Result<Vec<Volume>, Failure> {
        let rows = rows(self.look, "pvs", &["-o", "pv_name,vg_name"])?;
        let volume = |row: Vec<String>| {
            let device = field(&row, 0).to_owned();
            Volume { real: paths::real(self.look, &device), group: field(&row, 1).to_owned(), device }
        };
        Ok(rows.into_iter().map(volume).collect())
    }

    /// Devices of the task that are not in the group; one of another group cannot become part of this one.
    fn missing(&self, volumes: &[Volume]) -> Result<Vec<String>, Failure> {
        let mut missing = Vec::new();
        for device in &self.wanted {
            let real = paths::real(self.look, device);
            match volumes.iter().find(|volume| volume.real == real).map(|volume| volume.group.as_str()) {
                Some(group) if group == self.name => {}
                Some(group) if !group.is_empty() => {
                    let msg = format!("{device} belongs to volume group {group}: `vgreduce {group} {device}` takes it out there");
                    return Err(Failure::new(msg));
                }
                _ => missing.push(device.clone()),
            }
        }
        Ok(missing)
    }

    fn make_volumes(&mut self, devices: &[String]) -> Result<(), Failure> {
        let options = options(self.args, "pv_options")?;
        for device in devices {
            let words = options.iter().cloned().chain(["-f".to_owned(), device.clone()]).collect();
            self.push("pvcreate", words, device, Value::Null, Value::pair("state", "physical volume"))?;
        }
        Ok(())
    }

    fn create(&mut self) -> Result<(), Failure> {
        self.find_devices()?;
        if self.wanted.is_empty() {
            return Err(Failure::new(format!("there is no volume group {}: `pvs` names the devices to make it of", self.name)));
        }
        let size = self.args.str("pesize").unwrap_or("4");
        if !is_size(size) {
            return Err(Failure::new(format!("`pesize` is a number with a unit (`32`, `128K`, `1G`), not \"{size}\"")));
        }
        let devices = self.missing(&self.volumes()?)?;
        let mut words = options(self.args, "vg_options")?;
        let is_given = words.iter().any(|word| word.starts_with(AUTOACTIVATION));
        if let Some(answer) = self.is_active_wanted().filter(|_| !is_given)
            && self.has_autoactivation("vgcreate")?
        {
            words.extend([AUTOACTIVATION, yes(answer)].map(str::to_owned));
        }
        words.extend(["-s", size, self.name].map(str::to_owned));
        words.extend(devices.iter().cloned());
        self.make_volumes(&devices)?;
        let what = format!("volume group {}", self.name);
        self.push("vgcreate", words, &what, Value::Null, Value::pair("pvs", devices))
    }

    /// None where the task does not say.
    fn is_active_wanted(&self) -> Option<bool> {
        match self.args.str("state") {
            Some("active") => Some(true),
            Some("inactive") => Some(false),
            _ => None,
        }
    }

    /// Old versions of LVM do not know of it.
    fn has_autoactivation(&self, program: &str) -> Result<bool, Failure> {
        let tool = self.look.require(program, "lvm2")?;
        let output = self.look.run(&Cmd::new([tool.as_str(), "--help"]).timeout(ASK))?;
        Ok((output.stdout_text() + &output.stderr_text()).contains(AUTOACTIVATION))
    }

    /// A group that is there.
    fn correct(&mut self) -> Result<(), Failure> {
        self.find_devices()?;
        let volumes = self.volumes()?;
        let missing = self.missing(&volumes)?;
        if let Some(is_active) = self.is_active_wanted() {
            self.activate(is_active)?;
        }
        if self.args.bool("reset_vg_uuid") {
            self.act("vgchange", &["-u"], Value::Null, Value::pair("uuid", "another one"))?;
        }
        if self.args.bool("reset_pv_uuid") {
            for device in self.wanted.clone().iter().filter(|device| !missing.contains(device)) {
                let words = vec!["-u".to_owned(), device.clone()];
                self.push("pvchange", words, device, Value::Null, Value::pair("uuid", "another one"))?;
            }
        }
        if self.wanted.is_empty() {
            return Ok(());
        }
        let mine: Vec<&Volume> = volumes.iter().filter(|volume| volume.group == self.name).collect();
        self.resize(&mine)?;
        self.extend(&mine, &missing)?;
        self.reduce(&mine, &missing)
    }

    fn activate(&mut self, is_wanted: bool) -> Result<(), Failure> {
        if self.has_autoactivation("vgchange")? {
            // By itself: a group without volumes has no row where one asks for both.
            let rows = rows(self.look, "vgs", &["-o", "vg_autoactivation", self.name])?;
            let is_auto = rows.iter().any(|row| field(row, 0) == "enabled");
            if is_auto != is_wanted {
                let word = |is_auto| Value::pair("autoactivation", if is_auto { "enabled" } else { "disabled" });
                self.act("vgchange", &[AUTOACTIVATION, yes(is_wanted)], word(is_auto), word(is_wanted))?;
            }
        }
        let rows = rows(self.look, "vgs", &["-o", "lv_attr", self.name])?;
        if rows.iter().any(|row| is_activation_due(field(row, 0), is_wanted)) {
            let word = |is_active| Value::pair("state", if is_active { "active" } else { "inactive" });
            self.act("vgchange", &["--activate", yes(is_wanted)], word(!is_wanted), word(is_wanted))?;
        }
        Ok(())
    }

    /// Physical volumes whose devices have room for an extent more.
    fn resize(&mut self, mine: &[&Volume]) -> Result<(), Failure> {
        if !self.args.bool("pvresize") {
            return Ok(());
        }
        for volume in mine {
            let options = ["--columns", "--units", "b", "--nosuffix", "-o", SIZES, volume.device.as_str()];
            let row = rows(self.look, "pvdisplay", &options)?.into_iter().next().unwrap_or_default();
            let sizes: Option<Vec<u64>> = row.iter().map(|size| size.parse().ok()).collect();
            let Some([device, size, start, extent]) = sizes.as_deref() else {
                let device = &volume.device;
                return Err(Failure::new(format!("pvdisplay says nothing about {device} that can be read: {}", row.join(";"))));
            };
            if device.saturating_sub(*start).saturating_sub(*size) >= (*extent).max(1) {
                let words = vec![volume.device.clone()];
                self.push("pvresize", words, &volume.device, Value::pair("size", *size), Value::pair("size", *device))?;
            }
        }
        Ok(())
    }

    fn extend(&mut self, mine: &[&Volume], missing: &[String]) -> Result<(), Failure> {
        if missing.is_empty() {
            return Ok(());
        }
        let before: Vec<String> = mine.iter().map(|volume| volume.device.clone()).collect();
        let after: Vec<String> = before.iter().chain(missing).cloned().collect();
        self.make_volumes(missing)?;
        let words = std::iter::once(self.name.to_owned()).chain(missing.iter().cloned()).collect();
        self.push(
            "vgextend",
            words,
            &format!("volume group {}", self.name),
            Value::pair("pvs", before),
            Value::pair("pvs", after),
        )
    }

    fn reduce(&mut self, mine: &[&Volume], missing: &[String]) -> Result<(), Failure> {
        let reals: Vec<String> = self.wanted.iter().map(|device| paths::real(self.look, device)).collect();
        let (kept, extra): (Vec<&Volume>, Vec<&Volume>) = mine.iter().partition(|volume| reals.contains(&volume.real));
        if extra.is_empty() || !self.args.bool("remove_extra_pvs") {
            return Ok(());
        }
        let all = |volumes: &[&Volume]| -> Vec<String> {
            volumes.iter().map(|volume| volume.device.clone()).chain(missing.iter().cloned()).collect()
        };
        let (before, after) = (Value::pair("pvs", all(mine)), Value::pair("pvs", all(&kept)));
        let words = ["--force".to_owned(), self.name.to_owned()].into_iter();
        let words = words.chain(extra.iter().map(|volume| volume.device.clone())).collect();
        self.push("vgreduce", words, &format!("volume group {}", self.name), before, after)
    }
}

fn yes(is_it: bool) -> &'static str {
    if is_it { "y" } else { "n" }
}

/// Whether a logical volume with these attributes is not as wanted. One that is skipped when its group is activated (`k`) stays as
/// it is; a group without logical volumes has an empty one.
fn is_activation_due(attributes: &str, is_wanted: bool) -> bool {
    let is_active = attributes.chars().nth(4) == Some('a');
    let is_skipped = is_wanted && attributes.chars().nth(9) == Some('k');
    !attributes.is_empty() && !is_skipped && is_active != is_wanted
}

fn is_size(text: &str) -> bool {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    text.len() - number.len() <= 1 && number.parse::<f64>().is_ok_and(|number| number > 0.0)
}
