//! `_fetch`: the host's half of `fetch`. The control side says which contents it has; others are streamed to it.

use super::{Act, Arg, Args, Change, Failure, Kind, Look, Module, Plan, finish_plainly};

pub(super) static MODULE: Module = Module {
    name: "_fetch",
    collection: "ansible.builtin",
    summary: "send a file of the host to the control side",
    args: &[&[
        Arg::new("src", Kind::Path, "the file to send").required(),
        Arg::new("fail_on_missing", Kind::Bool, "a missing file is a failure").default("yes"),
        Arg::new("_have", Kind::Str, "sha256 of what the control side has already").hidden(),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// Values: `found`, and of a file that is there `path`, `size`, `sha256`, `checksum` (sha1), `md5sum`, `mode`.
fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let src = args.required("src")?;
    let failed = |error: std::io::Error| Failure::io(format_args!("cannot read {src}"), &error).with("file", src);
    let mut plan = Plan::default();
    plan.set("file", src).set("found", true);
    let missing = match look.stat(src, true).map_err(failed)? {
        Some(found) if found.kind == "file" => None,
        Some(_) => Some("remote file is a directory, fetch cannot work on directories"),
        None => Some("the remote file does not exist"),
    };
    if let Some(msg) = missing {
        if args.bool("fail_on_missing") {
            return Err(Failure::new(format!("{msg}, not transferring")).with("file", src));
        }
        plan.set("found", false).set("msg", format!("{msg}, not transferring, ignored"));
        return Ok(plan);
    }
    let hash = look.digest(src, "sha256").map_err(failed)?;
    let found = look.stat(src, true).map_err(failed)?.unwrap_or_default();
    plan.set("sha256", hash.as_str()).set("size", found.size).set("mode", super::attrs::octal(found.mode));
    plan.set("checksum", look.digest(src, "sha1").map_err(failed)?);
    plan.set("md5sum", look.digest(src, "md5").map_err(failed)?);
    if args.str("_have") != Some(hash.as_str()) {
        plan.push(Change::step(src, Act::Send { path: src.to_owned(), hash }));
    }
    plan.changed = Some(false);
    Ok(plan)
}
