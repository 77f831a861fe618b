//! `mount`: what is mounted where, now and after the next boot.

use super::edit::{self, TextFile, make_parents};
use super::{Act, Arg, Args, Attrs, Change, Cmd, Failure, Kind, Look, Module, Plan, Rule};
use crate::value::Value;

pub(super) static MODULE: Module = Module {
    name: "mount",
    collection: "ansible.posix",
    summary: "see to mounts and their lines in fstab",
    args: &[&[
        Arg::new("path", Kind::Path, "where").aliases(&["name"]).required(),
        Arg::new("src", Kind::Path, "what"),
        Arg::new("fstype", Kind::Str, "the kind of file system"),
        Arg::new("opts", Kind::Str, "options"),
        Arg::new("opts_no_log", Kind::Bool, "options are secret").inert().default("no"),
        Arg::new("dump", Kind::Str, "the fifth field").default("0"),
        Arg::new("passno", Kind::Str, "the sixth field").default("0"),
        Arg::new("state", Kind::Str, "`mounted` and `unmounted` act at once, `present` and `absent_from_fstab` only on fstab")
            .choices(&["absent", "absent_from_fstab", "mounted", "present", "unmounted", "remounted", "ephemeral"])
            .required(),
        Arg::new("fstab", Kind::Path, "the table").default("/etc/fstab"),
        Arg::new("boot", Kind::Bool, "mount it at boot").default("yes"),
        Arg::new("backup", Kind::Bool, "keep a copy of the table").default("no"),
    ]],
    rules: &[
        Rule::If("state", "mounted", &["src", "fstype"]),
        Rule::If("state", "present", &["src", "fstype"]),
        Rule::If("state", "ephemeral", &["src", "fstype"]),
    ],
    free_form: None,
    plan,
    finish: edit::finish,
};

const DEFAULT_TABLE: &str = "/etc/fstab";

struct Task<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    path: &'a str,
    plan: Plan,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let path = match args.required("path")?.trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    let mut task = Task { args, look, path, plan: Plan::default() };
    task.plan.set("name", path).set("fstab", args.str("fstab")).set("boot", if args.bool("boot") { "yes" } else { "no" });
    for name in ["src", "fstype", "dump", "passno"] {
        if let Some(value) = args.get(name) {
            task.plan.set(name, value.clone());
        }
    }
    task.plan.set("opts", task.options());
    task.plan()?;
    task.plan.values.shift_remove("msg");
    Ok(task.plan)
}

/// A blank in a field is written `\040`.
fn escaped(field: &str) -> String {
    field.replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011")
}

fn unescaped(field: &str) -> String {
    field.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}

impl Task<'_> {
    fn text(&self, name: &str) -> &str {
        self.args.str(name).unwrap_or_default()
    }

    fn options(&self) -> String {
        let given = self.args.str("opts").unwrap_or("defaults");
        let has_noauto = given.split(',').any(|option| option == "noauto");
        if self.args.bool("boot") || has_noauto { given.to_owned() } else { format!("{given},noauto") }
    }

    fn line(&self) -> String {
        let fields = [self.text("src"), self.path, self.text("fstype"), &self.options(), self.text("dump"), self.text("passno")];
        fields.map(escaped).join(" ")
    }

    fn plan(&mut self) -> Result<(), Failure> {
        match self.text("state") {
            "present" => self.table(true).map(drop),
            "absent_from_fstab" => self.table(false).map(drop),
            "mounted" => self.mounted(),
            "ephemeral" => self.ephemeral(),
            "unmounted" => self.unmount(),
            "remounted" => self.remounted(),
            _ => self.absent(),
        }
    }

    /// What is mounted there: source and kind of file system, the last one on top.
    fn found(&self) -> Option<(String, String)> {
        let text = self.look.text("/proc/self/mountinfo").ok().flatten().unwrap_or_default();
        text.lines().rev().find_map(|line| {
            let (head, tail) = line.split_once(" - ")?;
            let is_meant = head.split(' ').nth(4).is_some_and(|place| unescaped(place) == self.path);
            let mut fields = tail.split(' ');
            let kind = fields.next()?.to_owned();
            is_meant.then(|| (unescaped(fields.next().unwrap_or_default()), kind))
        })
    }

    /// The line of the table; whether it had to be changed.
    fn table(&mut self, is_present: bool) -> Result<bool, Failure> {
        let file = TextFile::open(self.look, self.text("fstab"))?;
        let wanted = is_present.then(|| self.line());
        let is_swap = self.text("fstype") == "swap";
        let is_meant = |line: &str| {
            let fields: Vec<String> = line.split_whitespace().map(unescaped).collect();
            let is_entry = fields.len() >= 3 && !line.trim_start().starts_with('#');
            let place = fields.get(1).map(|place| if place == "/" { place.as_str() } else { place.trim_end_matches('/') });
            is_entry && place == Some(self.path) && (!is_swap || fields.first().map(String::as_str) == Some(self.text("src")))
        };
        let same = |line: &str, wanted: &str| line.split_whitespace().eq(wanted.split_whitespace());
        let mut lines = Vec::new();
        let mut is_there = false;
        for line in file.text.lines() {
            match &wanted {
                _ if !is_meant(line) => lines.push(line.to_owned()),
                Some(wanted) if !is_there => {
                    is_there = true;
                    lines.push(if same(line, wanted) { line.to_owned() } else { wanted.clone() });
                }
                _ => {}
            }
        }
        lines.extend(wanted.filter(|_| !is_there));
        let after = if lines.iter().eq(file.text.lines()) { file.text.clone() } else { lines.join("\n") + "\n" };
        let is_changed = after != file.text;
        if is_changed {
            file.become_text(self.args, self.look, &after, "", &mut self.plan)?;
        }
        Ok(is_changed)
    }

    fn run(&mut self, program: &str, words: Vec<String>, before: &str, after: &str) -> Result<(), Failure> {
        let program = self.look.require(program, "mount")?;
        let shown = |state: &str| Value::pair("state", state);
        let run = Change::run(self.path, Cmd::new([program].into_iter().chain(words)));
        self.plan.push(Change { before: shown(before), after: shown(after), ..run });
        Ok(())
    }

    fn make_place(&mut self) {
        if !self.look.exists(self.path) {
            make_parents(self.look, self.path, &mut self.plan);
            let act = Act::MakeDir { path: self.path.to_owned(), attrs: Attrs::default() };
            self.plan.push(Change::new(self.path, Value::Null, "directory", act));
        }
    }

    fn mounted(&mut self) -> Result<(), Failure> {
        let found = self.found();
        self.make_place();
        let is_changed = self.table(true)?;
        match found {
            None => self.mount(Vec::new()),
            Some(_) if is_changed => self.remount(),
            Some(_) => Ok(()),
        }
    }

    fn mount(&mut self, mut words: Vec<String>) -> Result<(), Failure> {
        if self.text("fstab") != DEFAULT_TABLE {
            words.extend(["-T".to_owned(), self.text("fstab").to_owned()]);
        }
        words.push(self.path.to_owned());
        self.run("mount", words, "unmounted", "mounted")
    }

    fn remount(&mut self) -> Result<(), Failure> {
        // Other options than those of the table may be in force: they are named.
        let options = if self.args.has("opts") { format!("remount,{}", self.text("opts")) } else { "remount".to_owned() };
        self.mount(vec!["-o".to_owned(), options])
    }

    fn remounted(&mut self) -> Result<(), Failure> {
        if self.found().is_none() {
            return Err(Failure::new(format!("Error remounting {}: nothing is mounted there", self.path)));
        }
        self.remount()
    }

    fn ephemeral(&mut self) -> Result<(), Failure> {
        let (src, kind) = (self.text("src").to_owned(), self.text("fstype").to_owned());
        match self.found() {
            Some((found, _)) if found == src => Ok(()),
            Some((found, _)) => Err(Failure::new(format!(
                "Ephemeral mount point is already mounted with a different source than the specified one ({found}). Failing in \
                 order to prevent an unwanted unmount or override operation. Try replacing this command with a `state: unmounted` \
                 followed by a `state: ephemeral`, or use a different destination path."
            ))),
            None => {
                self.make_place();
                let words = ["-t", &kind, "-o", &self.options(), &src, self.path].map(str::to_owned);
                self.run("mount", words.to_vec(), "unmounted", "mounted")
            }
        }
    }

    fn unmount(&mut self) -> Result<(), Failure> {
        if self.found().is_none() {
            return Ok(());
        }
        self.run("umount", vec![self.path.to_owned()], "mounted", "unmounted")
    }

    fn absent(&mut self) -> Result<(), Failure> {
        let is_listed = self.table(false)?;
        let is_mounted = self.found().is_some();
        self.unmount()?;
        let is_empty = self.look.list(self.path).is_ok_and(|names| names.is_empty());
        if (is_listed || is_mounted) && self.look.exists(self.path) {
            if is_empty || is_mounted {
                self.run("rmdir", vec![self.path.to_owned()], "directory", "absent")?;
            } else {
                return Err(Failure::new(format!("Error removing {}: the directory is not empty", self.path)));
            }
        }
        Ok(())
    }
}
