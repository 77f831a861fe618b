//! `timezone`: what the time of day is on the host.

use super::edit::TextFile;
use super::{Act, Arg, Args, Change, Failure, Kind, Look, Module, Plan, Rule, finish_plainly, paths};
use crate::value::Value;

pub(super) static MODULE: Module = Module {
    name: "timezone",
    collection: "community.general",
    summary: "set the time zone, and how the hardware clock counts",
    args: &[&[
        Arg::new("name", Kind::Str, "the zone, such as `Europe/Berlin`"),
        Arg::new("hwclock", Kind::Str, "what the hardware clock shows").aliases(&["rtc"]).choices(&["local", "UTC"]),
    ]],
    rules: &[Rule::OneOf(&["hwclock", "name"])],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ZONES: &str = "/usr/share/zoneinfo";

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let mut plan = Plan::default();
    if let Some(name) = args.str("name") {
        zone(look, name, &mut plan)?;
    }
    if let Some(wanted) = args.str("hwclock") {
        clock(args, look, if wanted == "UTC" { "UTC" } else { "LOCAL" }, &mut plan)?;
    }
    Ok(plan)
}

fn zone(look: &dyn Look, name: &str, plan: &mut Plan) -> Result<(), Failure> {
    let file = format!("{ZONES}/{name}");
    let is_zone = matches!(look.stat(&file, true), Ok(Some(found)) if found.kind == "file");
    if !is_zone || name.split('/').any(|part| part == "..") {
        let hint = if look.exists(ZONES) { "" } else { ": the host has no time zones; they come with the package `tzdata`" };
        return Err(Failure::new(format!("given timezone \"{name}\" is not available{hint}")));
    }
    let link = "/etc/localtime";
    let target = look.read_link(link).map(|target| paths::normal(&paths::join("/etc", &target))).unwrap_or_default();
    let found = target.strip_prefix(ZONES).map(|name| name.trim_start_matches('/'));
    let said = look.text("/etc/timezone").ok().flatten();
    let before = found.or(said.as_deref().map(str::trim)).unwrap_or("n/a").to_owned();
    let shown = |name: &str| Value::pair("name", name);
    if found != Some(name) {
        let act = Act::Symlink { path: link.to_owned(), target: file };
        plan.push(Change::new(link, shown(&before), shown(name), act));
    }
    // Debian names it a second time.
    if said.is_some_and(|said| said.trim() != name) {
        let file = TextFile::open(look, "/etc/timezone")?;
        file.become_text(&Args::default(), look, &format!("{name}\n"), "", plan)?;
        plan.values.shift_remove("msg");
    }
    Ok(())
}

/// The third line of `/etc/adjtime`.
fn clock(args: &Args, look: &dyn Look, wanted: &str, plan: &mut Plan) -> Result<(), Failure> {
    let file = TextFile::open(look, "/etc/adjtime")?;
    let mut lines: Vec<&str> = file.text.lines().collect();
    if lines.get(2).copied().unwrap_or("UTC") == wanted {
        return Ok(());
    }
    let first = ["0.0 0 0.0", "0"];
    lines.extend(first.iter().skip(lines.len().min(2)));
    lines.truncate(2);
    lines.push(wanted);
    let after = lines.join("\n") + "\n";
    file.become_text(args, look, &after, "", plan)?;
    plan.values.shift_remove("msg");
    Ok(())
}
