//! `filesystem`: what a device or an image holds: made, grown to the size of the device, or wiped.

use super::{Act, Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Output, Plan, Rule, Stat, finish_plainly, lvg, words};
use crate::value::Value;
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "filesystem",
    collection: "community.general",
    summary: "makes, grows and wipes file systems",
    args: &[ARGS],
    rules: &[Rule::If("state", "present", &["fstype"]), Rule::Exclusive(&["resizefs", "uuid"])],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[
    Arg::new("state", Kind::Str, "whether there is one").choices(&["present", "absent"]).default("present"),
    Arg::new("fstype", Kind::Str, "the kind of file system").aliases(&["type"]).choices(&[
        "bcachefs", "btrfs", "ext2", "ext3", "ext4", "ext4dev", "f2fs", "lvm", "ocfs2", "reiserfs", "xfs", "vfat", "swap", "ufs",
    ]),
    Arg::new("dev", Kind::Path, "the device, or a file").aliases(&["device"]).required(),
    Arg::new("force", Kind::Bool, "make it over what is there").default("no"),
    Arg::new("resizefs", Kind::Bool, "let it grow to the size of the device").default("no"),
    Arg::new("opts", Kind::Str, "more options for mkfs").default(""),
    Arg::new("uuid", Kind::Str, "give it this UUID, each time"),
];

const ASK: Duration = Duration::from_secs(120);
/// What blkid ends with where it knows nothing of a device.
const NOTHING: i32 = 2;

/// How one kind of file system is made.
struct Maker {
    kind: &'static str,
    program: &'static str,
    flags: &'static [&'static str],
    package: &'static str,
}

const fn maker(kind: &'static str, program: &'static str, flags: &'static [&'static str], package: &'static str) -> Maker {
    Maker { kind, program, flags, package }
}

static MAKERS: &[Maker] = &[
    maker("bcachefs", "mkfs.bcachefs", &["--force"], "bcachefs-tools"),
    maker("btrfs", "mkfs.btrfs", &["-f"], "btrfs-progs"),
    maker("ext2", "mkfs.ext2", &["-F"], "e2fsprogs"),
    maker("ext3", "mkfs.ext3", &["-F"], "e2fsprogs"),
    maker("ext4", "mkfs.ext4", &["-F"], "e2fsprogs"),
    maker("ext4dev", "mkfs.ext4", &["-F"], "e2fsprogs"),
    maker("f2fs", "mkfs.f2fs", &[], "f2fs-tools"),
    maker("lvm", "pvcreate", &["-f"], "lvm2"),
    maker("ocfs2", "mkfs.ocfs2", &["-Fx"], "ocfs2-tools"),
    maker("reiserfs", "mkfs.reiserfs", &["-q"], "reiserfsprogs"),
    maker("xfs", "mkfs.xfs", &["-f"], "xfsprogs"),
    maker("vfat", "mkfs.vfat", &[], "dosfstools"),
    maker("swap", "mkswap", &["-f"], "util-linux"),
    maker("ufs", "newfs", &[], ""),
];

/// What a file system takes of its device, and the command that makes it take all.
struct Extent {
    size: u64,
    /// It grows in steps of so much.
    step: u64,
    program: &'static str,
    words: Vec<String>,
}

struct Task<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    dev: &'a str,
    /// Empty where the state is `absent`.
    kind: &'a str,
    stat: Stat,
    plan: Plan,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let dev = args.required("dev")?;
    let is_absent = args.str("state") == Some("absent");
    let stat = look.stat(dev, true).map_err(|error| Failure::io(format_args!("cannot look at {dev}"), &error))?;
    let mut plan = Plan::default();
    let missing = format!("there is no device {dev} on this host");
    let stat = match stat {
        None if is_absent => {
            plan.set("msg", missing);
            return Ok(plan);
        }
        None => return Err(Failure::new(missing + "; `lsblk` lists those that are there")),
        Some(stat) if !["block", "file"].contains(&stat.kind.as_str()) => {
            return Err(Failure::new(format!("{dev} is neither a block device nor a file: it is of the kind {}", stat.kind)));
        }
        Some(stat) => stat,
    };
    let kind = args.str("fstype").filter(|_| !is_absent).unwrap_or_default();
    let mut task = Task { args, look, dev, kind, stat, plan };
    let found = task.found()?;
    match found.as_deref() {
        None if is_absent => {}
        Some(found) if is_absent => task.wipe(found)?,
        Some(found) if task.is_wanted(found) && !args.bool("force") => task.correct()?,
        Some(found) if !args.bool("force") => {
            return Err(Failure::new(format!("{dev} holds {found} already: `force: true` makes {kind} over it")));
        }
        found => task.make(found)?,
    }
    Ok(task.plan)
}

/// The number after a word, up to what is none.
fn number_after(text: &str, word: &str) -> Option<u64> {
    let (_, rest) = text.split_once(word)?;
    let rest = rest.trim_start_matches([' ', '\t', '=', ':']);
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The same in bytes, with a unit such as `KiB` or `k` behind it.
fn bytes_after(text: &str, word: &str) -> Option<u64> {
    let (_, rest) = text.split_once(word)?;
    let rest = rest.lines().next()?.trim_start_matches([' ', '\t', '=', ':']);
    let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start().chars().next();
    let power = unit.and_then(|unit| "kmgt".find(unit.to_ascii_lowercase())).map_or(0, |at| at + 1);
    number_after(text, word)?.checked_mul(1 << (10 * power))
}

impl Task<'_> {
    fn ask(&self, program: &str, package: &str, words: &[&str]) -> Result<Output, Failure> {
        let tool = self.look.require(program, package)?;
        let cmd = Cmd::new([tool.as_str()].into_iter().chain(words.iter().copied()));
        self.look.run(&cmd.timeout(ASK))
    }

    /// What a program says; it must succeed.
    fn says(&self, program: &str, package: &str, words: &[&str]) -> Result<String, Failure> {
        let output = self.ask(program, package, words)?;
        if !output.is_success() {
            return Err(Failure::of_command(format_args!("{program} cannot tell what {} holds", self.dev), &output));
        }
        Ok(output.stdout_text())
    }

    fn push(&mut self, program: &str, package: &str, words: Vec<String>, before: Value, after: Value) -> Result<(), Failure> {
        let program = self.look.require(program, package)?;
        let cmd = Cmd::new(std::iter::once(program).chain(words)).env("LC_ALL", "C");
        self.plan.push(Change::new(self.dev, before, after, Act::Run(cmd)));
        Ok(())
    }

    /// What blkid sees there.
    fn found(&self) -> Result<Option<String>, Failure> {
        let output = self.ask("blkid", "util-linux", &["-c", "/dev/null", "-o", "value", "-s", "TYPE", self.dev])?;
        let text = output.stdout_text().trim().to_owned();
        match output.code {
            0 | NOTHING => Ok(Some(text).filter(|text| !text.is_empty())),
            _ => Err(Failure::of_command(format_args!("blkid cannot tell what {} holds", self.dev), &output)),
        }
    }

    fn is_wanted(&self, found: &str) -> bool {
        match self.kind {
            "lvm" => found == "LVM2_member",
            "ext4dev" => found.starts_with("ext4"),
            kind => found == kind,
        }
    }

    fn wipe(&mut self, found: &str) -> Result<(), Failure> {
        let words = vec!["--all".to_owned(), self.dev.to_owned()];
        self.push("wipefs", "util-linux", words, Value::pair("fstype", found), Value::Null)
    }

    fn make(&mut self, found: Option<&str>) -> Result<(), Failure> {
        let missing = || Failure::new(format!("there is no way to make {}", self.kind));
        let maker = MAKERS.iter().find(|maker| maker.kind == self.kind).ok_or_else(missing)?;
        let given = self.args.str("opts").unwrap_or_default();
        let opts = words::split(given).map_err(|problem| Failure::new(format!("`opts`: {problem}")))?;
        // Old versions do not know this flag, and need none.
        let force = (self.kind == "f2fs" && found.is_some()).then(|| "-f".to_owned());
        let words = maker.flags.iter().map(|flag| (*flag).to_owned()).chain(force).chain(self.uuid_options(&opts)?);
        let words = words.chain(opts.iter().cloned()).chain([self.dev.to_owned()]).collect();
        let before = found.map_or(Value::Null, |found| Value::pair("fstype", found));
        self.push(maker.program, maker.package, words, before, Value::pair("fstype", self.kind))?;
        // mkfs.xfs names one in `-m`.
        match self.args.str("uuid") {
            Some(_) if self.kind == "xfs" && !given.contains("uuid=") => self.set_uuid(),
            _ => Ok(()),
        }
    }

    /// Options that give a new one its UUID; what `opts` say goes.
    fn uuid_options(&self, opts: &[String]) -> Result<Vec<String>, Failure> {
        let Some(uuid) = self.args.str("uuid") else { return Ok(Vec::new()) };
        let has = |flags: &[&str]| opts.iter().any(|word| flags.iter().any(|flag| word.starts_with(flag)));
        let words: &[&str] = match self.kind {
            "ext2" | "ext3" | "ext4" | "ext4dev" if has(&["-U"]) => &[],
            "bcachefs" if has(&["-U", "--uuid"]) => &[],
            "ext2" | "ext3" | "ext4" | "ext4dev" | "bcachefs" => &["-U", uuid],
            // A new one has a random one.
            "lvm" if has(&["-u", "--uuid"]) || ["random", "generate"].contains(&uuid) => &[],
            "lvm" => &["-u", uuid, "--norestorefile"],
            "xfs" => &[],
            kind => return Err(Failure::new(format!("`uuid` cannot be set for {kind}: leave it out, or name it in `opts`"))),
        };
        Ok(words.iter().map(|word| (*word).to_owned()).collect())
    }

    /// What is wanted of a file system that is there.
    fn correct(&mut self) -> Result<(), Failure> {
        if self.args.has("uuid") {
            self.set_uuid()?;
        }
        if self.args.bool("resizefs") { self.grow() } else { Ok(()) }
    }

    fn set_uuid(&mut self) -> Result<(), Failure> {
        let uuid = self.args.str("uuid").unwrap_or_default().to_owned();
        let (program, package, flag) = match self.kind {
            "xfs" => ("xfs_admin", "xfsprogs", "-U"),
            "lvm" => ("pvchange", "lvm2", "-u"),
            "ext2" | "ext3" | "ext4" | "ext4dev" => ("tune2fs", "e2fsprogs", "-U"),
            kind => return Err(Failure::new(format!("the UUID of {kind} cannot be changed: leave `uuid` out"))),
        };
        let value = (self.kind != "lvm").then(|| uuid.clone());
        let words = std::iter::once(flag.to_owned()).chain(value).chain([self.dev.to_owned()]).collect();
        self.push(program, package, words, Value::Null, Value::pair("uuid", uuid))
    }

    fn grow(&mut self) -> Result<(), Failure> {
        let Extent { size, step, program, words } = self.extent()?;
        let device = self.device_size()?;
        if device < size.saturating_add(step.max(1)) {
            return Ok(());
        }
        self.push(program, "", words, Value::pair("size", size), Value::pair("size", device))
    }

    fn device_size(&self) -> Result<u64, Failure> {
        if self.stat.kind == "file" {
            return Ok(self.stat.size);
        }
        let said = self.says("blockdev", "util-linux", &["--getsize64", self.dev])?;
        said.trim().parse().map_err(|_| self.unreadable("blockdev", &said))
    }

    fn unreadable(&self, program: &str, said: &str) -> Failure {
        Failure::new(format!("{program} says nothing about the size of {} that can be read: {}", self.dev, said.trim()))
    }

    fn extent(&self) -> Result<Extent, Failure> {
        let dev = self.dev;
        match self.kind {
            "ext2" | "ext3" | "ext4" | "ext4dev" => {
                let said = self.says("tune2fs", "e2fsprogs", &["-l", dev])?;
                let block = number_after(&said, "Block size:");
                self.blocks("tune2fs", &said, number_after(&said, "Block count:"), block, "resize2fs", &[dev])
            }
            "xfs" => {
                let place = self.mounted()?;
                let said = self.says("xfs_info", "xfsprogs", &[&place])?;
                let data = said.split_once("data ").map_or("", |(_, data)| data);
                let block = number_after(data, "bsize=");
                self.blocks("xfs_info", &said, number_after(data, "blocks="), block, "xfs_growfs", &[&place])
            }
            "btrfs" => {
                let place = self.mounted()?;
                let said = self.says("btrfs", "btrfs-progs", &["filesystem", "usage", "-b", &place])?;
                let words = ["filesystem", "resize", "max", &place];
                self.blocks("btrfs", &said, number_after(&said, "Device size:"), Some(1), "btrfs", &words)
            }
            "f2fs" => {
                let said = self.says("dump.f2fs", "f2fs-tools", &[dev])?;
                let sector = number_after(&said, "sector size =");
                self.blocks("dump.f2fs", &said, number_after(&said, "total FS sectors ="), sector, "resize.f2fs", &[dev])
            }
            "vfat" => {
                let said = self.says("fatresize", "fatresize", &["--info", dev])?;
                self.blocks("fatresize", &said, number_after(&said, "\nSize:"), Some(1), "fatresize", &["-s", "max", dev])
            }
            "bcachefs" => {
                let said = self.says("bcachefs", "bcachefs-tools", &["show-super", dev])?;
                let bucket = bytes_after(&said, "Bucket size:");
                self.blocks("bcachefs", &said, number_after(&said, "Buckets:"), bucket, "bcachefs", &["device", "resize", dev])
            }
            "lvm" => self.physical_volume(),
            kind => Err(Failure::new(format!("{kind} cannot be resized: leave `resizefs` out"))),
        }
    }

    fn blocks(
        &self,
        asked: &str,
        said: &str,
        count: Option<u64>,
        step: Option<u64>,
        program: &'static str,
        words: &[&str],
    ) -> Result<Extent, Failure> {
        let size = count.zip(step).and_then(|(count, step)| count.checked_mul(step));
        let (size, step) = size.zip(step).ok_or_else(|| self.unreadable(asked, said))?;
        Ok(Extent { size, step, program, words: words.iter().map(|word| (*word).to_owned()).collect() })
    }

    /// Where it is mounted: these can be asked and grow only there.
    fn mounted(&self) -> Result<String, Failure> {
        let words = ["--mtab", "--noheadings", "--output", "TARGET", "--source", self.dev];
        let said = self.ask("findmnt", "util-linux", &words)?.stdout_text();
        let place = said.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty());
        let missing = || Failure::new(format!("{} grows only while it is mounted: mount {} first", self.kind, self.dev));
        place.ok_or_else(missing)
    }

    fn physical_volume(&self) -> Result<Extent, Failure> {
        let fields = "pv_size,pe_start,vg_extent_size";
        let rows = lvg::rows(self.look, "pvs", &["--units", "b", "--nosuffix", "-o", fields, self.dev])?;
        let sizes: Option<Vec<u64>> = rows.iter().flatten().map(|size| size.parse().ok()).collect();
        let Some([size, start, extent]) = sizes.as_deref() else {
            return Err(self.unreadable("pvs", &format!("{rows:?}")));
        };
        // One of no group counts its whole device.
        let start = if *extent == 0 { 0 } else { *start };
        Ok(Extent { size: size.saturating_add(start), step: *extent, program: "pvresize", words: vec![self.dev.to_owned()] })
    }
}
