//! `_idle`: how long the app keeps a connection on which nothing happens.
//!
//! A load balancer reuses its connections to a target. Where the app closes an idle one earlier than the load balancer would, a request
//! that is sent down it at that moment is lost. So one request is made, and then its connection is watched.

use super::COLLECTION;
use crate::modules::{Arg, Args, Failure, IdleEnd, Kind, Look, Module, Plan, finish_plainly};
use std::time::Duration;

pub(in crate::modules) static MODULE: Module = Module {
    name: "_idle",
    collection: COLLECTION,
    summary: "see how long the app keeps an idle connection",
    args: &[&[
        Arg::new("url", Kind::Str, "what to ask first; http only").required(),
        Arg::new("cap", Kind::Float, "seconds after which the watch ends").default("65"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let url = args.required("url")?;
    let cap = args.float("cap").filter(|cap| (0.0..=600.0).contains(cap)).unwrap_or(65.0);
    let (address, path) = parts(url).ok_or_else(|| Failure::new(format!("`{url}` is no http URL: only those are watched")))?;
    let (ended, seconds) = match look.idle(&address, &path, Duration::from_secs_f64(cap))? {
        IdleEnd::NotKept => ("not-kept", 0.0),
        IdleEnd::Closed(after) => ("closed", after.as_secs_f64()),
        IdleEnd::Open => ("open", cap),
    };
    let mut plan = Plan::default();
    plan.set("ended", ended).set("seconds", seconds);
    Ok(plan)
}

/// `host:port` and the path.
fn parts(url: &str) -> Option<(String, String)> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let has_port =
        host.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    let address = if has_port { host.to_owned() } else { format!("{host}:80") };
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    (!host.is_empty()).then_some((address, path))
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn addresses_and_paths_are_taken_from_the_url() {
        let of = |url: &str| parts(url).map(|(address, path)| format!("{address} {path}"));
        assert_eq!(of("http://127.0.0.1:5000/healthz?full=1").as_deref(), Some("127.0.0.1:5000 /healthz?full=1"));
        assert_eq!(of("http://shop").as_deref(), Some("shop:80 /"));
        assert_eq!(of("http://[::1]:80/up").as_deref(), Some("[::1]:80 /up"));
        assert_eq!((of("https://shop/up"), of("http:///up")), (None, None));
    }
}
