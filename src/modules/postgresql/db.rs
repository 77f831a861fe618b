//! `postgresql_db`: a database; also dumps and restores one.

use super::server::field;
use super::{LOGIN_ARGS, Server, Statements, ident, literal};
use crate::modules::{Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, Rule, finish_plainly, words};
use crate::value::Value;

pub(in crate::modules) const MODULE: Module = Module {
    name: "postgresql_db",
    collection: "community.postgresql",
    summary: "adds, changes, removes, dumps and restores databases of PostgreSQL",
    args: &[ARGS, LOGIN_ARGS],
    rules: &[
        Rule::If("state", "rename", &["target"]),
        Rule::If("state", "dump", &["target"]),
        Rule::If("state", "restore", &["target"]),
    ],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "the database").required().aliases(&["db"]),
    Arg::new("owner", Kind::Str, "who owns it").default(""),
    Arg::new("template", Kind::Str, "the template for a new one").default(""),
    Arg::new("encoding", Kind::Str, "encoding of a new one").default(""),
    Arg::new("lc_collate", Kind::Str, "collation order of a new one").default(""),
    Arg::new("lc_ctype", Kind::Str, "character classes of a new one").default(""),
    Arg::new("icu_locale", Kind::Str, "ICU locale of a new one").default(""),
    Arg::new("locale_provider", Kind::Str, "locale provider of a new one").default(""),
    Arg::new("state", Kind::Str, "what is wanted of it")
        .default("present")
        .choices(&["absent", "dump", "present", "rename", "restore"]),
    Arg::new("force", Kind::Bool, "remove it although somebody is connected").default("no"),
    Arg::new("target", Kind::Path, "the file of a dump, or the new name"),
    Arg::new("target_opts", Kind::Str, "further options for pg_dump, pg_restore or psql").default(""),
    Arg::new("maintenance_db", Kind::Str, "the database to log in to").default("postgres"),
    Arg::new("conn_limit", Kind::Str, "how many connections it takes").default(""),
    Arg::new("tablespace", Kind::Str, "its tablespace").default(""),
    Arg::new("dump_extra_args", Kind::Str, "further options for pg_dump"),
    Arg::new("comment", Kind::Str, "comment on it"),
];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let name = args.required("name")?;
    let server = Server::in_database(args, look, args.str("maintenance_db").unwrap_or("postgres"))?;
    let found = find(&server, name)?;
    let mut plan = Plan::default();
    plan.set("db", name);
    let mut todo = Statements::default();
    match (args.str("state").unwrap_or("present"), &found) {
        ("dump" | "restore", _) => return transfer(args, look, name, found.is_some(), plan),
        ("rename", _) => rename(args, &server, name, found.is_some(), &mut todo)?,
        ("absent", None) => {}
        ("absent", Some(_)) => {
            todo.push(format!("DROP DATABASE {}{}", ident(name), if args.bool("force") { " WITH (FORCE)" } else { "" }));
        }
        (_, None) => create(args, name, &mut todo),
        (_, Some(found)) => alter(args, &server, name, found, &mut todo)?,
    }
    server.carry_out(&format!("database {name}"), found.unwrap_or_default(), todo, &mut plan);
    let commands = plan.values.shift_remove("queries").unwrap_or_default();
    plan.set("executed_commands", commands);
    Ok(plan)
}

fn find(server: &Server<'_>, name: &str) -> Result<Option<Value>, Failure> {
    server.row(&format!(
        "SELECT pg_get_userbyid(d.datdba) AS owner, pg_encoding_to_char(d.encoding) AS encoding, d.encoding AS encoding_id, \
         d.datcollate AS lc_collate, d.datctype AS lc_ctype, d.datconnlimit::text AS conn_limit, t.spcname AS tablespace, \
         shobj_description(d.oid, 'pg_database') AS comment \
         FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname = {}",
        literal(name)
    ))
}

fn given<'a>(args: &'a Args, name: &str) -> Option<&'a str> {
    args.str(name).filter(|text| !text.is_empty())
}

fn create(args: &Args, name: &str, todo: &mut Statements) {
    let mut sql = format!("CREATE DATABASE {}", ident(name));
    for (arg, word) in [("owner", "OWNER"), ("template", "TEMPLATE")] {
        if let Some(value) = given(args, arg) {
            sql.push_str(&format!(" {word} {}", ident(value)));
        }
    }
    for (arg, word) in [
        ("encoding", "ENCODING"),
        ("lc_collate", "LC_COLLATE"),
        ("lc_ctype", "LC_CTYPE"),
        ("icu_locale", "ICU_LOCALE"),
        ("locale_provider", "LOCALE_PROVIDER"),
    ] {
        if let Some(value) = given(args, arg) {
            sql.push_str(&format!(" {word} {}", literal(value)));
        }
    }
    if let Some(space) = given(args, "tablespace") {
        sql.push_str(&format!(" TABLESPACE {}", ident(space)));
    }
    if let Some(limit) = given(args, "conn_limit") {
        sql.push_str(&format!(" CONNECTION LIMIT {limit}"));
    }
    todo.push(sql);
    if let Some(comment) = given(args, "comment") {
        todo.push(format!("COMMENT ON DATABASE {} IS {}", ident(name), literal(comment)));
    }
}

/// What can be changed is changed; what cannot is said.
fn alter(args: &Args, server: &Server<'_>, name: &str, found: &Value, todo: &mut Statements) -> Result<(), Failure> {
    if let Some(encoding) = given(args, "encoding") {
        let is_same =
            format!("SELECT 1 AS same WHERE pg_char_to_encoding({}) = {}", literal(encoding), field(found, "encoding_id"));
        if field(found, "encoding") != encoding && !server.finds(&is_same)? {
            return Err(fixed("database encoding", "encoding", &field(found, "encoding")));
        }
    }
    for (arg, label) in [("lc_collate", "LC_COLLATE"), ("lc_ctype", "LC_CTYPE")] {
        if given(args, arg).is_some_and(|value| value != field(found, arg)) {
            return Err(fixed(label, label, &field(found, arg)));
        }
    }
    let differs = |arg: &str| given(args, arg).filter(|value| *value != field(found, arg));
    let name = ident(name);
    if let Some(owner) = differs("owner") {
        todo.push(format!("ALTER DATABASE {name} OWNER TO {}", ident(owner)));
    }
    if let Some(limit) = differs("conn_limit") {
        todo.push(format!("ALTER DATABASE {name} CONNECTION LIMIT {limit}"));
    }
    if let Some(space) = differs("tablespace") {
        todo.push(format!("ALTER DATABASE {name} SET TABLESPACE {}", ident(space)));
    }
    if let Some(comment) = args.str("comment").filter(|text| *text != field(found, "comment")) {
        todo.push(format!("COMMENT ON DATABASE {name} IS {}", literal(comment)));
    }
    Ok(())
}

fn fixed(what: &str, label: &str, now: &str) -> Failure {
    Failure::new(format!("Changing {what} is not supported. Current {label}: {now}"))
}

fn rename(args: &Args, server: &Server<'_>, name: &str, is_there: bool, todo: &mut Statements) -> Result<(), Failure> {
    let target = args.required("target")?;
    let is_done = find(server, target)?.is_some();
    match (is_there, is_done) {
        (true, true) => Err(Failure::new(format!("Both the source and the target databases exist: {name}, {target}"))),
        (false, false) => Err(Failure::new("The source and the target databases do not exist")),
        (false, true) => Ok(()),
        (true, false) => {
            todo.push(format!("ALTER DATABASE {} RENAME TO {}", ident(name), ident(target)));
            Ok(())
        }
    }
}

/// `dump` and `restore` always change something.
fn transfer(args: &Args, look: &dyn Look, name: &str, is_there: bool, mut plan: Plan) -> Result<Plan, Failure> {
    let target = args.required("target")?;
    let is_dump = args.str("state") == Some("dump");
    if !is_there {
        return Err(Failure::new(format!("there is no database {name}")));
    }
    if !is_dump && !look.exists(target) {
        return Err(Failure::new(format!("Target file not found: {target}")));
    }
    let options = |arg: &str| words::split(args.str(arg).unwrap_or_default()).map_err(Failure::new);
    let server = Server::in_database(args, look, name)?;
    let (plain, packer) = compression(target);
    let mut program: Vec<String> = match (is_dump, format(plain)) {
        (true, format) => {
            ["pg_dump".to_owned(), name.to_owned()].into_iter().chain(format.map(|letter| format!("--format={letter}"))).collect()
        }
        (false, Some(letter)) => vec!["pg_restore".to_owned(), format!("--format={letter}"), format!("--dbname={name}")],
        (false, None) => ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1"].map(str::to_owned).to_vec(),
    };
    if is_dump {
        program.extend(options("dump_extra_args")?);
    }
    program.extend(options("target_opts")?);
    if format(plain) == Some('d') && is_dump {
        program.push(format!("--file={target}"));
    } else if format(plain) == Some('d') {
        program.push(target.to_owned());
    }
    plan.set("executed_commands", vec![program.join(" ")]);
    let base = server.client("", &[]);
    let argv = if format(plain) == Some('d') { program } else { piped(program, packer, target, is_dump) };
    let what = if is_dump { target.to_owned() } else { format!("database {name}") };
    plan.push(Change::run(what, Cmd { argv, ..base }));
    Ok(plan)
}

/// A shell that joins the program and the packer; no word of the task is ever part of its script.
fn piped(program: Vec<String>, packer: Option<&'static str>, target: &str, is_dump: bool) -> Vec<String> {
    let script = match (is_dump, packer) {
        (true, None) => r#"target=$1; shift 2; "$@" > "$target""#,
        (true, Some(_)) => r#"target=$1 packer=$2; shift 2; set -o pipefail; "$@" | $packer > "$target""#,
        (false, None) => r#"target=$1; shift 2; "$@" < "$target""#,
        (false, Some(_)) => r#"target=$1 packer=$2; shift 2; set -o pipefail; $packer -dc "$target" | "$@""#,
    };
    // Only bash knows what became of the first part of a pipe.
    let shell = if packer.is_some() { "bash" } else { "sh" };
    let words = [shell, "-c", script, shell, target, packer.unwrap_or("-")].map(str::to_owned);
    words.into_iter().chain(program).collect()
}

/// The name without the ending of its compression, and the program for it.
fn compression(target: &str) -> (&str, Option<&'static str>) {
    for (ending, packer) in [(".gz", "gzip"), (".bz2", "bzip2"), (".xz", "xz")] {
        if let Some(plain) = target.strip_suffix(ending) {
            return (plain, Some(packer));
        }
    }
    (target, None)
}

/// The format letter of pg_dump; none for plain SQL.
fn format(target: &str) -> Option<char> {
    let ending = target.rsplit_once('.').map(|(_, ending)| ending);
    match ending {
        Some("tar") => Some('t'),
        Some("pgc") => Some('c'),
        Some("dir") => Some('d'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_says_how_a_dump_is_made() {
        assert_eq!((compression("/b/x.sql.gz"), format("/b/x.sql")), (("/b/x.sql", Some("gzip")), None));
        assert_eq!((compression("/b/x.tar").1, format("/b/x.tar"), format("/b/x.dir")), (None, Some('t'), Some('d')));
    }
}
