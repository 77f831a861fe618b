//! `locale_gen`: languages that programs of the host can speak.

use super::edit::TextFile;
use super::{Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::Value;

pub(super) static MODULE: Module = Module {
    name: "locale_gen",
    collection: "community.general",
    summary: "make and remove locales",
    args: &[&[
        Arg::new("name", Kind::List, "such as `de_DE.UTF-8`").required(),
        Arg::new("state", Kind::Str, "whether they are there").choices(&["absent", "present"]).default("present"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const TABLE: &str = "/etc/locale.gen";
const SUPPORTED: [&str; 2] = ["/usr/share/i18n/SUPPORTED", "/usr/local/share/i18n/SUPPORTED"];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let names = args.list("name");
    let is_present = args.str("state") != Some("absent");
    if !look.exists(TABLE) {
        return Err(Failure::new("/etc/locale.gen is missing. Is the package \"locales\" installed?"));
    }
    let program = look.require("locale-gen", "locales")?;
    let supported: String = SUPPORTED.iter().filter_map(|path| look.text(path).ok().flatten()).collect();
    let file = TextFile::open(look, TABLE)?;
    let unknown: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| charset(name, &supported, &file.text).is_none()).collect();
    if !unknown.is_empty() && is_present {
        let msg = format!("The following locales you have entered are not available on your system: {}", unknown.join(", "));
        return Err(Failure::new(msg));
    }
    let output = look.run(&Cmd::new(["locale", "-a"]))?;
    let made: Vec<String> = output.stdout_text().lines().map(plain).collect();
    let wrong: Vec<&String> = names.iter().filter(|name| made.contains(&plain(name)) != is_present).collect();
    let mut plan = Plan::default();
    plan.set("name", names.clone()).set("mechanism", "glibc");
    if wrong.is_empty() {
        return Ok(plan);
    }
    let after = edited(&file.text, &wrong, is_present, &supported);
    file.become_text(&Args::default(), look, &after, "", &mut plan)?;
    plan.values.shift_remove("msg");
    let shown = |is_there: bool| Value::from(if is_there { "present" } else { "absent" });
    plan.push(Change { before: shown(!is_present), after: shown(is_present), ..Change::run("locale-gen", Cmd::new([program])) });
    Ok(plan)
}

/// `de_DE.UTF-8` and `de_DE.utf8` are the same.
fn plain(name: &str) -> String {
    name.to_lowercase().replace("utf-8", "utf8").replace("-", "")
}

fn charset<'t>(name: &str, supported: &'t str, table: &'t str) -> Option<&'t str> {
    let lines = supported.lines().chain(table.lines());
    lines.map(|line| line.trim_start_matches(['#', ' '])).find_map(|line| {
        let (own, charset) = line.split_once(' ')?;
        (own == name).then(|| charset.trim())
    })
}

/// Lines are taken out of their comments, or put into one; new ones come last.
fn edited(text: &str, names: &[&String], is_present: bool, supported: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for name in names {
        let is_meant = |line: &String| line.trim_start_matches(['#', ' ']).split(' ').next() == Some(name.as_str());
        let mut is_there = false;
        for line in lines.iter_mut().filter(|line| is_meant(line)) {
            let bare = line.trim_start_matches(['#', ' ']).to_owned();
            *line = if is_present { bare } else { format!("# {bare}") };
            is_there = true;
        }
        if is_present && !is_there {
            lines.push(format!("{name} {}", charset(name, supported, text).unwrap_or("UTF-8")));
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}
