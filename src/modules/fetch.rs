//! `_fetch`: the host's half of `fetch`. The control side says which contents it has; others are streamed to it.

use super::{Act, Arg, Args, Change, Failure, Kind, Look, Module, Plan, finish_plainly};

pub(super) static MODULE: Module = Module {
    name: "_fetch",
    collection: "ansible.builtin",
    summary: "send a file of the host to the control side",
    args: &[&[
        Arg::new("src", Kind::Path, "the file to send").required(),
        Arg::new("_have", Kind::Str, "sha1 of what the control side has already").hidden(),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// Values: `missing` says why there is no such file; of one that is there `checksum` (sha1) and `size`.
fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let src = args.required("src")?;
    let failed = |error: std::io::Error| Failure::io(format_args!("cannot read {src}"), &error).with("file", src);
    let mut plan = Plan { changed: Some(false), ..Plan::default() };
    let found = match look.stat(src, true).map_err(failed)? {
        Some(found) if found.kind == "directory" => {
            plan.set("missing", "remote file is a directory, fetch cannot work on directories");
            return Ok(plan);
        }
        Some(found) => found,
        None => {
            plan.set("missing", "the remote file does not exist");
            return Ok(plan);
        }
    };
    let hash = match look.digest(src, "sha1") {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            plan.set("missing", format!("file is not readable: {src}"));
            return Ok(plan);
        }
        other => other.map_err(failed)?,
    };
    plan.set("size", found.size).set("checksum", hash.as_str());
    if args.str("_have") != Some(hash.as_str()) {
        plan.push(Change::step(src, Act::Send { path: src.to_owned(), hash }));
    }
    Ok(plan)
}
