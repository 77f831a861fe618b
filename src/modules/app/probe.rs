//! `_probe`: one GET from where the app is: readiness before, health after.

use super::COLLECTION;
use crate::modules::{Arg, Args, Failure, HttpRequest, Kind, Look, Module, Plan, finish_plainly};
use crate::value::Value;
use std::time::Duration;

pub(in crate::modules) static MODULE: Module = Module {
    name: "_probe",
    collection: COLLECTION,
    summary: "ask a URL once",
    args: &[&[
        Arg::new("url", Kind::Str, "what to ask").required(),
        Arg::new("timeout", Kind::Float, "seconds to wait for an answer").default("5"),
        Arg::new("headers", Kind::Dict, "headers of the request"),
        Arg::new("validate_certs", Kind::Bool, "check the certificate").default("yes"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const EXCERPT_MAX: usize = 500;

/// No answer is a result as well: `status` is null and `reason` says why. A redirect is not followed and not a success.
fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let url = args.required("url")?;
    let mut request = HttpRequest { redirects: 0, no_proxy: true, ..HttpRequest::get(url) };
    request.timeout =
        args.float("timeout").filter(|seconds| *seconds > 0.0).map(|seconds| Duration::from_secs_f64(seconds.min(3600.0)));
    request.skip_verify = !args.bool("validate_certs");
    request.headers.push(("User-Agent".to_owned(), "roll".to_owned()));
    for (name, value) in args.get("headers").and_then(Value::as_map).into_iter().flatten() {
        request.headers.push((name.to_string(), value.to_text().as_str().to_owned()));
    }
    let start = look.now();
    let answer = look.http(&request);
    let mut plan = Plan::default();
    plan.set("elapsed_ms", Value::Int(((look.now() - start) * 1000.0) as i64));
    match answer {
        Ok(reply) => {
            let body: String = reply.text().trim().chars().take(EXCERPT_MAX).collect();
            plan.set("ok", (200..300).contains(&reply.status)).set("status", u32::from(reply.status)).set("body", body);
            plan.set("reason", reply.reason);
        }
        Err(failure) => drop(plan.set("ok", false).set("status", Value::Null).set("body", "").set("reason", failure.msg)),
    }
    Ok(plan)
}
