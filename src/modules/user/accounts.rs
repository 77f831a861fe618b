//! Accounts and groups as the host's files tell them; names that are not in the files are asked of `getent`.

use super::super::attrs::entry_of;
use super::super::{Failure, Look};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
const SHADOW: &str = "/etc/shadow";

/// A line of `passwd`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Account {
    pub(in super::super) name: String,
    pub(in super::super) uid: u32,
    pub(in super::super) gid: u32,
    pub(in super::super) comment: String,
    pub(in super::super) home: String,
    pub(in super::super) shell: String,
}

/// A line of `group`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Group {
    pub(in super::super) name: String,
    pub(in super::super) gid: u32,
    pub(in super::super) members: Vec<String>,
}

/// What `shadow` says about a password; days where it says nothing are `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Shadow {
    pub(in super::super) password: String,
    pub(in super::super) min: Option<i64>,
    pub(in super::super) max: Option<i64>,
    pub(in super::super) warn: Option<i64>,
    pub(in super::super) inactive: Option<i64>,
    /// Days since 1970.
    pub(in super::super) expires: Option<i64>,
}

impl Account {
    pub(in super::super) fn find(look: &dyn Look, name: &str) -> Option<Account> {
        entry_of(look, PASSWD, "passwd", 0, name).and_then(|fields| Account::parse(&fields))
    }

    fn parse(fields: &[String]) -> Option<Account> {
        let [name, _, uid, gid, comment, home, shell, ..] = fields else { return None };
        Some(Account {
            name: name.clone(),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            comment: comment.clone(),
            home: home.clone(),
            shell: shell.clone(),
        })
    }
}

impl Group {
    /// By name, or by number where no group has that name.
    pub(in super::super) fn find(look: &dyn Look, name: &str) -> Option<Group> {
        let by = |column: usize| entry_of(look, GROUP, "group", column, name).and_then(|fields| Group::parse(&fields));
        by(0).or_else(|| name.parse::<u32>().ok().and_then(|_| by(2)))
    }

    /// Every group of the host's own file that has `user` as a member.
    pub(in super::super) fn of_member(look: &dyn Look, user: &str) -> Vec<Group> {
        let text = look.text(GROUP).ok().flatten().unwrap_or_default();
        let parse = |line: &str| Group::parse(&line.split(':').map(str::to_owned).collect::<Vec<_>>());
        text.lines().filter_map(parse).filter(|group| group.members.iter().any(|member| member == user)).collect()
    }

    fn parse(fields: &[String]) -> Option<Group> {
        let [name, _, gid, members, ..] = fields else { return None };
        let members = members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
        Some(Group { name: name.clone(), gid: gid.parse().ok()?, members })
    }
}

impl Shadow {
    /// `None` where the file cannot be read or has no such line.
    pub(in super::super) fn find(look: &dyn Look, name: &str) -> Option<Shadow> {
        let text = look.text(SHADOW).ok().flatten()?;
        let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
        let fields: Vec<&str> = line.split(':').collect();
        let days = |at: usize| fields.get(at).and_then(|field| field.parse().ok());
        let password = (*fields.get(1)?).to_owned();
        Some(Shadow { password, min: days(3), max: days(4), warn: days(5), inactive: days(6), expires: days(7) })
    }
}

/// A name that can stand in an account file and in a command line.
pub(in super::super) fn check_name(name: &str) -> Result<(), Failure> {
    let is_bad =
        name.is_empty() || name.starts_with('-') || name.contains([':', ',', '/', '\n']) || name.contains(char::is_whitespace);
    if is_bad { Err(Failure::new(format!("`{}` is not a name for an account or a group", name.escape_debug()))) } else { Ok(()) }
}

/// The program, or what is missing.
pub(in super::super) fn tool(look: &dyn Look, program: &str) -> Result<String, Failure> {
    let missing =
        || Failure::new(format!("there is no {program} on this host: install the package that has it (passwd, shadow-utils)"));
    look.which(program).ok_or_else(missing)
}
