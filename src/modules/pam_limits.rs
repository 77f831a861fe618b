//! `pam_limits`: a limit for a user, a group or all of them.

use super::edit::{self, TextFile};
use super::{Arg, Args, Failure, Kind, Look, Module, Plan};

pub(super) static MODULE: Module = Module {
    name: "pam_limits",
    collection: "community.general",
    summary: "set limits of users",
    args: &[&[
        Arg::new("domain", Kind::Str, "a user, `@group`, `*` or `%group`").required(),
        Arg::new("limit_type", Kind::Str, "which limit; `-` is both").choices(&["hard", "soft", "-"]).required(),
        Arg::new("limit_item", Kind::Str, "what is limited")
            .choices(&[
                "core",
                "data",
                "fsize",
                "memlock",
                "nofile",
                "rss",
                "stack",
                "cpu",
                "nproc",
                "as",
                "maxlogins",
                "maxsyslogins",
                "priority",
                "locks",
                "sigpending",
                "msgqueue",
                "nice",
                "rtprio",
                "chroot",
            ])
            .required(),
        Arg::new("value", Kind::Str, "a number, `unlimited`, `infinity` or -1").required(),
        Arg::new("use_max", Kind::Bool, "a higher value that is there stays").default("no"),
        Arg::new("use_min", Kind::Bool, "a lower value that is there stays").default("no"),
        Arg::new("backup", Kind::Bool, "keep a copy of what was there").default("no"),
        Arg::new("dest", Kind::Path, "the file").default("/etc/security/limits.conf"),
        Arg::new("comment", Kind::Str, "a comment behind the limit").default(""),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: edit::finish,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let part = |name: &'static str| args.required(name);
    let (domain, kind, item, value) = (part("domain")?, part("limit_type")?, part("limit_item")?, part("value")?);
    if args.bool("use_max") && args.bool("use_min") {
        return Err(Failure::new("Cannot use use_min and use_max at the same time."));
    }
    number(value, item).ok_or_else(|| {
        Failure::new(format!(
            "Argument 'value' can be one of 'unlimited', 'infinity', '-1' or positive number, or, for nice and priority, a \
             number from -20 to 19. Refer to manual pages for more details. It is `{value}`."
        ))
    })?;
    let file = TextFile::open_existing(look, part("dest")?, true)?;
    let mut lines: Vec<String> = file.text.lines().map(str::to_owned).collect();
    let comment = args.str("comment").filter(|text| !text.is_empty()).map(|text| format!("\t#{text}")).unwrap_or_default();
    let wanted = |value: &str| format!("{domain}\t{kind}\t{item}\t{value}{comment}");
    let mut msg = "";
    let mut found = false;
    for line in &mut lines {
        let bare = line.split('#').next().unwrap_or_default().to_owned();
        let fields: Vec<&str> = bare.split_whitespace().collect();
        let [own_domain, own_kind, own_item, own_value] = fields.as_slice() else { continue };
        if (*own_domain, *own_kind, *own_item) != (domain, kind, item) {
            continue;
        }
        found = true;
        let chosen = chosen(args, item, own_value, value);
        if chosen != *own_value {
            *line = wanted(chosen);
            msg = "changed";
        }
    }
    if !found {
        let end = lines.iter().position(|line| line.starts_with("# End of file")).unwrap_or(lines.len());
        lines.insert(end, wanted(value));
        msg = "added";
    }
    let mut plan = Plan::default();
    plan.set("msg", wanted(value));
    let after: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let (after, text) = if msg.is_empty() { (file.text.clone(), wanted(value)) } else { (after, wanted(value)) };
    file.become_text(args, look, &after, &text, &mut plan)?;
    Ok(plan)
}

/// The value to be had, where one is there already.
fn chosen<'v>(args: &Args, item: &str, found: &'v str, value: &'v str) -> &'v str {
    let (Some(own), Some(new)) = (number(found, item), number(value, item)) else { return value };
    let keeps = args.bool("use_max") && own >= new || args.bool("use_min") && own <= new || own == new;
    if keeps { found } else { value }
}

/// No limit is more than any number.
fn number(text: &str, item: &str) -> Option<i64> {
    match text {
        "unlimited" | "infinity" => Some(i64::MAX),
        "-1" if !matches!(item, "nice" | "priority") => Some(i64::MAX),
        other => {
            other.parse().ok().filter(|number| *number >= 0 || matches!(item, "nice" | "priority") && (-20..20).contains(number))
        }
    }
}
