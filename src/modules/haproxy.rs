//! `haproxy`: takes servers of a balancer out and brings them back, over its runtime API.
//!
//! A command is given only where something is not as wanted. Draining before a server is disabled takes two rounds: the first one
//! stops new sessions, the second one waits for the last of the old ones.

use super::touch::Tell;
use super::{Act, Arg, Args, Change, Done, Failure, Kind, Look, Module, Plan};
use crate::value::{Map, Value};
use std::time::Duration;

pub(super) static MODULE: Module = Module {
    name: "haproxy",
    collection: "community.general",
    summary: "enable, disable and drain servers of HAProxy",
    args: &[&[
        Arg::new("state", Kind::Str, "how the server is to be").choices(&["disabled", "drain", "enabled"]).required(),
        Arg::new("host", Kind::Str, "the server, as HAProxy names it").required(),
        Arg::new("backend", Kind::Str, "its backend; without one, every backend that has such a server"),
        Arg::new("socket", Kind::Path, "the admin socket").default("/var/run/haproxy.sock"),
        Arg::new("drain", Kind::Bool, "wait until the last session has ended").default("no"),
        Arg::new("shutdown_sessions", Kind::Bool, "end the sessions of a disabled server; not with `drain`").default("no"),
        Arg::new("health", Kind::Bool, "enable or disable its health checks as well").default("no"),
        Arg::new("agent", Kind::Bool, "enable or disable its agent checks as well").default("no"),
        Arg::new("weight", Kind::Str, "0 to 256, or 0% to 100% of the configured one; with `state=enabled`"),
        Arg::new("fail_on_not_found", Kind::Bool, "fail where there is no such server").default("no"),
        Arg::new("wait", Kind::Bool, "wait until it is UP, MAINT or DRAIN").default("no"),
        Arg::new("wait_interval", Kind::Int, "seconds between two looks").default("5"),
        Arg::new("wait_retries", Kind::Int, "how often to look").default("25"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

/// Bits of `srv_admin_state`: what an administrator ordered.
const MAINTENANCE: u64 = 0x01;
const DRAINED: u64 = 0x08;
/// Bits of `srv_check_state` and `srv_agent_state`.
const CONFIGURED: u64 = 0x02;
const ENABLED: u64 = 0x04;
const WEIGHT_MAX: u64 = 256;

/// One server, as `show stat` and `show servers state` tell of it.
struct Server {
    /// `backend/server`, as commands name it.
    id: String,
    status: String,
    weight: String,
    sessions: u64,
    orders: u64,
    check: u64,
    agent: u64,
    own_weight: u64,
    configured_weight: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Weight {
    Absolute(u64),
    Percent(u64),
}

/// What a task asks for.
struct Job<'a> {
    state: &'a str,
    host: &'a str,
    backend: Option<&'a str>,
    socket: &'a str,
    weight: Option<Weight>,
    args: &'a Args,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let job = Job::of(args)?;
    let mut plan = Plan::default();
    let servers = job.servers(look)?;
    if servers.is_empty() {
        if args.bool("fail_on_not_found") {
            return Err(job.not_found());
        }
        plan.set("state_before", Value::Null).set("state_after", Value::Null);
        return Ok(plan);
    }
    let before = shown(&servers);
    plan.set("state_before", before.clone());
    for server in servers {
        let changes = match job.state {
            "disabled" if args.bool("drain") && !server.is_ordered(MAINTENANCE) && !server.is_ordered(DRAINED) => {
                plan.again = true;
                vec![job.order(&server, "set server {} state drain", &server.status, "DRAIN")]
            }
            "disabled" => job.disable(server, look)?,
            "drain" => job.drain(&server),
            _ => job.enable(&server),
        };
        for (line, mut change) in changes {
            let tell = Tell { socket: job.socket.to_owned(), line, any_answer: false, found: before.clone() };
            change.act = Act::Tell(Box::new(tell));
            plan.push(change);
        }
    }
    Ok(plan)
}

fn finish(args: &Args, mut values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    if values.get("state_before").is_none_or(Value::is_null) {
        return Ok(values);
    }
    let job = Job::of(args)?;
    values.insert("command".into(), told(done, "command"));
    values.insert("output".into(), told(done, "answer"));
    if let Some(found) = done.first().and_then(|one| one.values.get("found")) {
        values.insert("state_before".into(), found.clone());
    }
    let servers = job.servers(look)?;
    let is_drained_only = job.state == "drain" && args.bool("drain");
    let mut after = Vec::new();
    for server in servers {
        let is_waited_for = args.bool("wait") || is_drained_only;
        after.push(if is_waited_for { job.wait(server, look, &|server| job.is_there(server), job.status())? } else { server });
    }
    values.insert("state_after".into(), shown(&after));
    Ok(values)
}

fn told(done: &[Done], key: &str) -> Value {
    let texts = done.iter().filter_map(|one| one.values.get(key)).map(Value::to_text);
    texts.map(|text| Value::from(text.trim())).collect()
}

/// As Ansible returns it.
fn shown(servers: &[Server]) -> Value {
    let one = |server: &Server| {
        let pairs = [
            ("status", Value::from(&server.status)),
            ("weight", Value::from(&server.weight)),
            ("scur", Value::from(server.sessions.to_string())),
        ];
        Value::map(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
    };
    servers.iter().map(one).collect()
}

impl Server {
    fn is_ordered(&self, bits: u64) -> bool {
        self.orders & bits != 0
    }
}

/// A command, and the change that it is.
type Order = (String, Change);

impl<'a> Job<'a> {
    fn of(args: &'a Args) -> Result<Job<'a>, Failure> {
        Ok(Job {
            state: args.required("state")?,
            host: args.required("host")?,
            backend: args.str("backend"),
            socket: args.required("socket")?,
            weight: args.str("weight").map(weight).transpose()?,
            args,
        })
    }

    fn order(&self, server: &Server, line: &str, before: &str, after: &str) -> Order {
        let line = line.replace("{}", &server.id);
        (line, Change::new(format!("server {}", server.id), before, after, Act::Note))
    }

    /// Sessions that are there still have their time, where that is asked for.
    fn disable(&self, mut server: Server, look: &dyn Look) -> Result<Vec<Order>, Failure> {
        let is_out = server.is_ordered(MAINTENANCE);
        let is_drained = self.args.bool("drain");
        if is_drained && !is_out && !look.is_check() {
            server = self.wait(server, look, &|server| server.sessions == 0, "without sessions")?;
        }
        let mut orders = self.checks(&server, "disable");
        if !is_out {
            orders.push(self.order(&server, "disable server {}", &server.status, "MAINT"));
        }
        if self.args.bool("shutdown_sessions") && !is_drained && (!is_out || server.sessions > 0) {
            let (before, after) = (format!("{} sessions", server.sessions), "no sessions");
            orders.push(self.order(&server, "shutdown sessions server {}", &before, after));
        }
        Ok(orders)
    }

    fn drain(&self, server: &Server) -> Vec<Order> {
        let is_drained = server.is_ordered(DRAINED) && !server.is_ordered(MAINTENANCE);
        (!is_drained).then(|| self.order(server, "set server {} state drain", &server.status, "DRAIN")).into_iter().collect()
    }

    fn enable(&self, server: &Server) -> Vec<Order> {
        let mut orders = Vec::new();
        if server.is_ordered(MAINTENANCE | DRAINED) {
            orders.push(self.order(server, "enable server {}", &server.status, "UP"));
        }
        orders.extend(self.checks(server, "enable"));
        let (text, wanted) = match self.weight {
            Some(Weight::Absolute(weight)) => (weight.to_string(), weight),
            Some(Weight::Percent(percent)) => (format!("{percent}%"), server.configured_weight * percent / 100),
            None => return orders,
        };
        if wanted != server.own_weight {
            let (before, after) = (format!("weight {}", server.own_weight), format!("weight {wanted}"));
            orders.push(self.order(server, &format!("set weight {{}} {text}"), &before, &after));
        }
        orders
    }

    /// Only checks that the server has can be enabled or disabled.
    fn checks(&self, server: &Server, verb: &str) -> Vec<Order> {
        let is_on = |bits: u64| if bits & ENABLED == 0 { "disable" } else { "enable" };
        let orders = [("agent", server.agent), ("health", server.check)].into_iter();
        orders
            .filter(|(name, bits)| self.args.bool(name) && bits & CONFIGURED != 0 && is_on(*bits) != verb)
            .map(|(name, bits)| {
                let said = |verb: &str| format!("{name} checks {verb}d");
                self.order(server, &format!("{verb} {name} {{}}"), &said(is_on(bits)), &said(verb))
            })
            .collect()
    }

    fn status(&self) -> &'static str {
        match self.state {
            "enabled" => "UP",
            "disabled" => "MAINT",
            _ => "DRAIN",
        }
    }

    /// A server that is down has nobody to drain.
    fn is_there(&self, server: &Server) -> bool {
        let is_drain = self.state == "drain";
        let is_idle = !is_drain || !self.args.bool("drain") || server.sessions == 0;
        is_idle && (server.status.contains(self.status()) || is_drain && server.status.contains("DOWN"))
    }

    fn wait(&self, server: Server, look: &dyn Look, is_there: &dyn Fn(&Server) -> bool, what: &str) -> Result<Server, Failure> {
        let retries = self.args.int("wait_retries").unwrap_or_default().max(1);
        let interval =
            Duration::from_secs(self.args.int("wait_interval").and_then(|time| u64::try_from(time).ok()).unwrap_or_default());
        let mut server = server;
        for retry in 0..retries {
            if is_there(&server) {
                return Ok(server);
            }
            if what == "UP" && server.status.starts_with("no check") {
                let hint =
                    "has no health check and is never UP: leave `wait` out, or add `check` to it in HAProxy's configuration";
                return Err(Failure::new(format!("server {} {hint}", server.id)));
            }
            if retry == 0 {
                look.say(&format!("waiting for server {} of haproxy to be {what}", server.id));
            }
            look.sleep(interval);
            server = self.again(&server, look)?;
        }
        if is_there(&server) {
            return Ok(server);
        }
        Err(Failure::new(format!(
            "server {} not status '{what}' after {retries} retries. Aborting. It is {} and has {} sessions; `wait_retries` and \
             `wait_interval` say how long to wait",
            server.id, server.status, server.sessions
        )))
    }

    /// The same one a while later.
    fn again(&self, server: &Server, look: &dyn Look) -> Result<Server, Failure> {
        let found = self.servers(look)?.into_iter().find(|other| other.id == server.id);
        found.ok_or_else(|| Failure::new(format!("server {} is gone from HAProxy", server.id)))
    }

    fn not_found(&self) -> Failure {
        let hint = "`show servers state` lists what there is";
        Failure::new(match self.backend {
            Some(backend) => format!("The specified backend '{backend}/{}' was not found! {hint}", self.host),
            None => format!("The specified backend '*/{}' was not found! No backend has such a server; {hint}", self.host),
        })
    }

    /// The servers that are meant.
    fn servers(&self, look: &dyn Look) -> Result<Vec<Server>, Failure> {
        let stat = self.table(look, "show stat", ',')?;
        let is_meant = |backend: &str, name: &str| name == self.host && self.backend.is_none_or(|wanted| wanted == backend);
        let meant = stat.iter().filter(|row| is_meant(row.text("pxname"), row.text("svname")) && row.text("type") == "2");
        let meant: Vec<&Row> = meant.collect();
        let state = if meant.is_empty() { Vec::new() } else { self.table(look, "show servers state", ' ')? };
        let server = |row: &&Row| {
            let (backend, name) = (row.text("pxname"), row.text("svname"));
            let state = state.iter().find(|other| other.text("be_name") == backend && other.text("srv_name") == name);
            let state =
                state.ok_or_else(|| Failure::new(format!("HAProxy does not tell the state of server {backend}/{name}")))?;
            Ok(Server {
                id: format!("{backend}/{name}"),
                status: row.text("status").to_owned(),
                weight: row.text("weight").to_owned(),
                sessions: row.number("scur"),
                orders: state.number("srv_admin_state"),
                check: state.number("srv_check_state"),
                agent: state.number("srv_agent_state"),
                own_weight: state.number("srv_uweight"),
                configured_weight: state.number("srv_iweight"),
            })
        };
        meant.iter().map(server).collect()
    }

    fn table(&self, look: &dyn Look, command: &str, separator: char) -> Result<Vec<Row>, Failure> {
        let answer = look.ask(self.socket, command).map_err(|mut failure| {
            failure.msg.push_str("; `socket` is the path that `stats socket` in HAProxy's configuration names");
            failure
        })?;
        rows(&answer, separator).ok_or_else(|| {
            Failure::new(format!(
                "haproxy at {} does not answer `{command}`, which HAProxy 1.6 and later do: {}",
                self.socket,
                answer.trim()
            ))
        })
    }
}

fn weight(text: &str) -> Result<Weight, Failure> {
    let wrong = || {
        Failure::new(format!(
            "weight is a number from 0 to {WEIGHT_MAX}, or from 0% to 100% of the configured one; it is `{text}`"
        ))
    };
    let number = |text: &str, max: u64| text.parse::<u64>().ok().filter(|number| *number <= max).ok_or_else(wrong);
    match text.trim().strip_suffix('%') {
        Some(percent) => number(percent, 100).map(Weight::Percent),
        None => number(text.trim(), WEIGHT_MAX).map(Weight::Absolute),
    }
}

/// A line of a table, by the names of its columns.
struct Row(Vec<(String, String)>);

impl Row {
    fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or_default()
    }
}

/// None where there is no table. Texts with separators in them come behind all columns that are read here.
fn rows(answer: &str, separator: char) -> Option<Vec<Row>> {
    let mut lines = answer.lines().skip_while(|line| !line.starts_with("# "));
    let names: Vec<&str> = lines.next()?.trim_start_matches("# ").split(separator).collect();
    let row = |line: &str| {
        names.iter().zip(line.split(separator)).map(|(name, value)| ((*name).to_owned(), value.to_owned())).collect()
    };
    Some(lines.filter(|line| !line.trim().is_empty()).map(|line| Row(row(line))).collect())
}
