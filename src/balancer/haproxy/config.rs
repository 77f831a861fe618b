//! HAProxy's configuration file, as far as a rollout depends on it. Its runtime API does not say these things.

use crate::balancer::{Check, Setup};

/// One section: its keyword, its name, its lines as words.
struct Section<'t> {
    kind: &'t str,
    name: &'t str,
    from: Option<&'t str>,
    lines: Vec<Vec<&'t str>>,
}

const KINDS: &[&str] = &[
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "peers",
    "resolvers",
    "userlist",
    "mailers",
    "cache",
    "program",
    "ring",
    "http-errors",
    "fcgi-app",
    "log-forward",
    "crt-store",
    "traces",
];

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut all: Vec<Section<'_>> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        let Some(first) = words.first() else { continue };
        if KINDS.contains(first) {
            let after = words.iter().position(|word| *word == "from").and_then(|at| words.get(at + 1)).copied();
            all.push(Section { kind: first, name: words.get(1).copied().unwrap_or_default(), from: after, lines: Vec::new() });
        } else if let Some(section) = all.last_mut() {
            section.lines.push(words);
        }
    }
    all
}

/// The backend with the defaults that it inherits; the later line wins.
struct Effective<'t>(Vec<&'t [&'t str]>);

impl<'t> Effective<'t> {
    /// The words after the last line that begins so.
    fn last(&self, start: &[&str]) -> Option<&'t [&'t str]> {
        self.0.iter().rev().find(|line| line.starts_with(start)).and_then(|line| line.get(start.len()..))
    }

    /// Whether an option is on; `no option` turns it off.
    fn option(&self, name: &str) -> Option<bool> {
        self.0.iter().rev().find_map(|line| match line {
            ["option", known, ..] if *known == name => Some(true),
            ["no", "option", known, ..] if *known == name => Some(false),
            _ => None,
        })
    }

    fn seconds(&self, start: &[&str]) -> Option<f64> {
        self.last(start)?.first().and_then(|text| seconds(text))
    }
}

/// The names of all that can be a backend.
pub(super) fn backends(text: &str) -> Vec<String> {
    let all = sections(text).into_iter().filter(|section| matches!(section.kind, "backend" | "listen"));
    all.map(|section| section.name.to_owned()).collect()
}

/// How a backend is set up; `None` where the file has none of that name.
pub(super) fn setup(text: &str, backend: &str) -> Option<Setup> {
    let sections = sections(text);
    let at = sections.iter().position(|section| matches!(section.kind, "backend" | "listen") && section.name == backend)?;
    let own = &sections[at];
    let inherited = match own.from {
        Some(name) => sections.iter().find(|section| section.kind == "defaults" && section.name == name),
        None => sections[..at].iter().rev().find(|section| section.kind == "defaults"),
    };
    let lines = inherited.iter().flat_map(|section| &section.lines).chain(&own.lines).map(Vec::as_slice).collect();
    let effective = Effective(lines);
    let servers: Vec<&[&str]> = own.lines.iter().filter_map(|line| line.strip_prefix(["server"].as_slice())).collect();
    let retries = effective.last(&["retries"]).and_then(|words| words.first()?.parse().ok()).unwrap_or(3);
    let closes = ["httpclose", "http-server-close"].iter().any(|name| effective.option(name) == Some(true));
    Some(Setup {
        pool: format!("backend {backend}"),
        targets: servers.len(),
        check: Some(check(&effective, &servers)),
        ramp_seconds: server_seconds(&effective, &servers, "slowstart"),
        is_sticky: Some(["cookie", "stick", "stick-table"].iter().any(|word| effective.last(&[*word]).is_some())),
        answer_seconds: effective.seconds(&["timeout", "server"]),
        retries: Some(retries),
        redispatches: Some(effective.option("redispatch").unwrap_or(false)),
        keeps_alive: Some(!closes),
        ..Setup::default()
    })
}

fn check(effective: &Effective<'_>, servers: &[&[&str]]) -> Check {
    let defaults = effective.last(&["default-server"]).unwrap_or_default();
    let is_checked = |words: &[&str]| words.contains(&"check") && !words.contains(&"no-check");
    let number =
        |name: &str, default: u32| server_word(effective, servers, name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let path = effective.last(&["option", "httpchk"]).and_then(|words| words.iter().find(|word| word.starts_with('/')));
    let interval = server_seconds(effective, servers, "inter").unwrap_or(2.0);
    Check {
        is_on: is_checked(defaults) || servers.iter().any(|server| is_checked(server)),
        path: path.map(|path| (*path).to_owned()),
        interval_seconds: interval,
        timeout_seconds: effective.seconds(&["timeout", "check"]).unwrap_or(interval),
        rise: number("rise", 2),
        fall: number("fall", 3),
    }
}

/// The word after `name` on a server's line, or among the defaults of all servers.
fn server_word<'t>(effective: &Effective<'t>, servers: &[&'t [&'t str]], name: &str) -> Option<&'t str> {
    let defaults = effective.0.iter().filter_map(|line| line.strip_prefix(["default-server"].as_slice()));
    let after = |words: &'t [&'t str]| words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1)).copied();
    servers.iter().copied().find_map(after).or_else(|| defaults.rev().find_map(after))
}

fn server_seconds(effective: &Effective<'_>, servers: &[&[&str]], name: &str) -> Option<f64> {
    server_word(effective, servers, name).and_then(seconds)
}

/// Milliseconds where there is no unit.
fn seconds(text: &str) -> Option<f64> {
    let (number, unit) = text.split_at(text.find(|letter: char| letter.is_alphabetic()).unwrap_or(text.len()));
    let scale = match unit {
        "us" => 1e-6,
        "" | "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "global\n  maxconn 100\n\
        defaults base\n  retries 5\n\
        defaults\n  mode http\n  timeout server 60s # long\n  option redispatch\n  timeout check 1500\n\
        frontend f\n  default_backend app\n\
        backend app\n  option httpchk GET /healthz\n  no option redispatch\n  retries 0\n  default-server inter 1s rise 1 fall 2 check\n\
        \x20 server web1 10.0.0.1:5000 slowstart 20s\n  server web2 10.0.0.2:5000\n\
        backend plain from base\n  cookie SERVER insert\n  server a 10.0.0.3:80\n  option httpclose\n";

    #[test]
    fn a_backend_inherits_its_defaults_and_may_differ() {
        let app = setup(TEXT, "app").unwrap();
        assert_eq!((app.retries, app.redispatches, app.answer_seconds), (Some(0), Some(false), Some(60.0)));
        assert_eq!((app.targets, app.ramp_seconds, app.is_sticky, app.keeps_alive), (2, Some(20.0), Some(false), Some(true)));
        let check = app.check.unwrap();
        assert_eq!((check.is_on, check.interval_seconds, check.rise, check.fall), (true, 1.0, 1, 2));
        assert_eq!((check.path.as_deref(), check.timeout_seconds), (Some("/healthz"), 1.5));
    }

    #[test]
    fn what_is_not_said_is_haproxy_s_own() {
        let plain = setup(TEXT, "plain").unwrap();
        assert_eq!((plain.retries, plain.redispatches, plain.is_sticky), (Some(5), Some(false), Some(true)));
        assert_eq!((plain.answer_seconds, plain.keeps_alive), (None, Some(false)));
        let check = plain.check.unwrap();
        assert_eq!((check.is_on, check.interval_seconds, check.rise, check.fall), (false, 2.0, 2, 3));
        assert!(setup(TEXT, "shop").is_none() && setup("", "app").is_none());
    }
}
