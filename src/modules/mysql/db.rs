//! `mysql_db`: databases; also dumps and imports them.

use super::rows::text;
use super::{LOGIN_ARGS, Server, literal, name_of};
use crate::modules::{Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, Rule, finish_plainly, words};

pub(in crate::modules) const MODULE: Module = Module {
    name: "mysql_db",
    collection: "community.mysql",
    summary: "adds, removes, dumps and imports databases of MySQL or MariaDB",
    args: &[ARGS, LOGIN_ARGS],
    rules: &[Rule::If("state", "dump", &["target"]), Rule::If("state", "import", &["target"])],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::List, "databases; `all` for a dump or import of all").required().aliases(&["db"]),
    Arg::new("state", Kind::Str, "what is wanted of them").default("present").choices(&["absent", "dump", "import", "present"]),
    Arg::new("collation", Kind::Str, "collation of a new one").default(""),
    Arg::new("encoding", Kind::Str, "character set of a new one, and of dumps").default(""),
    Arg::new("target", Kind::Path, "the file of a dump; .gz, .bz2, .xz and .zst are packed"),
    Arg::new("single_transaction", Kind::Bool, "dump in one transaction").default("no"),
    Arg::new("quick", Kind::Bool, "dump row by row").default("yes"),
    Arg::new("ignore_tables", Kind::List, "tables that a dump leaves out, as db.table"),
    Arg::new("hex_blob", Kind::Bool, "dump binary columns as hex").default("no"),
    Arg::new("force", Kind::Bool, "go on after errors").default("no"),
    Arg::new("master_data", Kind::Int, "dump the position of the binary log").default("0").choices(&["0", "1", "2"]),
    Arg::new("skip_lock_tables", Kind::Bool, "dump without locks").default("no"),
    Arg::new("dump_extra_args", Kind::Str, "further options for the dump"),
    Arg::new("use_shell", Kind::Bool, "a shell is used where something is packed").inert().default("no"),
    Arg::new("unsafe_login_password", Kind::Bool, "the password is never in a command line").inert().default("no"),
    Arg::new("restrict_config_file", Kind::Bool, "only `config_file` is read anyway").inert().default("no"),
    Arg::new("check_implicit_admin", Kind::Bool, "try root without a password first").default("no"),
    Arg::new("config_overrides_defaults", Kind::Bool, "the option file counts where an argument is not given")
        .inert()
        .default("no"),
    Arg::new("chdir", Kind::Path, "directory in which an import works"),
    Arg::new("pipefail", Kind::Bool, "the dump's failure is always told").inert().default("no"),
    Arg::new("sql_log_bin", Kind::Bool, "write it to the binary log").default("yes"),
];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let server = Server::of(args, look)?;
    let names = args.list("name");
    let is_all = names == ["all"];
    let state = args.str("state").unwrap_or("present");
    if names.is_empty() || is_all && !matches!(state, "dump" | "import") {
        return Err(Failure::new("name=all is for dump and import; otherwise `name` must say which databases"));
    }
    let rows = server.rows("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA")?;
    let (there, missing): (Vec<String>, Vec<String>) =
        names.iter().cloned().partition(|name| is_all || rows.iter().any(|row| text(row, "SCHEMA_NAME") == name));
    let mut plan = Plan::default();
    plan.set("db", names.join(" ")).set("db_list", names.clone());
    let statements = match state {
        "absent" => there.iter().map(|name| format!("DROP DATABASE {}", name_of(name))).collect(),
        "present" | "import" => missing.iter().map(|name| create(args, name)).collect(),
        _ if !missing.is_empty() => {
            return Err(Failure::new(format!("Cannot dump database(s) '{}' - not found", missing.join("', '"))));
        }
        _ => Vec::new(),
    };
    let mut run = statements.clone();
    if !args.bool("sql_log_bin") && !run.is_empty() {
        run.insert(0, "SET SQL_LOG_BIN = 0".to_owned());
    }
    server.carry_out(&format!("database {}", names.join(", ")), there.join(", "), &statements.join(";\n"), &run, &mut plan);
    let mut commands = statements;
    match state {
        "dump" => commands.push(dump(args, &server, &names, is_all, &mut plan)?),
        "import" => commands.push(import(args, &server, &names, is_all, &mut plan)?),
        _ => {}
    }
    plan.set("executed_commands", commands);
    Ok(plan)
}

fn create(args: &Args, name: &str) -> String {
    let given = |arg: &str, word: &str| {
        args.str(arg).filter(|text| !text.is_empty()).map(|text| format!(" {word} {}", literal(text))).unwrap_or_default()
    };
    format!("CREATE DATABASE {}{}{}", name_of(name), given("encoding", "CHARACTER SET"), given("collation", "COLLATE"))
}

fn target(args: &Args) -> Result<(&str, Option<&'static str>), Failure> {
    let target = args.required("target")?;
    let packers = [(".gz", "gzip"), (".bz2", "bzip2"), (".xz", "xz"), (".zst", "zstd")];
    Ok((target, packers.iter().find(|(ending, _)| target.ends_with(ending)).map(|(_, packer)| *packer)))
}

fn dump(args: &Args, server: &Server<'_>, names: &[String], is_all: bool, plan: &mut Plan) -> Result<String, Failure> {
    let (target, packer) = target(args)?;
    let program = ["mariadb-dump", "mysqldump"].into_iter().find_map(|name| server.look.which(name));
    let program = program.ok_or_else(|| Failure::new("there is neither mariadb-dump nor mysqldump on this host"))?;
    let mut words: Vec<String> = Vec::new();
    let flags = [
        ("single_transaction", "--single-transaction=true"),
        ("quick", "--quick"),
        ("hex_blob", "--hex-blob"),
        ("force", "--force"),
        ("skip_lock_tables", "--skip-lock-tables"),
    ];
    words.extend(flags.iter().filter(|(arg, _)| args.bool(arg)).map(|(_, flag)| (*flag).to_owned()));
    if let Some(set) = args.str("encoding").filter(|set| !set.is_empty()) {
        words.push(format!("--default-character-set={set}"));
    }
    words.extend(args.list("ignore_tables").iter().map(|table| format!("--ignore-table={table}")));
    if let Some(kind) = args.int("master_data").filter(|kind| *kind > 0) {
        words.push(format!("--master-data={kind}"));
    }
    words.extend(words::split(args.str("dump_extra_args").unwrap_or_default()).map_err(Failure::new)?);
    match (is_all, names) {
        (true, _) => words.push("--all-databases".to_owned()),
        (false, [name]) => words.push(name.clone()),
        (false, names) => words.extend(std::iter::once("--databases".to_owned()).chain(names.iter().cloned())),
    }
    let cmd = server.client(&program, &words.iter().map(String::as_str).collect::<Vec<_>>());
    let script = match packer {
        None => r#"target=$1; shift 2; "$@" > "$target""#,
        Some(_) => r#"target=$1 packer=$2; shift 2; set -o pipefail; "$@" | $packer > "$target""#,
    };
    let said = format!("{program} {} > {target}", words.join(" "));
    plan.push(Change::run(target, piped(cmd, script, target, packer)));
    Ok(said)
}

fn import(args: &Args, server: &Server<'_>, names: &[String], is_all: bool, plan: &mut Plan) -> Result<String, Failure> {
    let (target, packer) = target(args)?;
    if !server.look.exists(target) {
        return Err(Failure::new(format!("target {target} does not exist on the host")));
    }
    let mut words: Vec<String> = args.bool("force").then(|| "-f".to_owned()).into_iter().collect();
    if let Some(set) = args.str("encoding").filter(|set| !set.is_empty()) {
        words.push(format!("--default-character-set={set}"));
    }
    if !args.bool("sql_log_bin") {
        words.push("--init-command=SET SQL_LOG_BIN=0;".to_owned());
    }
    if let ([name], false) = (names, is_all) {
        words.push("--one-database".to_owned());
        words.push(name.clone());
    }
    let program = ["mariadb", "mysql"].into_iter().find_map(|name| server.look.which(name)).unwrap_or_default();
    let cmd = server.client(&program, &words.iter().map(String::as_str).collect::<Vec<_>>());
    let script = match packer {
        None => r#"target=$1; shift 2; "$@" < "$target""#,
        Some(_) => r#"target=$1 packer=$2; shift 2; set -o pipefail; $packer -dc "$target" | "$@""#,
    };
    let said = format!("{program} {} < {target}", words.join(" "));
    let cmd = Cmd { chdir: args.str("chdir").map(str::to_owned), ..piped(cmd, script, target, packer) };
    plan.push(Change::run(format!("database {}", names.join(", ")), cmd));
    Ok(said)
}

/// A shell around the client; no word of the task is ever part of its script.
fn piped(cmd: Cmd, script: &str, target: &str, packer: Option<&str>) -> Cmd {
    let shell = if packer.is_some() { "bash" } else { "sh" };
    let words = [shell, "-c", script, shell, target, packer.unwrap_or("-")].map(str::to_owned);
    Cmd { argv: words.into_iter().chain(cmd.argv).collect(), ..cmd }
}
