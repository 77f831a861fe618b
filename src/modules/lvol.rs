//! `lvol`: a logical volume of LVM, a snapshot of one, or a thin pool: its size, and whether it is active.

use super::lvg::{ask, field, options, rows, split};
use super::{Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, Rule, finish_plainly, paths};
use crate::value::Value;

pub(super) const MODULE: Module = Module {
    name: "lvol",
    collection: "community.general",
    summary: "makes, resizes and removes logical volumes of LVM",
    args: &[ARGS],
    rules: &[Rule::OneOf(&["lv", "thinpool"]), Rule::Exclusive(&["snapshot", "thinpool"])],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[
    Arg::new("vg", Kind::Str, "the volume group").required(),
    Arg::new("lv", Kind::Str, "the logical volume; with `snapshot`, what the snapshot is of"),
    Arg::new("size", Kind::Str, "`512` (megabytes), `10g`, `80%VG`, `100%FREE`; `+` and `-` change what is there"),
    Arg::new("opts", Kind::Str, "more options for lvcreate").default(""),
    Arg::new("state", Kind::Str, "whether it is there").choices(&["absent", "present"]).default("present"),
    Arg::new("active", Kind::Bool, "whether it is active").default("yes"),
    Arg::new("force", Kind::Bool, "remove and shrink, though data may be lost").default("no"),
    Arg::new("snapshot", Kind::Str, "the snapshot that is meant"),
    Arg::new("pvs", Kind::List, "the physical volumes that it may use"),
    Arg::new("thinpool", Kind::Str, "the thin pool: alone the one that is meant, with `lv` the one that a thin volume is of"),
    Arg::new("shrink", Kind::Bool, "make it smaller where it is bigger than `size`").default("yes"),
    Arg::new("resizefs", Kind::Bool, "resize its file system with it").default("no"),
];

/// Units of lvcreate, each with its bytes; capitals mean the same there.
const UNITS: &[(char, f64)] = &[
    ('b', 1.0),
    ('s', 512.0),
    ('k', 1024.0),
    ('m', 1_048_576.0),
    ('g', 1_073_741_824.0),
    ('t', 1_099_511_627_776.0),
    ('p', 1_125_899_906_842_624.0),
    ('e', 1_152_921_504_606_846_976.0),
];
const MEGABYTE: f64 = 1_048_576.0;

/// `size`, read.
struct Size {
    sign: Option<char>,
    number: f64,
    measure: Measure,
    /// As LVM takes it, without the sign.
    word: String,
}

#[derive(PartialEq)]
enum Measure {
    /// Bytes of one unit.
    Unit(f64),
    /// Of `VG`, `PVS`, `FREE` or `ORIGIN`.
    Percent(String),
}

/// In bytes.
struct Group {
    size: f64,
    free: f64,
    extent: f64,
}

#[derive(Clone)]
struct Volume {
    name: String,
    size: f64,
    /// What `lvs` shows as `lv_attr`.
    attributes: String,
    stripes: f64,
}

/// One volume of a host, as a task wants it.
struct Task<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    vg: &'a str,
    /// The one that is meant.
    name: &'a str,
    size: Option<Size>,
    group: Group,
    volumes: Vec<Volume>,
    plan: Plan,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let vg = args.required("vg")?;
    let is_absent = args.str("state") == Some("absent");
    let name = ["snapshot", "lv", "thinpool"].into_iter().find_map(|arg| args.str(arg)).unwrap_or_default();
    let name = paths::base_name(name);
    let size = args.str("size").map(Size::read).transpose()?;
    let mut plan = Plan::default();
    plan.set("vg", vg).set("lv", name);
    let Some(group) = group(look, vg)? else {
        let missing = format!("there is no volume group {vg} on this host");
        return if is_absent { Ok(plan) } else { Err(Failure::new(missing + ": `community.general.lvg` makes one")) };
    };
    let mut task = Task { args, look, vg, name, size, group, volumes: volumes(look, vg)?, plan };
    match (is_absent, task.find(name)) {
        (true, None) => {}
        (true, Some(_)) => task.remove()?,
        (false, None) => task.create()?,
        (false, Some(found)) => task.correct(&found)?,
    }
    Ok(task.plan)
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_default()
}

/// None where there is no such group.
fn group(look: &dyn Look, vg: &str) -> Result<Option<Group>, Failure> {
    let output = ask(look, "vgs", &["--units", "b", "--nosuffix", "-o", "vg_size,vg_free,vg_extent_size", vg])?;
    if !output.is_success() && output.stderr_text().contains("not found") {
        return Ok(None);
    }
    let row = split("vgs", &output)?.into_iter().next();
    let group = |row: &Vec<String>| {
        let [size, free, extent] = [0, 1, 2].map(|at| number(field(row, at)));
        Group { size, free, extent: extent.max(1.0) }
    };
    Ok(row.as_ref().map(group))
}

/// With a row for each segment; the first of a volume says enough.
fn volumes(look: &dyn Look, vg: &str) -> Result<Vec<Volume>, Failure> {
    let rows = rows(look, "lvs", &["-a", "--units", "b", "--nosuffix", "-o", "lv_name,lv_size,lv_attr,stripes", vg])?;
    let volume = |row: Vec<String>| Volume {
        // Those that belong to others are in brackets.
        name: field(&row, 0).trim_matches(['[', ']']).to_owned(),
        size: number(field(&row, 1)),
        attributes: field(&row, 2).to_owned(),
        stripes: number(field(&row, 3)).max(1.0),
    };
    Ok(rows.into_iter().map(volume).collect())
}

impl Size {
    fn read(text: &str) -> Result<Size, Failure> {
        let sign = text.trim().chars().next().filter(|c| ['+', '-'].contains(c));
        let rest = text.trim();
        let rest = rest.strip_prefix(['+', '-']).unwrap_or(rest).trim();
        let bad = || Failure::new(format!("`size` is \"{text}\": write a number and a unit of bskmgtpe (`10g`), or `80%VG`"));
        if !rest.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(bad());
        }
        if let Some((percent, of)) = rest.split_once('%') {
            let (number, of) = (percent.trim().parse::<u32>().map_err(|_| bad())?, of.trim().to_uppercase());
            if !["VG", "PVS", "FREE", "ORIGIN"].contains(&of.as_str()) {
                return Err(Failure::new(format!("`size` is \"{text}\": percentages are of VG, PVS, FREE or ORIGIN")));
            }
            if number > 100 {
                return Err(Failure::new(format!("`size` is \"{text}\": at most 100%")));
            }
            let word = format!("{number}%{of}");
            return Ok(Size { sign, number: f64::from(number), measure: Measure::Percent(of), word });
        }
        let unit = rest.chars().last().filter(char::is_ascii_alphabetic);
        let digits = rest.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim();
        let (_, bytes) = UNITS.iter().find(|(name, _)| *name == unit.unwrap_or('m').to_ascii_lowercase()).ok_or_else(bad)?;
        let is_one = rest.len() - rest.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len() <= 1;
        let number = digits.parse::<f64>().ok().filter(|_| is_one && !digits.contains(char::is_alphabetic)).ok_or_else(bad)?;
        Ok(Size { sign, number, measure: Measure::Unit(*bytes), word: format!("{digits}{}", unit.unwrap_or('m')) })
    }

    /// The option of lvcreate, lvextend and lvreduce.
    fn option(&self) -> &'static str {
        if self.is_percent() { "-l" } else { "-L" }
    }

    fn is_percent(&self) -> bool {
        matches!(self.measure, Measure::Percent(_))
    }

    fn is_of(&self, what: &str) -> bool {
        matches!(&self.measure, Measure::Percent(of) if of == what)
    }

    fn signed(&self) -> String {
        self.sign.map(String::from).unwrap_or_default() + &self.word
    }
}

impl Volume {
    fn has(&self, at: usize, letter: char) -> bool {
        self.attributes.chars().nth(at) == Some(letter)
    }

    fn is_thin(&self) -> bool {
        self.has(0, 'V')
    }
}

fn megabytes(size: f64) -> Value {
    Value::pair("size", format!("{} MiB", size / MEGABYTE))
}

impl Task<'_> {
    fn find(&self, name: &str) -> Option<Volume> {
        self.volumes.iter().find(|volume| volume.name == name).cloned()
    }

    fn path(&self) -> String {
        format!("{}/{}", self.vg, self.name)
    }

    fn push(&mut self, program: &str, words: Vec<String>, before: Value, after: Value) -> Result<(), Failure> {
        let program = self.look.require(program, "lvm2")?;
        let run = Change::run(format!("logical volume {}", self.path()), Cmd::new(std::iter::once(program).chain(words)));
        self.plan.push(Change { before, after, ..run });
        Ok(())
    }

    fn remove(&mut self) -> Result<(), Failure> {
        if !self.args.bool("force") {
            return Err(Failure::new(format!("{} and its data are removed only with `force: true`", self.path())));
        }
        let words = vec!["--force".to_owned(), self.path()];
        self.push("lvremove", words, Value::pair("state", "present"), Value::pair("state", "absent"))
    }

    fn create(&mut self) -> Result<(), Failure> {
        let is_sized = self.size.is_some();
        let words = match (self.args.str("snapshot"), self.args.str("lv"), self.args.str("thinpool")) {
            (Some(_), Some(origin), _) => self.snapshot(paths::base_name(origin))?,
            (_, Some(_), Some(pool)) => self.thin_volume(paths::base_name(pool))?,
            (_, None, Some(_)) => [self.sized()?, self.options()?, vec!["-T".to_owned(), self.path()]].concat(),
            _ => {
                let name = vec!["-n".to_owned(), self.name.to_owned()];
                [name, self.sized()?, self.options()?, vec![self.vg.to_owned()]].concat()
            }
        };
        let is_thin = self.args.has("lv") && (self.args.has("thinpool") || self.args.has("snapshot") && !is_sized);
        let volumes = if is_thin { Vec::new() } else { self.args.list("pvs") };
        let words = [vec!["--yes".to_owned()], words, volumes].concat();
        let size = self.size.as_ref().map(|size| Value::pair("size", size.word.as_str()));
        self.push("lvcreate", words, Value::Null, size.unwrap_or_else(|| Value::pair("state", "present")))?;
        // A new volume is active, whatever its options: LVM has to clear its first bytes.
        if self.args.bool("active") { Ok(()) } else { self.activate(false, false) }
    }

    fn options(&self) -> Result<Vec<String>, Failure> {
        options(self.args, "opts")
    }

    /// The size that a new volume needs.
    fn sized(&self) -> Result<Vec<String>, Failure> {
        let missing = || Failure::new(format!("there is no {}: `size` says how big it is to be", self.path()));
        let size = self.size.as_ref().ok_or_else(missing)?;
        if size.sign == Some('-') {
            return Err(Failure::new(format!(
                "there is no {}: a new volume cannot have the size {}",
                self.path(),
                size.signed()
            )));
        }
        self.origin_is_known(size)?;
        Ok(vec![size.option().to_owned(), size.word.clone()])
    }

    fn origin_is_known(&self, size: &Size) -> Result<(), Failure> {
        if size.is_of("ORIGIN") && !self.args.has("snapshot") {
            return Err(Failure::new("only a snapshot can have a percentage of ORIGIN as its `size`: use VG, PVS or FREE"));
        }
        Ok(())
    }

    fn snapshot(&self, origin: &str) -> Result<Vec<String>, Failure> {
        let missing = || Failure::new(format!("there is no logical volume {}/{origin} to make a snapshot of", self.vg));
        let found = self.find(origin).ok_or_else(missing)?;
        // A thin snapshot takes its room from the pool.
        let size = if self.size.is_none() && found.is_thin() { Vec::new() } else { self.sized()? };
        let name = ["-s", "-n", self.name].map(str::to_owned).to_vec();
        Ok([size, name, self.options()?, vec![format!("{}/{origin}", self.vg)]].concat())
    }

    fn thin_volume(&self, pool: &str) -> Result<Vec<String>, Failure> {
        if self.find(pool).is_none() {
            let vg = self.vg;
            return Err(Failure::new(format!(
                "there is no thin pool {vg}/{pool}: a task with `thinpool` and without `lv` makes it"
            )));
        }
        let size = self.sized()?.pop().unwrap_or_default();
        self.is_no_percentage()?;
        let name = ["-n", self.name, "-V", &size].map(str::to_owned).to_vec();
        Ok([name, self.options()?, vec!["-T".to_owned(), format!("{}/{pool}", self.vg)]].concat())
    }

    fn is_no_percentage(&self) -> Result<(), Failure> {
        if self.size.as_ref().is_some_and(Size::is_percent) {
            return Err(Failure::new(format!("{} is thin: its `size` is a number with a unit, no percentage", self.path())));
        }
        Ok(())
    }

    /// A volume that is there.
    fn correct(&mut self, found: &Volume) -> Result<(), Failure> {
        let unit = match self.size.as_ref().map(|size| &size.measure) {
            Some(Measure::Unit(bytes)) => *bytes,
            _ => MEGABYTE,
        };
        self.plan.set("size", found.size / unit);
        self.resize(found)?;
        let is_wanted = self.args.bool("active");
        if found.has(4, 'a') == is_wanted { Ok(()) } else { self.activate(is_wanted, is_wanted && found.has(9, 'k')) }
    }

    /// Some volumes stay inactive unless LVM is told not to skip them.
    fn activate(&mut self, is_wanted: bool, is_skipped: bool) -> Result<(), Failure> {
        let word = |is_active| Value::pair("active", is_active);
        let skip = is_skipped.then(|| "-K".to_owned());
        let words = std::iter::once(if is_wanted { "-ay" } else { "-an" }.to_owned());
        let words = words.chain(skip).chain([self.path()]).collect();
        self.push("lvchange", words, word(!is_wanted), word(is_wanted))
    }

    fn resize(&mut self, found: &Volume) -> Result<(), Failure> {
        let Some(size) = &self.size else { return Ok(()) };
        self.origin_is_known(size)?;
        if found.is_thin() {
            self.is_no_percentage()?;
        }
        let amount = self.amount(size)?;
        let (step, slack) = (self.group.extent, self.group.extent * found.stripes);
        let wanted = match size.sign {
            Some('+') => found.size + amount,
            Some(_) => found.size - amount,
            None => amount,
        };
        let is_same = match (size.sign, size.is_percent()) {
            (Some(_), true) => amount < step,
            (Some(_), false) => amount <= 0.0,
            // What was made of all that was free leaves nothing.
            (None, true) => (wanted - found.size).abs() < slack || size.is_of("FREE") && self.group.free < step,
            // LVM rounds up.
            (None, false) => wanted <= found.size && found.size < wanted + slack,
        };
        let words = [size.option().to_owned(), size.signed(), self.path()];
        let is_percent = size.is_percent();
        match is_same {
            true => Ok(()),
            false if wanted > found.size => self.extend(found, wanted, is_percent, &words),
            false => self.reduce(found, wanted, &words),
        }
    }

    /// What `size` says, in bytes.
    fn amount(&self, size: &Size) -> Result<f64, Failure> {
        let whole = match &size.measure {
            Measure::Unit(bytes) => return Ok(size.number * bytes),
            Measure::Percent(of) if of == "FREE" => self.group.free,
            Measure::Percent(of) if of == "ORIGIN" => {
                let origin = paths::base_name(self.args.str("lv").unwrap_or_default());
                let missing = || Failure::new(format!("there is no logical volume {}/{origin}", self.vg));
                self.find(origin).ok_or_else(missing)?.size
            }
            Measure::Percent(_) => self.group.size,
        };
        Ok(whole * size.number / 100.0)
    }

    fn words(&self, first: &[&str], last: &[String]) -> Vec<String> {
        let resizefs = self.args.bool("resizefs").then_some("--resizefs");
        first.iter().copied().chain(resizefs).map(str::to_owned).chain(last.iter().cloned()).collect()
    }

    fn extend(&mut self, found: &Volume, wanted: f64, is_percent: bool, size: &[String]) -> Result<(), Failure> {
        let (needed, free) = (wanted - found.size, self.group.free);
        if is_percent && needed >= free + self.group.extent {
            let [needed, free] = [needed, free].map(|size| (size / MEGABYTE).round());
            let msg = format!("{} cannot grow: it needs {needed} MiB more, {} has {free} MiB free", self.path(), self.vg);
            return Err(Failure::new(msg + "; `community.general.lvg` adds devices"));
        }
        let words = [self.words(&[], size), self.args.list("pvs")].concat();
        self.push("lvextend", words, megabytes(found.size), megabytes(wanted))
    }

    fn reduce(&mut self, found: &Volume, wanted: f64, size: &[String]) -> Result<(), Failure> {
        if !self.args.bool("shrink") {
            return Ok(());
        }
        let path = self.path();
        if wanted < 1.0 {
            return Err(Failure::new(format!("{path} would shrink to nothing; `state: absent` removes it")));
        }
        if !self.args.bool("force") {
            return Err(Failure::new(format!(
                "{path} is bigger than `size`, and data may be lost where it shrinks: `force: true` does it, `shrink: false` \
                 leaves it as it is"
            )));
        }
        let words = self.words(&["--force"], size);
        self.push("lvreduce", words, megabytes(found.size), megabytes(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_lvcreate_takes_them() {
        let read = |text: &str| Size::read(text).ok().map(|size| (size.option(), size.signed()));
        for (text, option, word) in [
            ("512", "-L", "512m"),
            ("1.5G", "-L", "1.5G"),
            ("+512", "-L", "+512m"),
            ("-1g", "-L", "-1g"),
            ("512 m", "-L", "512m"),
            ("100%FREE", "-l", "100%FREE"),
            ("+5%vg", "-l", "+5%VG"),
        ] {
            assert_eq!(read(text), Some((option, word.to_owned())), "{text}");
        }
        for text in ["", "g", ".5g", "10x", "10mb", "1e3m", "10%", "10%LV", "101%VG", "1.5%VG", "++1", "inf"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
