//! `_probe`: a GET from where the app is: readiness before, health after; or several, of which the failed ones are counted.

use super::COLLECTION;
use crate::modules::{Arg, Args, Failure, HttpRequest, Kind, Look, Module, Plan, finish_plainly};
use crate::value::Value;
use std::time::Duration;

pub(in crate::modules) static MODULE: Module = Module {
    name: "_probe",
    collection: COLLECTION,
    summary: "ask a URL",
    args: &[&[
        Arg::new("url", Kind::Str, "what to ask").required(),
        Arg::new("timeout", Kind::Float, "seconds to wait for an answer").default("5"),
        Arg::new("times", Kind::Int, "how often to ask, one after the other").default("1"),
        Arg::new("headers", Kind::Dict, "headers of the request"),
        Arg::new("validate_certs", Kind::Bool, "check the certificate").default("yes"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const EXCERPT_MAX: usize = 500;
const TIMES_MAX: i64 = 100;

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
    let times = args.int("times").unwrap_or(1).clamp(1, TIMES_MAX);
    let start = look.now();
    let (mut shown, mut failed) = (None, 0);
    for _ in 0..times {
        let answer = look.http(&request);
        let is_ok = answer.as_ref().is_ok_and(|reply| (200..300).contains(&reply.status));
        failed += i64::from(!is_ok);
        // A failure is what people want to see.
        if !is_ok || failed == 0 {
            shown = Some(answer);
        }
    }
    let mut plan = Plan::default();
    plan.set("elapsed_ms", Value::Int(((look.now() - start) * 1000.0) as i64)).set("asked", times).set("failed", failed);
    match shown {
        Some(Ok(reply)) => {
            let body: String = reply.text().trim().chars().take(EXCERPT_MAX).collect();
            plan.set("ok", (200..300).contains(&reply.status)).set("status", u32::from(reply.status)).set("body", body);
            plan.set("reason", reply.reason);
        }
        Some(Err(failure)) => drop(plan.set("ok", false).set("status", Value::Null).set("body", "").set("reason", failure.msg)),
        None => {}
    }
    Ok(plan)
}
