//! `user`: an account of the host, planned from `/etc/passwd`, `/etc/group` and `/etc/shadow`.
//!
//! Passwords go to `chpasswd` over its standard input, never into a command line. A key for a new account takes a second
//! round, because only then the account has a number and a home.

pub(super) mod accounts;
mod ssh_key;

use super::clock::Clock;
use super::{Act, Arg, Args, Attrs, Change, Cmd, Done, Failure, Kind, Look, Module, Plan, Rule};
use crate::value::{Map, Value};
use accounts::{Account, Group, Shadow, check_name, tool};

pub(super) const MODULE: Module = Module {
    name: "user",
    collection: "ansible.builtin",
    summary: "manages accounts",
    args: &[ARGS],
    rules: &[Rule::If("non_unique", "True", &["uid"])],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "the account").required().aliases(&["user"]),
    Arg::new("state", Kind::Str, "whether it is there").default("present").choices(&["absent", "present"]),
    Arg::new("uid", Kind::Int, "its number"),
    Arg::new("non_unique", Kind::Bool, "another account may have the number").default("no"),
    Arg::new("group", Kind::Str, "primary group; it must exist"),
    Arg::new("groups", Kind::List, "further groups; an empty list takes it out of all"),
    Arg::new("append", Kind::Bool, "leave it in the groups that are not listed").default("no"),
    Arg::new("comment", Kind::Str, "full name or the like"),
    Arg::new("home", Kind::Path, "home directory"),
    Arg::new("create_home", Kind::Bool, "make the home directory").aliases(&["createhome"]).default("yes"),
    Arg::new("move_home", Kind::Bool, "move the old home to the new place").default("no"),
    Arg::new("skeleton", Kind::Str, "directory that a new home is a copy of"),
    Arg::new("umask", Kind::Str, "umask for making the home"),
    Arg::new("shell", Kind::Path, "login shell"),
    Arg::new("system", Kind::Bool, "take the number from those for the system").default("no"),
    Arg::new("password", Kind::Str, "hashed, as crypt(3) writes it").secret(),
    Arg::new("update_password", Kind::Str, "whether an existing account's password is changed")
        .default("always")
        .choices(&["always", "on_create"]),
    Arg::new("password_lock", Kind::Bool, "whether logging in with a password is locked"),
    Arg::new("password_expire_max", Kind::Int, "days until a password must be changed"),
    Arg::new("password_expire_min", Kind::Int, "days until a password may be changed"),
    Arg::new("password_expire_warn", Kind::Int, "days of warning before that"),
    Arg::new("password_expire_account_disable", Kind::Int, "days after that until the account is disabled"),
    Arg::new("expires", Kind::Float, "seconds since 1970 when the account ends; negative for never"),
    Arg::new("remove", Kind::Bool, "with `absent`, delete the home and mail too").default("no"),
    Arg::new("force", Kind::Bool, "delete even if logged in; replace an existing key").default("no"),
    Arg::new("generate_ssh_key", Kind::Bool, "make a key pair in the account's home").default("no"),
    Arg::new("ssh_key_type", Kind::Str, "kind of key").default("rsa"),
    Arg::new("ssh_key_bits", Kind::Int, "its size; ssh-keygen's own choice if not given"),
    Arg::new("ssh_key_file", Kind::Path, "where; relative to the home"),
    Arg::new("ssh_key_comment", Kind::Str, "comment of the key"),
    Arg::new("ssh_key_passphrase", Kind::Str, "passphrase of the key").secret(),
    Arg::new("uid_min", Kind::Int, "lowest number to choose from"),
    Arg::new("uid_max", Kind::Int, "highest number to choose from"),
    Arg::new("local", Kind::Bool, "accounts are always looked for in the host's own files first").default("no"),
    Arg::new("seuser", Kind::Str, "SELinux user for logins"),
    Arg::new("hidden", Kind::Bool, "for macOS").inert(),
    Arg::new("login_class", Kind::Str, "for BSD").inert(),
    Arg::new("authorization", Kind::Str, "for Solaris").inert(),
    Arg::new("profile", Kind::Str, "for Solaris").inert(),
    Arg::new("role", Kind::Str, "for Solaris").inert(),
];

/// One account and what a task wants of it.
struct User<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    name: &'a str,
}

/// Words of one `usermod` and what they change.
#[derive(Default)]
struct Difference {
    argv: Vec<String>,
    before: Map,
    after: Map,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let user = User { args, look, name: args.required("name")? };
    user.check()?;
    let mut plan = Plan::default();
    plan.set("name", user.name).set("state", args.str("state"));
    let found = Account::find(look, user.name);
    // Whatever cannot be a name is absent.
    if found.is_some() || args.str("state") != Some("absent") {
        check_name(user.name)?;
    }
    match (args.str("state"), found) {
        (Some("absent"), None) => {}
        (Some("absent"), Some(account)) => {
            plan.set("remove", args.bool("remove")).set("force", args.bool("force"));
            plan.push(user.delete(&account)?);
        }
        (_, None) => {
            plan.set("system", args.bool("system")).set("create_home", args.bool("create_home"));
            plan.changes = user.create()?;
            plan.again = args.bool("generate_ssh_key");
        }
        (_, Some(account)) => {
            plan.set("append", args.bool("append")).set("move_home", args.bool("move_home"));
            describe(args, &account, &mut plan.values);
            plan.changes = user.modify(&account)?;
            if args.bool("generate_ssh_key") {
                plan.changes.extend(ssh_key::generate(args, look, &account)?);
            }
        }
    }
    let warnings = user.warnings();
    if !warnings.is_empty() {
        plan.set("warnings", warnings);
    }
    Ok(plan)
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let mut values = values;
    for key in ["stdout", "stderr"] {
        let said: String = done.iter().filter_map(|one| one.values.get(key)?.as_str().map(str::to_owned)).collect();
        if !said.is_empty() {
            values.insert(key.into(), said.into());
        }
    }
    let Some(account) = Account::find(look, args.required("name")?) else { return Ok(values) };
    describe(args, &account, &mut values);
    if args.bool("generate_ssh_key") {
        ssh_key::describe(args, look, &account, &mut values);
    }
    Ok(values)
}

/// Return values about an account that is there.
fn describe(args: &Args, account: &Account, values: &mut Map) {
    if args.has("password") {
        values.insert("password".into(), "NOT_LOGGING_PASSWORD".into());
    }
    if args.has("groups") {
        values.insert("groups".into(), args.list("groups").join(",").into());
    }
    values.insert("uid".into(), account.uid.into());
    values.insert("group".into(), account.gid.into());
    for (key, text) in [("comment", &account.comment), ("home", &account.home), ("shell", &account.shell)] {
        values.insert(key.into(), text.as_str().into());
    }
}

impl User<'_> {
    fn check(&self) -> Result<(), Failure> {
        for arg in ["comment", "home", "shell", "password", "skeleton"] {
            if self.args.str(arg).is_some_and(|text| text.contains([':', '\n'])) {
                return Err(Failure::new(format!(
                    "`{arg}` may hold neither a colon nor a line break: it is kept in the account files"
                )));
            }
        }
        let foreign = ["umask", "uid_min", "uid_max"].into_iter().find(|arg| self.args.has(arg) && self.args.bool("local"));
        if let Some(arg) = foreign {
            return Err(Failure::new(format!("'{arg}' can not be used with 'local'")));
        }
        if self.args.has("uid") && self.args.int("uid").is_none_or(|uid| u32::try_from(uid).is_err()) {
            return Err(Failure::new("`uid` is not the number of an account"));
        }
        Ok(())
    }

    fn warnings(&self) -> Vec<Value> {
        let adds_nothing = self.args.bool("append") && !self.args.has("groups");
        let append = "'append' is set, but no 'groups' are specified. Use 'groups' to name those to append.";
        let warnings = [self.of_password(), adds_nothing.then_some(append)];
        warnings.into_iter().flatten().map(Value::from).collect()
    }

    fn of_password(&self) -> Option<&'static str> {
        let password = self.args.str("password").unwrap_or_default();
        let is_hashed = match password.strip_prefix('$') {
            Some(rest) => is_hash(rest),
            None => password.is_empty() || password.starts_with(['!', '*', '_']) || password.len() == 13,
        };
        (!is_hashed).then_some(
            "The input password appears not to have been hashed. The 'password' argument must be encrypted for this module to work properly.",
        )
    }

    fn delete(&self, account: &Account) -> Result<Change, Failure> {
        let mut argv = vec![tool(self.look, "userdel")?];
        argv.extend(self.args.bool("force").then(|| "-f".to_owned()));
        argv.extend(self.args.bool("remove").then(|| "-r".to_owned()));
        argv.push(self.name.to_owned());
        Ok(Change::new(self.what(), shown(account), Value::Null, Act::Run(Cmd::new(argv))))
    }

    fn what(&self) -> String {
        format!("user {}", self.name)
    }

    fn create(&self) -> Result<Vec<Change>, Failure> {
        let mut argv = vec![tool(self.look, "useradd")?];
        argv.extend(self.numbers());
        argv.extend(self.membership()?);
        for (arg, option) in [("comment", "-c"), ("home", "-d"), ("shell", "-s"), ("seuser", "-Z")] {
            argv.extend(self.args.str(arg).into_iter().flat_map(|value| [option.to_owned(), value.to_owned()]));
        }
        argv.extend(self.expiry().into_iter().flat_map(|day| ["-e".to_owned(), day]));
        argv.extend(self.new_home());
        argv.push(self.name.to_owned());
        let mut changes = vec![Change::new(self.what(), Value::Null, self.wanted(), Act::Run(Cmd::new(argv)))];
        changes.extend(self.password(None)?);
        changes.extend(self.ageing(None)?);
        Ok(changes)
    }

    fn numbers(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(uid) = self.args.int("uid") {
            words.extend(["-u".to_owned(), uid.to_string()]);
            words.extend(self.args.bool("non_unique").then(|| "-o".to_owned()));
        }
        for (arg, key) in [("uid_min", "UID_MIN"), ("uid_max", "UID_MAX")] {
            words.extend(self.args.int(arg).into_iter().flat_map(|number| ["-K".to_owned(), format!("{key}={number}")]));
        }
        words.extend(self.args.bool("system").then(|| "-r".to_owned()));
        words
    }

    fn membership(&self) -> Result<Vec<String>, Failure> {
        let mut words = match self.args.str("group") {
            Some(group) => vec!["-g".to_owned(), self.group(group)?.name],
            // useradd would make a group of this name and refuse, because it is there.
            None if Group::find(self.look, self.name).is_some_and(|group| group.name == self.name) => vec!["-N".to_owned()],
            None => Vec::new(),
        };
        let groups = self.groups()?.unwrap_or_default();
        if !groups.is_empty() {
            words.extend(["-G".to_owned(), groups.join(",")]);
        }
        Ok(words)
    }

    fn group(&self, name: &str) -> Result<Group, Failure> {
        let missing = || Failure::new(format!("Group {name} does not exist; make it with the `group` module first"));
        Group::find(self.look, name).ok_or_else(missing)
    }

    /// Names of the wanted further groups, or `None` where the task does not say.
    fn groups(&self) -> Result<Option<Vec<String>>, Failure> {
        if !self.args.has("groups") {
            return Ok(None);
        }
        let names = self.args.list("groups").into_iter().filter(|name| !name.trim().is_empty());
        names.map(|name| self.group(name.trim()).map(|group| group.name)).collect::<Result<_, _>>().map(Some)
    }

    fn new_home(&self) -> Vec<String> {
        if !self.args.bool("create_home") {
            return vec!["-M".to_owned()];
        }
        let mut words = vec!["-m".to_owned()];
        words.extend(self.args.str("skeleton").into_iter().flat_map(|dir| ["-k".to_owned(), dir.to_owned()]));
        words.extend(self.args.str("umask").into_iter().flat_map(|mask| ["-K".to_owned(), format!("UMASK={mask}")]));
        words
    }

    /// What a new account is to be, for `--diff`.
    fn wanted(&self) -> Map {
        let shown = ["uid", "group", "groups", "comment", "home", "shell"];
        let values = shown.into_iter().filter_map(|arg| self.args.get(arg).map(|value| (arg.into(), value.clone())));
        std::iter::once(("name".into(), Value::from(self.name))).chain(values).collect()
    }

    /// The last day as `useradd` and `usermod` take it; empty for never.
    fn expiry(&self) -> Option<String> {
        self.args.float("expires").map(|seconds| if seconds < 0.0 { String::new() } else { date_of(days_of(seconds)) })
    }

    fn modify(&self, account: &Account) -> Result<Vec<Change>, Failure> {
        let shadow = Shadow::find(self.look, self.name);
        let mut difference = Difference::default();
        self.compare(account, shadow.as_ref(), &mut difference)?;
        let mut changes = Vec::new();
        if !difference.argv.is_empty() {
            let argv = std::iter::once(tool(self.look, "usermod")?).chain(difference.argv).chain([self.name.to_owned()]);
            changes.push(Change::new(self.what(), difference.before, difference.after, Act::Run(Cmd::new(argv))));
        }
        if self.args.str("update_password") == Some("always") {
            changes.extend(self.password(Some(shadow.as_ref()))?);
        }
        changes.extend(self.lock(shadow.as_ref(), !changes.is_empty() && self.args.has("password"))?);
        changes.extend(self.ageing(shadow.as_ref())?);
        changes.extend(self.missing_home(account)?);
        Ok(changes)
    }

    fn compare(&self, account: &Account, shadow: Option<&Shadow>, difference: &mut Difference) -> Result<(), Failure> {
        if let Some(uid) = self.args.int("uid").filter(|uid| *uid != i64::from(account.uid)) {
            difference.add("uid", account.uid, uid, ["-u".to_owned(), uid.to_string()]);
            difference.argv.extend(self.args.bool("non_unique").then(|| "-o".to_owned()));
        }
        if let Some(group) =
            self.args.str("group").map(|name| self.group(name)).transpose()?.filter(|group| group.gid != account.gid)
        {
            difference.add("group", account.gid, group.gid, ["-g".to_owned(), group.name]);
        }
        self.compare_groups(account, difference)?;
        for (arg, option, found) in
            [("comment", "-c", &account.comment), ("home", "-d", &account.home), ("shell", "-s", &account.shell)]
        {
            if let Some(wanted) = self.args.str(arg).filter(|wanted| wanted != found) {
                difference.add(arg, found, wanted, [option.to_owned(), wanted.to_owned()]);
                difference.argv.extend((arg == "home" && self.args.bool("move_home")).then(|| "-m".to_owned()));
            }
        }
        let expires = self.args.float("expires").map(|seconds| (seconds >= 0.0).then(|| days_of(seconds)));
        // An account without an entry gets one, also where it is to last for ever.
        let found = shadow.map(|shadow| shadow.expires.filter(|day| *day >= 0));
        if let Some(wanted) = expires.filter(|wanted| found != Some(*wanted)) {
            difference.add("expires", found.flatten(), wanted, ["-e".to_owned(), self.expiry().unwrap_or_default()]);
        }
        Ok(())
    }

    fn compare_groups(&self, account: &Account, difference: &mut Difference) -> Result<(), Failure> {
        let Some(mut wanted) = self.groups()? else { return Ok(()) };
        let primary = Group::find(self.look, &account.gid.to_string()).map(|group| group.name).unwrap_or_default();
        wanted.retain(|name| *name != primary);
        wanted.sort_unstable();
        wanted.dedup();
        let members = Group::of_member(self.look, self.name);
        let mut found: Vec<String> = members.into_iter().map(|group| group.name).filter(|name| *name != primary).collect();
        found.sort_unstable();
        let missing: Vec<String> = wanted.iter().filter(|name| !found.contains(name)).cloned().collect();
        if self.args.bool("append") && !missing.is_empty() {
            let mut after = found.clone();
            after.extend(missing.clone());
            difference.add("groups", found, after, ["-a".to_owned(), "-G".to_owned(), missing.join(",")]);
        } else if !self.args.bool("append") && wanted != found {
            let list = wanted.join(",");
            difference.add("groups", found, wanted, ["-G".to_owned(), list]);
        }
        Ok(())
    }

    /// The change of the password. `shadow` is `None` for a new account, and holds `None` where it cannot be read.
    fn password(&self, shadow: Option<Option<&Shadow>>) -> Result<Option<Change>, Failure> {
        let Some(password) = self.args.str("password") else {
            return Ok(None);
        };
        let locked = self.args.bool("password_lock") && !password.starts_with('!');
        let wanted = if locked { format!("!{password}") } else { password.to_owned() };
        let bare = |text: &str| text.trim_start_matches('!').to_owned();
        if let Some(Some(shadow)) = shadow
            && (shadow.password == wanted || !self.args.has("password_lock") && bare(&shadow.password) == bare(&wanted))
        {
            return Ok(None);
        }
        let cmd = Cmd::new([tool(self.look, "chpasswd")?, "-e".to_owned()]).stdin(format!("{}:{wanted}\n", self.name));
        Ok(Some(Change::new(self.what(), Value::Null, Value::Null, Act::Run(cmd))))
    }

    fn lock(&self, shadow: Option<&Shadow>, is_set: bool) -> Result<Option<Change>, Failure> {
        let Some(shadow) = shadow.filter(|_| self.args.has("password_lock") && !is_set) else { return Ok(None) };
        let wanted = self.args.bool("password_lock");
        if shadow.password.starts_with('!') == wanted {
            return Ok(None);
        }
        let option = if wanted { "-L" } else { "-U" };
        let cmd = Cmd::new([tool(self.look, "usermod")?, option.to_owned(), self.name.to_owned()]);
        let map = |locked: bool| Map::from_iter([("password_lock".into(), Value::Bool(locked))]);
        Ok(Some(Change::new(self.what(), map(!wanted), map(wanted), Act::Run(cmd))))
    }

    fn ageing(&self, shadow: Option<&Shadow>) -> Result<Option<Change>, Failure> {
        let (mut argv, mut before, mut after) = (Vec::new(), Map::new(), Map::new());
        let found = shadow.cloned().unwrap_or_default();
        for (arg, option, found) in [
            ("password_expire_max", "-M", found.max),
            ("password_expire_min", "-m", found.min),
            ("password_expire_warn", "-W", found.warn),
            ("password_expire_account_disable", "-I", found.inactive),
        ] {
            if let Some(days) =
                self.args.int(arg).filter(|days| Some(*days) != found && !(*days < 0 && found.is_none() && shadow.is_some()))
            {
                argv.extend([option.to_owned(), days.to_string()]);
                before.insert(arg.into(), found.into());
                after.insert(arg.into(), days.into());
            }
        }
        if argv.is_empty() {
            return Ok(None);
        }
        let argv = std::iter::once(tool(self.look, "chage")?).chain(argv).chain([self.name.to_owned()]);
        Ok(Some(Change::new(self.what(), before, after, Act::Run(Cmd::new(argv)))))
    }

    /// A home that is not there, for an account that is.
    fn missing_home(&self, account: &Account) -> Result<Vec<Change>, Failure> {
        let home = self.args.str("home").unwrap_or(&account.home);
        let is_moved = home != account.home && self.args.bool("move_home");
        if !self.args.bool("create_home") || is_moved || home.is_empty() || !home.starts_with('/') || self.look.exists(home) {
            return Ok(Vec::new());
        }
        let skeleton = self.args.str("skeleton").unwrap_or("/etc/skel").trim_end_matches('/');
        let uid = self.args.int("uid").unwrap_or(account.uid.into());
        let gid = self.args.str("group").map_or(Ok(account.gid), |name| self.group(name).map(|group| group.gid))?;
        let run = |argv: Vec<String>| Change::run(home, Cmd::new(argv));
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let mut changes = vec![Change::new(
            home,
            Value::Null,
            Map::from_iter([("state".into(), "directory".into())]),
            Act::Run(Cmd::new(words(&["mkdir", "-p", home]))),
        )];
        if self.look.exists(skeleton) {
            changes.push(run(words(&["cp", "-R", &format!("{skeleton}/."), home])));
        }
        changes.push(run(words(&["chown", "-R", &format!("{uid}:{gid}"), home])));
        let attrs = Attrs { mode: Some(self.home_mode()), ..Attrs::default() };
        changes.push(Change::new(home, Value::Null, Value::Null, Act::SetAttrs { path: home.to_owned(), attrs, follow: true }));
        Ok(changes)
    }

    /// As `/etc/login.defs` wants homes, unless the task says otherwise.
    fn home_mode(&self) -> u32 {
        let defaults = self.look.text("/etc/login.defs").ok().flatten().unwrap_or_default();
        let setting = |name: &str| {
            let line = defaults.lines().find(|line| line.split_whitespace().next() == Some(name))?;
            u32::from_str_radix(line.split_whitespace().nth(1)?, 8).ok()
        };
        let own = self.args.str("umask").and_then(|mask| u32::from_str_radix(mask, 8).ok()).map(|mask| 0o777 & !mask);
        own.or_else(|| setting("HOME_MODE")).or_else(|| setting("UMASK").map(|mask| 0o777 & !mask)).unwrap_or(0o755)
    }
}

impl Difference {
    fn add<const N: usize>(&mut self, key: &str, before: impl Into<Value>, after: impl Into<Value>, argv: [String; N]) {
        self.before.insert(key.into(), before.into());
        self.after.insert(key.into(), after.into());
        self.argv.extend(argv);
    }
}

fn shown(account: &Account) -> Map {
    Map::from_iter([
        ("name".into(), account.name.as_str().into()),
        ("uid".into(), account.uid.into()),
        ("home".into(), account.home.as_str().into()),
        ("shell".into(), account.shell.as_str().into()),
    ])
}

fn days_of(seconds: f64) -> i64 {
    (seconds / 86_400.0).floor() as i64
}

/// `2026-11-21` from days since 1970.
fn date_of(days: i64) -> String {
    Clock::utc(days as f64 * 86_400.0).format("%Y-%m-%d")
}

/// `6$rounds=5000$salt$hash`, as long as its scheme makes it.
fn is_hash(text: &str) -> bool {
    let mut parts = text.split('$');
    let (scheme, hash) = (parts.next().unwrap_or_default(), parts.next_back().unwrap_or_default());
    let is_long_enough = match scheme {
        "1" => hash.len() == 22,
        "5" => hash.len() == 43,
        "6" => hash.len() == 86,
        _ => true,
    };
    is_long_enough && hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./=,-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_calendar_day() {
        assert_eq!(date_of(0), "1970-01-01");
        assert_eq!(date_of(days_of(951_782_400.0)), "2000-02-29");
        assert_eq!(date_of(days_of(1_422_403_387.0)), "2015-01-28");
    }
}
