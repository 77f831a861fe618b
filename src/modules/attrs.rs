//! Mode and owner of a file: what a task wants, and the change that brings it about.

use super::{Act, Arg, Args, Change, Failure, Kind, Look, Stat};
use crate::value::{Map, Value};

/// Wanted attributes; `None` leaves one as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attrs {
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub flags: Option<Flags>,
}

/// What `chattr` would change: bits to be set and bits to be cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    pub set: u32,
    pub clear: u32,
}

/// The flags that can be changed, by the letters and names of `lsattr`.
pub const FLAG_NAMES: &[(char, u32, &str)] = &[
    ('s', 0x1, "secure_deletion"),
    ('u', 0x2, "undelete"),
    ('S', 0x8, "synchronous_updates"),
    ('D', 0x1_0000, "synchronous_directory_updates"),
    ('i', 0x10, "immutable"),
    ('a', 0x20, "append"),
    ('d', 0x40, "nodump"),
    ('A', 0x80, "noatime"),
    ('c', 0x4, "compressed"),
    ('E', 0x800, "encrypted"),
    ('j', 0x4000, "journalled_data"),
    ('I', 0x1000, "indexed"),
    ('t', 0x8000, "notailing"),
    ('T', 0x2_0000, "topdir"),
    ('e', 0x8_0000, "extents"),
    ('C', 0x80_0000, "nocow"),
    ('P', 0x2000_0000, "project"),
    ('N', 0x1000_0000, "inline_data"),
    ('V', 0x10_0000, "verity"),
    ('F', 0x4000_0000, "casefold"),
];

impl Flags {
    /// `+i`, `-i`, `=i` or `i`, as `chattr` takes them. What extents, indices and encryption are the file system decides.
    fn read(text: &str) -> Result<Flags, Failure> {
        let (operator, letters) = match text.split_at_checked(1) {
            Some((operator @ ("+" | "-" | "="), letters)) => (operator, letters),
            _ => ("=", text),
        };
        let mut bits = 0;
        for letter in letters.chars() {
            let known = FLAG_NAMES.iter().find(|(known, ..)| *known == letter);
            bits |= known.ok_or_else(|| Failure::new(format!("`attributes` has no `{letter}`; they are those of chattr")))?.1;
        }
        let changeable = 0x10 | 0x20 | 0x40 | 0x80 | 0x8 | 0x1_0000 | 0x4000 | 0x80_0000 | 0x4 | 0x1 | 0x2 | 0x8000 | 0x2_0000;
        Ok(match operator {
            "+" => Flags { set: bits, clear: 0 },
            "-" => Flags { set: 0, clear: bits },
            _ => Flags { set: bits, clear: changeable & !bits },
        })
    }

    pub fn apply(self, flags: u32) -> u32 {
        flags & !self.clear | self.set
    }

    /// As `lsattr` writes them, without dashes.
    pub fn letters(flags: u32) -> String {
        FLAG_NAMES.iter().filter(|(_, bit, _)| flags & bit != 0).map(|(letter, ..)| *letter).collect()
    }
}

/// The arguments that every module which makes files takes.
pub const FILE_ARGS: &[Arg] = &[
    Arg::new("mode", Kind::Raw, "permissions: octal in quotes, or symbolic such as `u=rw,g=r`"),
    Arg::new("owner", Kind::Str, "name or number of the owning user"),
    Arg::new("group", Kind::Str, "name or number of the owning group"),
    Arg::new("seuser", Kind::Str, "SELinux user"),
    Arg::new("serole", Kind::Str, "SELinux role"),
    Arg::new("setype", Kind::Str, "SELinux type"),
    Arg::new("selevel", Kind::Str, "SELinux level"),
    Arg::new("unsafe_writes", Kind::Bool, "write in place where replacing is not possible"),
    Arg::new("attributes", Kind::Str, "file attributes as chattr takes them").aliases(&["attr"]),
];

impl Attrs {
    /// What `args` ask for on top of what is there. `is_dir` matters for `X`; a new file starts from 0666 or 0777 less the umask.
    pub fn wanted(args: &Args, look: &dyn Look, found: Option<&Stat>, is_dir: bool) -> Result<Attrs, Failure> {
        let current = found.map_or(if is_dir { 0o755 } else { 0o644 }, |stat| stat.mode);
        let mode = args.get("mode").map(|mode| mode_of(mode, current, is_dir)).transpose()?.flatten();
        let id = |name: &str, file, database| {
            let id = args.str(name).map(|who| id_of(look, file, database, who)).transpose();
            // A check may come before the account that an earlier task would make.
            if look.is_check() { Ok(id.unwrap_or_default()) } else { id }
        };
        let (uid, gid) = (id("owner", "/etc/passwd", "passwd")?, id("group", "/etc/group", "group")?);
        let flags = args.str("attributes").filter(|text| !text.is_empty()).map(Flags::read).transpose()?;
        Ok(Attrs { mode, uid, gid, flags })
    }

    pub fn is_empty(&self) -> bool {
        *self == Attrs::default()
    }

    /// Only what differs from `found`; flags are not known from it.
    #[must_use]
    pub fn missing_from(&self, found: &Stat) -> Attrs {
        Attrs {
            mode: self.mode.filter(|mode| *mode != found.mode),
            uid: self.uid.filter(|uid| *uid != found.uid),
            gid: self.gid.filter(|gid| *gid != found.gid),
            flags: None,
        }
    }

    /// The change for what is there already, or `None` where it is as wanted.
    pub fn change(&self, look: &dyn Look, path: &str, found: &Stat, follow: bool) -> Option<Change> {
        let mut missing = self.missing_from(found);
        let flags = self.flags.and_then(|wanted| Some((wanted, look.flags(path)?)));
        missing.flags = flags.filter(|(wanted, flags)| wanted.apply(*flags) != *flags).map(|(wanted, _)| wanted);
        (!missing.is_empty()).then(|| {
            let now = Attrs {
                mode: missing.mode.map(|_| found.mode),
                uid: missing.uid.map(|_| found.uid),
                gid: missing.gid.map(|_| found.gid),
                flags: None,
            };
            let (mut before, mut after) = (now.shown(path), missing.shown(path));
            if let Some((wanted, flags)) = flags.filter(|_| missing.flags.is_some()) {
                before.insert("attributes".into(), Flags::letters(flags).into());
                after.insert("attributes".into(), Flags::letters(wanted.apply(flags)).into());
            }
            let act = Act::SetAttrs { path: path.to_owned(), attrs: missing, follow };
            Change::new(path, before, after, act)
        })
    }

    fn shown(&self, path: &str) -> Map {
        let mut map = Map::from_iter([("path".into(), Value::from(path))]);
        if let Some(mode) = self.mode {
            map.insert("mode".into(), octal_after_zero(mode).into());
        }
        if let Some(uid) = self.uid {
            map.insert("owner".into(), uid.into());
        }
        if let Some(gid) = self.gid {
            map.insert("group".into(), gid.into());
        }
        map
    }
}

/// As the task says, or else the environment.
pub fn unsafe_writes(args: &Args, look: &dyn Look) -> bool {
    let said = args.get("unsafe_writes").cloned().or_else(|| look.env("ANSIBLE_UNSAFE_WRITES").map(Value::from));
    said.and_then(|value| value.to_bool()).unwrap_or(false)
}

/// `0644`.
pub fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}

/// As modules that make files answer: `0644`, and `01777` for a directory such as /tmp.
fn octal_after_zero(mode: u32) -> String {
    format!("0{mode:03o}")
}

/// An octal text, a number (YAML has read `0644` as 420 already), or symbolic clauses applied to `current`. `preserve` is no mode.
pub fn mode_of(wanted: &Value, current: u32, is_dir: bool) -> Result<Option<u32>, Failure> {
    let text = match wanted {
        Value::Int(number) => return in_range(u32::try_from(*number).ok(), wanted).map(Some),
        other => other.to_text(),
    };
    let text = text.trim();
    if text.is_empty() || text == "preserve" {
        return Ok(None);
    }
    let octal = text.strip_prefix("0o").unwrap_or(text);
    if octal.bytes().all(|byte| byte.is_ascii_digit()) {
        return in_range(u32::from_str_radix(octal, 8).ok(), wanted).map(Some);
    }
    text.split(',').try_fold(current, |mode, clause| symbolic(clause, mode, is_dir)).map(Some).ok_or_else(|| bad_mode(wanted))
}

fn in_range(mode: Option<u32>, wanted: &Value) -> Result<u32, Failure> {
    mode.filter(|mode| *mode <= 0o7777).ok_or_else(|| bad_mode(wanted))
}

fn bad_mode(wanted: &Value) -> Failure {
    Failure::new(format!("mode must be in octal or symbolic form, not `{}`", wanted.to_text()))
}

/// One clause such as `u+x`, `go-w`, `a=rX`.
fn symbolic(clause: &str, mode: u32, is_dir: bool) -> Option<u32> {
    let at = clause.find(['+', '-', '='])?;
    let who = if at == 0 { "a" } else { &clause[..at] };
    let mut mode = mode;
    let mut rest = &clause[at..];
    while let Some(operator) = rest.chars().next() {
        let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |end| end + 1);
        mode = apply(who, operator, &rest[1..end], mode, is_dir)?;
        rest = &rest[end..];
    }
    Some(mode)
}

fn apply(who: &str, operator: char, permissions: &str, mode: u32, is_dir: bool) -> Option<u32> {
    let all = who.contains('a');
    let classes = [('u', 6, 0o4000), ('g', 3, 0o2000), ('o', 0, 0)];
    if who.chars().any(|class| !"ugoa".contains(class)) {
        return None;
    }
    let (mut bits, mut covered) = (0, 0);
    for (class, shift, special) in classes {
        if !all && !who.contains(class) {
            continue;
        }
        covered |= 0o7 << shift | special;
        for permission in permissions.chars() {
            bits |= match permission {
                'r' => 0o4 << shift,
                'w' => 0o2 << shift,
                'x' => 0o1 << shift,
                'X' if is_dir || mode & 0o111 != 0 => 0o1 << shift,
                'X' => 0,
                's' => special,
                't' => 0o1000,
                'u' => (mode >> 6 & 7) << shift,
                'g' => (mode >> 3 & 7) << shift,
                'o' => (mode & 7) << shift,
                _ => return None,
            };
        }
    }
    if all && operator == '=' {
        covered |= 0o1000;
    }
    match operator {
        '+' => Some(mode | bits),
        '-' => Some(mode & !bits),
        '=' => Some(mode & !covered | bits),
        _ => None,
    }
}

/// What a check has to say about accounts that are not there, or not yet.
pub fn unknown_accounts(args: &Args, look: &dyn Look) -> Vec<Value> {
    let databases = [("owner", "/etc/passwd", "passwd", "user", "uid"), ("group", "/etc/group", "group", "group", "gid")];
    let unknown = |(arg, file, database, word, number): (&str, &str, &str, &str, &str)| {
        let who = args.str(arg)?;
        let is_number = who.bytes().all(|byte| byte.is_ascii_digit());
        let column = if is_number { 2 } else { 0 };
        let how = if is_number { format!(" with {number}") } else { String::new() };
        let is_known = entry_of(look, file, database, column, who).is_some();
        (!is_known).then(|| format!("failed to look up {word}{how} {who}: it has to be made before this task").into())
    };
    databases.into_iter().filter_map(unknown).collect()
}

/// Reads the account file and falls back to `getent`: a static program must not call libc's name services.
pub fn id_of(look: &dyn Look, file: &str, database: &str, name: &str) -> Result<u32, Failure> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    entry_of(look, file, database, 0, name)
        .and_then(|fields| fields.get(2)?.parse().ok())
        .ok_or_else(|| Failure::new(format!("failed to look up {} {name}", if database == "passwd" { "user" } else { "group" })))
}

/// The name of a number, where it has one.
pub fn name_of(look: &dyn Look, file: &str, database: &str, id: u32) -> Option<String> {
    entry_of(look, file, database, 2, &id.to_string()).and_then(|fields| fields.into_iter().next())
}

/// The fields of the line whose field number `column` is `value`.
pub fn entry_of(look: &dyn Look, file: &str, database: &str, column: usize, value: &str) -> Option<Vec<String>> {
    let find = |text: &str| {
        text.lines()
            .map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>())
            .find(|fields| fields.get(column).is_some_and(|field| field == value))
    };
    let local = look.text(file).ok().flatten().and_then(|text| find(&text));
    local.or_else(|| {
        if value.starts_with('-') {
            return None; // `getent` would take it for an option
        }
        let output = look.run(&super::Cmd::new(["getent", database, value])).ok()?;
        output.is_success().then(|| find(&output.stdout_text())).flatten()
    })
}

/// The return values that Ansible's file modules share: `uid gid owner group mode state size`.
pub fn describe(look: &dyn Look, path: &str, values: &mut Map) {
    let Ok(Some(stat)) = look.stat(path, false) else {
        return;
    };
    values.insert("uid".into(), stat.uid.into());
    values.insert("gid".into(), stat.gid.into());
    values
        .insert("owner".into(), name_of(look, "/etc/passwd", "passwd", stat.uid).unwrap_or_else(|| stat.uid.to_string()).into());
    values.insert("group".into(), name_of(look, "/etc/group", "group", stat.gid).unwrap_or_else(|| stat.gid.to_string()).into());
    values.insert("mode".into(), octal_after_zero(stat.mode).into());
    values.insert("size".into(), stat.size.into());
    let state = match stat.kind.as_str() {
        "directory" => "directory",
        "link" => "link",
        "file" if stat.nlink > 1 => "hard",
        _ => "file",
    };
    values.insert("state".into(), state.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_numbers_or_symbolic() {
        let mode = |text: &str, current| mode_of(&Value::from(text), current, false).ok().flatten();
        assert_eq!(mode("0644", 0), Some(0o644));
        assert_eq!(mode("755", 0), Some(0o755));
        assert_eq!(mode_of(&Value::from(0o644), 0, false).ok().flatten(), Some(0o644));
        assert_eq!(mode("u=rw,g=r,o=", 0o777), Some(0o640));
        assert_eq!(mode("u+x,go-w", 0o666), Some(0o744));
        assert_eq!(mode("a+X", 0o644), Some(0o644));
        assert_eq!(mode_of(&Value::from("a+X"), 0o644, true).ok().flatten(), Some(0o755));
        assert_eq!(mode("u+s", 0o755), Some(0o4755));
        assert_eq!(mode("preserve", 0o600), None);
        assert!(mode_of(&Value::from("rwxr-xr-x"), 0, false).is_err());
        assert!(mode_of(&Value::from("99999"), 0, false).is_err());
    }
}
