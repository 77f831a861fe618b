//! `xattr`: extended attributes of a file, by `getfattr` and `setfattr`.

use super::{Act, Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, Rule, finish_plainly};
use crate::value::{Map, Value};

pub(super) static MODULE: Module = Module {
    name: "xattr",
    collection: "community.general",
    summary: "see to extended attributes of files",
    args: &[&[
        Arg::new("path", Kind::Path, "the file").aliases(&["name"]).required(),
        Arg::new("namespace", Kind::Str, "of the attribute").default("user"),
        Arg::new("key", Kind::Str, "the attribute"),
        Arg::new("value", Kind::Str, "its value"),
        Arg::new("state", Kind::Str, "whether it is there; `read` and `keys` only look")
            .choices(&["absent", "all", "keys", "present", "read"])
            .default("read"),
        Arg::new("follow", Kind::Bool, "treat what a link points to").default("yes"),
    ]],
    rules: &[Rule::If("state", "present", &["key", "value"]), Rule::If("state", "absent", &["key"])],
    free_form: None,
    plan,
    finish: finish_plainly,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let path = args.required("path")?;
    if !look.exists(path) {
        return Err(Failure::new("path not found or not accessible!"));
    }
    let getter = look.require("getfattr", "attr")?;
    let link: &[&str] = if args.bool("follow") { &[] } else { &["-h"] };
    let output = look.run(&Cmd::new([getter.as_str()].into_iter().chain(link.iter().copied()).chain([
        "--absolute-names",
        "-d",
        "-m",
        "-",
        path,
    ])))?;
    if !output.is_success() {
        return Err(Failure::of_command(format_args!("cannot read the attributes of {path}"), &output));
    }
    let all = attributes(&output.stdout_text());
    let key = args.str("key").map(|key| full_name(key, args.str("namespace").unwrap_or("user")));
    let found = key.as_deref().and_then(|key| all.get(key)).map(|value| value.to_text().as_str().to_owned());
    let mut plan = Plan::default();
    let value = args.str("value");
    let words = match (args.str("state"), &key) {
        (Some("present"), Some(key)) if found.as_deref() != value => vec!["-n", key, "-v", value.unwrap_or_default()],
        (Some("absent"), Some(key)) if found.is_some() => vec!["-x", key],
        _ => Vec::new(),
    };
    let said = match args.str("state") {
        Some("present" | "absent") => {
            format!("{} is {}", key.as_deref().unwrap_or_default(), args.str("state").unwrap_or_default())
        }
        Some("all") => "dumping all".to_owned(),
        Some("keys") => "returning all keys".to_owned(),
        _ => format!("returning {}", key.as_deref().unwrap_or("all attributes")),
    };
    let shown: Map = match &key {
        Some(key) if args.str("state") != Some("all") => all.into_iter().filter(|(name, _)| name.as_str() == Some(key)).collect(),
        _ => all,
    };
    plan.set("msg", said).set("xattr", shown);
    if !words.is_empty() {
        let setter = look.require("setfattr", "attr")?;
        let argv = [setter.as_str()].into_iter().chain(link.iter().copied()).chain(words).chain([path]);
        let after = value.filter(|_| args.str("state") == Some("present"));
        plan.push(Change::new(path, Value::from(found), Value::from(after.map(str::to_owned)), Act::Run(Cmd::new(argv))));
    }
    Ok(plan)
}

fn full_name(key: &str, namespace: &str) -> String {
    let known = ["user.", "trusted.", "security.", "system."];
    if known.iter().any(|prefix| key.starts_with(prefix)) { key.to_owned() } else { format!("{namespace}.{key}") }
}

/// `name="value"` lines.
fn attributes(text: &str) -> Map {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let entry = |line: &str| {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        (!name.is_empty()).then(|| (name.into(), Value::from(bare.replace("\\\"", "\"").replace("\\\\", "\\"))))
    };
    lines.filter_map(entry).collect()
}
