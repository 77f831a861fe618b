//! `cron`: jobs and variables in a user's crontab or in a file of `/etc/cron.d`, known by the comment before them.

use super::edit::TextFile;
use super::touch::Write;
use super::{Act, Arg, Args, Attrs, Change, Cmd, Content, Failure, Kind, Look, Module, Plan, edit, paths};
use crate::value::{Value, bytes_of, shown_text};

pub(super) static MODULE: Module = Module {
    name: "cron",
    collection: "ansible.builtin",
    summary: "see to jobs and variables of cron",
    args: &[&[
        Arg::new("name", Kind::Str, "what the job is known by, or the variable").required(),
        Arg::new("user", Kind::Str, "whose crontab; with `cron_file`, who runs the job"),
        Arg::new("job", Kind::Str, "the command, or the variable's value").aliases(&["value"]),
        Arg::new("cron_file", Kind::Path, "a file of /etc/cron.d, or a path"),
        Arg::new("state", Kind::Str, "whether it is there").choices(&["absent", "present"]).default("present"),
        Arg::new("backup", Kind::Bool, "keep a copy of what was there").default("no"),
        Arg::new("minute", Kind::Str, "when").default("*"),
        Arg::new("hour", Kind::Str, "when").default("*"),
        Arg::new("day", Kind::Str, "day of the month").aliases(&["dom"]).default("*"),
        Arg::new("month", Kind::Str, "when").default("*"),
        Arg::new("weekday", Kind::Str, "day of the week").aliases(&["dow"]).default("*"),
        Arg::new("special_time", Kind::Str, "when, in a word")
            .choices(&["reboot", "yearly", "annually", "monthly", "weekly", "daily", "hourly"]),
        Arg::new("disabled", Kind::Bool, "put a `#` before it").default("no"),
        Arg::new("env", Kind::Bool, "it is a variable").default("no"),
        Arg::new("insertafter", Kind::Str, "put the variable after this one"),
        Arg::new("insertbefore", Kind::Str, "put the variable before this one"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: edit::finish,
};

const MARK: &str = "#Ansible: ";
const TIMES: [&str; 5] = ["minute", "hour", "day", "month", "weekday"];

/// Where the lines are.
enum Table {
    File(TextFile),
    Of { user: Option<String>, text: String },
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    check(args)?;
    let is_present = args.str("state") != Some("absent");
    let table = Table::open(args, look)?;
    let mut lines: Vec<String> = table.text().lines().map(str::to_owned).collect();
    if args.bool("env") {
        variable(args, &mut lines, is_present)?;
    } else {
        job(args, &mut lines, is_present);
    }
    let after: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let mut plan = Plan::default();
    let jobs = lines.iter().filter_map(|line| line.strip_prefix(MARK)).map(Value::from).collect::<Value>();
    let envs = lines.iter().filter_map(|line| variable_name(line)).map(Value::from).collect::<Value>();
    plan.set("jobs", jobs).set("envs", envs).set("state", args.str("state"));
    if let Some(file) = args.str("cron_file") {
        plan.set("cron_file", file);
    }
    table.become_text(args, look, after, &mut plan)?;
    Ok(plan)
}

fn check(args: &Args) -> Result<(), Failure> {
    let is_present = args.str("state") != Some("absent");
    let has_time = TIMES.iter().any(|time| args.str(time).is_some_and(|text| text != "*"));
    if args.has("special_time") && has_time {
        return Err(Failure::new("You must specify time and date fields or special time."));
    }
    if is_present && !args.has("job") {
        return Err(Failure::new(if args.bool("env") {
            "You must specify 'value' to install a new environment variable"
        } else {
            "You must specify 'job' to install a new cron job or variable"
        }));
    }
    if let Some(file) = args.str("cron_file") {
        if paths::normal(file) == "/etc/crontab" {
            return Err(Failure::new("Will not manage /etc/crontab via cron_file, see documentation."));
        }
        if is_present && !args.has("user") {
            return Err(Failure::new("To use cron_file=... parameter you must specify user=... as well"));
        }
    }
    if (args.has("insertafter") || args.has("insertbefore")) && !args.bool("env") {
        return Err(Failure::new("Insertafter and insertbefore parameters are valid only with env=yes"));
    }
    if args.str("job").is_some_and(|job| job.contains(['\n', '\r'])) && !args.bool("env") {
        return Err(Failure::new("`job` is one line; cron would read each line break as a new job"));
    }
    Ok(())
}

impl Table {
    fn open(args: &Args, look: &dyn Look) -> Result<Table, Failure> {
        if let Some(file) = args.str("cron_file") {
            let path = if file.starts_with('/') { file.to_owned() } else { format!("/etc/cron.d/{file}") };
            return TextFile::open(look, &path).map(Table::File);
        }
        let user = args.str("user").map(str::to_owned);
        let output = look.run(&crontab(look, user.as_deref(), "-l")?)?;
        match output.code {
            0 => {}
            // There is none yet.
            1 if output.stderr_text().contains("no crontab") || output.stderr_text().trim().is_empty() => {}
            _ => return Err(Failure::of_command("unable to read crontab", &output)),
        }
        Ok(Table::Of { user, text: without_heading(&output.stdout_text()) })
    }

    fn text(&self) -> &str {
        match self {
            Table::File(file) => &file.text,
            Table::Of { text, .. } => text,
        }
    }

    fn become_text(self, args: &Args, look: &dyn Look, after: String, plan: &mut Plan) -> Result<(), Failure> {
        match self {
            Table::File(file) if file.found.is_none() && after.trim().is_empty() => Ok(()),
            Table::File(file) if after.trim().is_empty() && args.str("state") == Some("absent") => {
                plan.push(Change::new(
                    &file.path,
                    shown_text(&file.text).as_ref(),
                    Value::Null,
                    Act::Remove { path: file.path.clone() },
                ));
                Ok(())
            }
            Table::File(file) => {
                write(&file, args, &after, plan);
                Ok(())
            }
            Table::Of { user, text } => {
                if text != after {
                    let cmd = crontab(look, user.as_deref(), "-")?.stdin(after.clone());
                    plan.push(Change::new("crontab", text, after, Act::Run(cmd)));
                }
                Ok(())
            }
        }
    }
}

fn write(file: &TextFile, args: &Args, after: &str, plan: &mut Plan) {
    if file.text == after {
        return;
    }
    let attrs = Attrs { mode: file.found.is_none().then_some(0o644), ..Attrs::default() };
    let write = Write {
        attrs,
        backup: args.bool("backup") && file.found.is_some(),
        ..Write::new(&file.path, Content::Bytes(bytes_of(after)))
    };
    let (before, after) = (shown_text(&file.text), shown_text(after));
    plan.push(Change::new(&file.path, before.as_ref(), after.as_ref(), Act::Write(write)));
}

fn crontab(look: &dyn Look, user: Option<&str>, what: &str) -> Result<Cmd, Failure> {
    let program = look.require("crontab", "cron")?;
    let user = user.map(|user| ["-u", user]);
    Ok(Cmd::new([program.as_str()].into_iter().chain(user.into_iter().flatten()).chain([what])))
}

/// Some versions put a warning of their own at the top each time.
fn without_heading(text: &str) -> String {
    let is_heading = |line: &str| {
        line.starts_with("# DO NOT EDIT THIS FILE - edit the master and reinstall.")
            || line.starts_with("# (/tmp/")
            || line.starts_with("# (") && line.contains("version")
    };
    let lines = text.lines().enumerate().filter(|(at, line)| *at > 2 || !is_heading(line));
    lines.map(|(_, line)| format!("{line}\n")).collect()
}

/// The comment and the job behind it, in place of those of the same name.
fn job(args: &Args, lines: &mut Vec<String>, is_present: bool) {
    let mark = format!("{MARK}{}", args.str("name").unwrap_or_default());
    let found = lines.iter().position(|line| *line == mark);
    let wanted = is_present.then(|| job_line(args));
    match (found, wanted) {
        (Some(at), Some(wanted)) if at + 1 < lines.len() => lines[at + 1] = wanted,
        (Some(_), Some(wanted)) => lines.push(wanted),
        (None, Some(wanted)) => lines.extend([mark, wanted]),
        (Some(at), None) => drop(lines.drain(at..(at + 2).min(lines.len()))),
        (None, None) => {}
    }
}

fn job_line(args: &Args) -> String {
    let time = match args.str("special_time") {
        Some(word) => format!("@{word}"),
        None => TIMES.map(|time| args.str(time).unwrap_or("*")).join(" "),
    };
    let user = args.str("user").filter(|_| args.has("cron_file")).map(|user| format!("{user} ")).unwrap_or_default();
    let disabled = if args.bool("disabled") { "#" } else { "" };
    format!("{disabled}{time} {user}{}", args.str("job").unwrap_or_default().trim_matches(['\r', '\n']))
}

/// The variable that a line sets.
fn variable_name(line: &str) -> Option<&str> {
    let (name, _) = line.trim_start().split_once('=')?;
    let name = name.trim();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(name)
}

fn variable(args: &Args, lines: &mut Vec<String>, is_present: bool) -> Result<(), Failure> {
    let name = args.required("name")?;
    let place = |lines: &[String], name: &str| lines.iter().position(|line| variable_name(line) == Some(name));
    let found = place(lines, name);
    if !is_present {
        if let Some(at) = found {
            lines.remove(at);
        }
        return Ok(());
    }
    let line = format!("{name}=\"{}\"", args.str("job").unwrap_or_default());
    if let Some(at) = found {
        lines[at] = line;
        return Ok(());
    }
    let beside = args.str("insertafter").map(|other| (other, 1)).or(args.str("insertbefore").map(|other| (other, 0)));
    let at = match beside {
        None => 0,
        Some((other, step)) => {
            let at = place(lines, other);
            step + at.ok_or_else(|| Failure::new(format!("Variable named '{other}' not found.")))?
        }
    };
    lines.insert(at, line);
    Ok(())
}
