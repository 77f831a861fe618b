//! What is granted: as a task writes it, as the server shows it, and what lies between.

use super::name_of;
use crate::modules::Failure;
use crate::value::{Map, Value};
use std::collections::BTreeSet;

/// Privileges on one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Grant {
    /// As GRANT takes it: `` `shop`.* ``.
    pub(super) object: String,
    /// In capitals, `ALL` for all; no `USAGE`, which is nothing.
    pub(super) privileges: BTreeSet<String>,
    pub(super) may_pass_on: bool,
}

/// What is to become of what is granted already.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Mode {
    Exactly,
    Append,
    Subtract,
}

/// Global privileges that make up `ALL` where the server lists them one by one.
const MANY: usize = 25;
const STATIC_ALL: [&str; 5] = ["SELECT", "CREATE USER", "SHUTDOWN", "RELOAD", "TRIGGER"];

impl Grant {
    /// From `db.table:PRIV,PRIV/db.table:PRIV` or a mapping of them.
    pub(super) fn wanted(value: &Value, keeps_case: bool) -> Result<Vec<Grant>, Failure> {
        let mut all = Vec::new();
        match value {
            Value::Map(map) => {
                for (object, privileges) in pairs_of(map) {
                    all.push(Grant::parse(&object, &privileges, keeps_case)?);
                }
            }
            other => {
                for part in other.to_text().as_str().split('/').filter(|part| !part.trim().is_empty()) {
                    let pair = part.trim().rsplit_once(':');
                    let (object, privileges) =
                        pair.ok_or_else(|| Failure::new(format!("invalid privileges string: {part} lacks `:`")))?;
                    all.push(Grant::parse(object, privileges, keeps_case)?);
                }
            }
        }
        Ok(all)
    }

    fn parse(object: &str, privileges: &str, keeps_case: bool) -> Result<Grant, Failure> {
        let mut grant = Grant { object: object_of(object)?, ..Grant::default() };
        for word in listed(privileges) {
            match normal(&word, keeps_case).as_str() {
                "GRANT" | "WITH GRANT OPTION" | "GRANT OPTION" => grant.may_pass_on = true,
                "USAGE" | "" => {}
                "REQUIRESSL" => return Err(Failure::new("REQUIRESSL is no privilege any more: use `tls_requires`")),
                word => drop(grant.privileges.insert(word.to_owned())),
            }
        }
        Ok(grant)
    }

    /// A line of `SHOW GRANTS`; none for roles and proxies.
    pub(super) fn shown(line: &str, keeps_case: bool) -> Option<Grant> {
        let rest = line.strip_prefix("GRANT ")?;
        let on = outside(rest, " ON ")?;
        let (privileges, rest) = (&rest[..on], &rest[on + 4..]);
        if privileges.trim() == "PROXY" {
            return None;
        }
        let to = outside(rest, " TO ")?;
        let (object, rest) = (&rest[..to], &rest[to + 4..]);
        let mut grant = Grant::parse(object, privileges, keeps_case).ok()?;
        grant.may_pass_on |= rest.contains("WITH GRANT OPTION") || rest.contains(" GRANT OPTION");
        Some(grant)
    }

    /// As a task would write it.
    pub(super) fn to_text(&self) -> String {
        let words = self.privileges.iter().cloned().chain(self.may_pass_on.then(|| "GRANT".to_owned()));
        let words: Vec<String> = words.collect();
        let words = if words.is_empty() { "USAGE".to_owned() } else { words.join(",") };
        format!("{}:{words}", self.object.replace('`', ""))
    }

    fn has_all(&self) -> bool {
        self.privileges.contains("ALL")
            || self.privileges.len() >= MANY && STATIC_ALL.iter().all(|one| self.privileges.contains(*one))
    }

    fn lacks(&self, wanted: &Grant) -> Vec<String> {
        if self.has_all() {
            return Vec::new();
        }
        wanted.privileges.difference(&self.privileges).cloned().collect()
    }
}

fn pairs_of(map: &Map) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::List(items) => items.iter().map(|item| item.to_text().as_str().to_owned()).collect::<Vec<_>>().join(","),
        other => other.to_text().as_str().to_owned(),
    };
    map.iter().map(|(object, privileges)| (object.to_string(), text(privileges))).collect()
}

/// Each part in backticks, except `*`.
fn object_of(text: &str) -> Result<String, Failure> {
    let text = text.trim();
    let (word, text) = match text.split_once(' ') {
        Some((word, rest)) if ["FUNCTION", "PROCEDURE", "TABLE"].contains(&word.to_uppercase().as_str()) => {
            (format!("{} ", word.to_uppercase()), rest)
        }
        _ => (String::new(), text),
    };
    let dot = outside(text, ".").ok_or_else(|| Failure::new(format!("invalid privileges string: `{text}` is not db.table")))?;
    let quoted = |part: &str| match part.trim() {
        "*" => "*".to_owned(),
        part => name_of(&part.trim_matches('`').replace("``", "`")),
    };
    let word = if word == "TABLE " { String::new() } else { word };
    Ok(format!("{word}{}.{}", quoted(&text[..dot]), quoted(&text[dot + 1..])))
}

/// Where `sought` stands outside of backticks, quotes and brackets.
fn outside(text: &str, sought: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        if quote.is_none() && depth == 0 && text[at..].starts_with(sought) {
            return Some(at);
        }
        match (quote, letter) {
            (Some(open), letter) if open == letter => quote = None,
            (None, '`' | '\'' | '"') => quote = Some(letter),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Separated by commas that are not inside of brackets.
fn listed(text: &str) -> Vec<String> {
    let mut rest = text;
    let mut all = Vec::new();
    while let Some(at) = outside(rest, ",") {
        all.push(rest[..at].trim().to_owned());
        rest = &rest[at + 1..];
    }
    all.push(rest.trim().to_owned());
    all
}

/// In capitals; columns sorted and without backticks; one name where servers have several.
fn normal(word: &str, keeps_case: bool) -> String {
    let Some((name, columns)) = word.split_once('(') else {
        let upper = word.trim().to_uppercase();
        return match upper.as_str() {
            "ALL PRIVILEGES" => "ALL".to_owned(),
            "REPLICATION CLIENT" => "BINLOG MONITOR".to_owned(),
            "REPLICATION REPLICA" => "REPLICATION SLAVE".to_owned(),
            "DELETE VERSIONING ROWS" => "DELETE HISTORY".to_owned(),
            "CREATE TABLE" => "CREATE".to_owned(),
            _ => upper,
        };
    };
    let case = |column: &str| if keeps_case { column.to_owned() } else { column.to_uppercase() };
    let mut columns: Vec<String> =
        columns.trim_end_matches(')').split(',').map(|column| case(column.trim().trim_matches('`'))).collect();
    columns.sort();
    format!("{} ({})", name.trim().to_uppercase(), columns.join(", "))
}

/// As a statement writes it.
fn spelled(privileges: &[String]) -> String {
    let word = |one: &String| match (one.as_str(), one.split_once(" (")) {
        ("ALL", _) => "ALL PRIVILEGES".to_owned(),
        // The old name is known to every server.
        ("BINLOG MONITOR", _) => "REPLICATION CLIENT".to_owned(),
        (_, Some((name, columns))) => {
            let columns: Vec<String> = columns.trim_end_matches(')').split(", ").map(name_of).collect();
            format!("{name} ({})", columns.join(", "))
        }
        (word, None) => word.to_owned(),
    };
    if privileges.is_empty() { "USAGE".to_owned() } else { privileges.iter().map(word).collect::<Vec<_>>().join(", ") }
}

/// Statements that lead from what is held to what is wanted; `account` is quoted already.
pub(super) fn between(held: &[Grant], wanted: &[Grant], mode: Mode, account: &str) -> Vec<String> {
    let mut out = Vec::new();
    let nothing = |object: &str| Grant { object: object.to_owned(), ..Grant::default() };
    if mode == Mode::Exactly {
        for one in held {
            let target = wanted.iter().find(|grant| grant.object == one.object).cloned().unwrap_or_else(|| nothing(&one.object));
            out.extend(revoked(one, &target, account));
        }
    }
    for want in wanted {
        let one = held.iter().find(|grant| grant.object == want.object).cloned().unwrap_or_else(|| nothing(&want.object));
        if mode == Mode::Subtract {
            let common: Vec<String> =
                want.privileges.iter().filter(|name| *name == "ALL" || one.privileges.contains(*name)).cloned().collect();
            if !common.is_empty() && !one.privileges.is_empty() {
                out.push(format!("REVOKE {} ON {} FROM {account}", spelled(&common), want.object));
            }
            continue;
        }
        let keeps = if mode == Mode::Exactly && one.has_all() && !want.has_all() {
            Grant { privileges: BTreeSet::new(), ..one.clone() }
        } else {
            one.clone()
        };
        let missing = keeps.lacks(want);
        let passes_on = want.may_pass_on && !one.may_pass_on;
        if !missing.is_empty() || passes_on {
            let option = if want.may_pass_on { " WITH GRANT OPTION" } else { "" };
            out.push(format!("GRANT {} ON {} TO {account}{option}", spelled(&missing), want.object));
        }
    }
    out
}

/// What is too much.
fn revoked(held: &Grant, wanted: &Grant, account: &str) -> Vec<String> {
    let mut out = Vec::new();
    if held.may_pass_on && !wanted.may_pass_on {
        out.push(format!("REVOKE GRANT OPTION ON {} FROM {account}", held.object));
    }
    let extra: Vec<String> = match (held.has_all(), wanted.has_all()) {
        (_, true) => Vec::new(),
        (true, false) => vec!["ALL".to_owned()],
        (false, false) => held.privileges.difference(&wanted.privileges).cloned().collect(),
    };
    if !extra.is_empty() {
        out.push(format!("REVOKE {} ON {} FROM {account}", spelled(&extra), held.object));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lead(held: &[&str], wanted: &str, mode: Mode) -> Vec<String> {
        let held: Vec<Grant> = held.iter().filter_map(|line| Grant::shown(line, false)).collect();
        between(&held, &Grant::wanted(&Value::from(wanted), false).unwrap(), mode, "'a'@'b'")
    }

    const SHOP: &str = "GRANT SELECT, INSERT ON `shop`.* TO `a`@`b`";
    const NONE: &str = "GRANT USAGE ON *.* TO `a`@`b` IDENTIFIED BY PASSWORD '*AB TO ON'";

    #[test]
    fn what_is_granted_is_not_granted_again() {
        assert!(lead(&[NONE, SHOP], "shop.*:insert,select", Mode::Exactly).is_empty());
        assert!(lead(&[NONE], "*.*:USAGE", Mode::Exactly).is_empty());
        assert!(lead(&["GRANT ALL PRIVILEGES ON *.* TO `a`@`b` WITH GRANT OPTION"], "*.*:ALL,GRANT", Mode::Exactly).is_empty());
        assert!(lead(&["GRANT SELECT (`b`, `a`) ON `d`.`t` TO `a`@`b`"], "d.t:SELECT(a, b)", Mode::Exactly).is_empty());
        assert!(
            lead(
                &["GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `a`@`b`"],
                "*.*:REPLICATION SLAVE,REPLICATION CLIENT",
                Mode::Exactly
            )
            .is_empty()
        );
    }

    #[test]
    fn too_much_is_revoked_and_too_little_granted() {
        assert_eq!(
            lead(&[NONE, SHOP], "shop.*:SELECT,UPDATE/x.y:ALL", Mode::Exactly),
            [
                "REVOKE INSERT ON `shop`.* FROM 'a'@'b'",
                "GRANT UPDATE ON `shop`.* TO 'a'@'b'",
                "GRANT ALL PRIVILEGES ON `x`.`y` TO 'a'@'b'"
            ]
        );
        assert_eq!(lead(&[SHOP], "shop.*:UPDATE", Mode::Append), ["GRANT UPDATE ON `shop`.* TO 'a'@'b'"]);
        assert_eq!(lead(&[SHOP], "shop.*:SELECT,UPDATE", Mode::Subtract), ["REVOKE SELECT ON `shop`.* FROM 'a'@'b'"]);
        assert_eq!(
            lead(&["GRANT ALL PRIVILEGES ON `d`.* TO `a`@`b` WITH GRANT OPTION"], "d.*:SELECT", Mode::Exactly),
            [
                "REVOKE GRANT OPTION ON `d`.* FROM 'a'@'b'",
                "REVOKE ALL PRIVILEGES ON `d`.* FROM 'a'@'b'",
                "GRANT SELECT ON `d`.* TO 'a'@'b'"
            ]
        );
        assert!(Grant::wanted(&Value::from("shop"), false).is_err());
    }
}
