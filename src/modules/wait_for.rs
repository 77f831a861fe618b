//! `wait_for`: a port, a file or a text in one of them, waited for with a voice.

use super::pattern::{Flags, Pattern};
use super::{Arg, Args, Cmd, Failure, Kind, Look, Module, Plan, Rule, attrs, finish_plainly};
use crate::value::{Map, Value};
use std::collections::HashSet;
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "wait_for",
    collection: "ansible.builtin",
    summary: "waits for a port, a file or a text",
    args: &[ARGS],
    rules: &[Rule::Exclusive(&["path", "port"])],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[
    Arg::new("host", Kind::Str, "whose port").default("127.0.0.1"),
    Arg::new("port", Kind::Int, "a TCP port"),
    Arg::new("path", Kind::Path, "a file"),
    Arg::new("search_regex", Kind::Str, "a text in the file, or that the port sends"),
    Arg::new("state", Kind::Str, "what is waited for")
        .default("started")
        .choices(&["absent", "drained", "present", "started", "stopped"]),
    Arg::new("delay", Kind::Int, "seconds before the first look").default("0"),
    Arg::new("sleep", Kind::Int, "seconds between two looks").default("1"),
    Arg::new("timeout", Kind::Int, "seconds after which waiting fails").default("300"),
    Arg::new("connect_timeout", Kind::Int, "seconds for one connection").default("5"),
    Arg::new("msg", Kind::Str, "what a failure says"),
    Arg::new("exclude_hosts", Kind::List, "peers that do not count for `drained`"),
    Arg::new("active_connection_states", Kind::List, "connections that count for `drained`")
        .default("ESTABLISHED,FIN_WAIT1,FIN_WAIT2,SYN_RECV,SYN_SENT,TIME_WAIT"),
];

/// Seconds between two lines for those who wait.
const SAY_EVERY: f64 = 5.0;
/// As `/proc/net/tcp` numbers them.
const TCP_STATES: [(&str, &str); 11] = [
    ("01", "ESTABLISHED"),
    ("02", "SYN_SENT"),
    ("03", "SYN_RECV"),
    ("04", "FIN_WAIT1"),
    ("05", "FIN_WAIT2"),
    ("06", "TIME_WAIT"),
    ("07", "CLOSE"),
    ("08", "CLOSE_WAIT"),
    ("09", "LAST_ACK"),
    ("0A", "LISTEN"),
    ("0B", "CLOSING"),
];
/// What a port has to say: until it falls silent for a moment, it closes, or `$3` seconds are over.
const LISTEN: &str = r#"exec 3<>"/dev/tcp/$1/$2" || exit 1
end=$((SECONDS + $3)) text=
while [ $SECONDS -lt $end ]; do
  IFS= read -r -d "" -t 0.3 -n 65536 part <&3; rc=$?
  text=$text$part
  if [ $rc -ne 0 ] && [ $rc -le 128 ]; then break; fi
  if [ -n "$text" ] && [ -z "$part" ]; then break; fi
done
printf %s "$text""#;

/// What one task waits for.
struct Wait<'a> {
    look: &'a dyn Look,
    host: &'a str,
    target: Target<'a>,
    state: &'a str,
    search: Option<Pattern>,
    connect: Duration,
    args: &'a Args,
}

#[derive(Clone, Copy)]
enum Target<'a> {
    Port(u16),
    Path(&'a str),
    /// Neither: only time passes.
    Time,
}

/// What one look came to.
enum Seen {
    /// As wanted, with the groups of the regex.
    Yes(Vec<Value>, Map),
    /// Not yet, and why.
    No(String),
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    if look.is_check() {
        return Ok(Plan { skipped: Some("remote module (wait_for) does not support check mode".to_owned()), ..Plan::default() });
    }
    let wait = Wait::new(args, look)?;
    let start = look.now();
    look.sleep(seconds(args, "delay"));
    // The delay does not count as waiting.
    let timeout = look.now() - start + args.int("timeout").unwrap_or(300) as f64;
    let seen = wait.until(start, timeout)?;
    let mut plan = Plan::default();
    plan.set("state", wait.state)
        .set("port", args.int("port"))
        .set("path", args.str("path"))
        .set("search_regex", args.str("search_regex"));
    plan.set("match_groups", seen.0).set("match_groupdict", seen.1).set("elapsed", (look.now() - start) as i64);
    if let Some(path) = args.str("path") {
        attrs::describe(look, path, &mut plan.values);
    }
    Ok(plan)
}

fn seconds(args: &Args, name: &str) -> Duration {
    Duration::from_secs(args.int(name).and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0))
}

impl<'a> Wait<'a> {
    fn new(args: &'a Args, look: &'a dyn Look) -> Result<Wait<'a>, Failure> {
        let state = args.str("state").unwrap_or("started");
        let target = match (args.int("port"), args.str("path")) {
            (Some(port), _) => Target::Port(u16::try_from(port).map_err(|_| Failure::new(format!("{port} is not a TCP port")))?),
            (None, Some(path)) => Target::Path(path),
            (None, None) => Target::Time,
        };
        match (target, state) {
            (Target::Path(_), "stopped") => {
                return Err(Failure::new("state=stopped should only be used for checking a port in the wait_for module"));
            }
            (Target::Path(_), "drained") => {
                return Err(Failure::new("state=drained should only be used for checking a port in the wait_for module"));
            }
            _ => {}
        }
        if let Some(unknown) =
            args.list("active_connection_states").iter().find(|state| TCP_STATES.iter().all(|(_, known)| known != *state))
        {
            let known = TCP_STATES.map(|(_, name)| name).join(", ");
            return Err(Failure::new(format!("unknown active_connection_state ({unknown}) defined; there are {known}")));
        }
        let search = args.str("search_regex").map(|text| {
            let flags = Flags { multi_line: true, ..Flags::default() };
            Pattern::with(text, flags).map_err(|problem| Failure::new(format!("search_regex: {problem}")))
        });
        let host = args.str("host").unwrap_or("127.0.0.1");
        let connect = seconds(args, "connect_timeout").max(Duration::from_millis(100));
        Ok(Wait { look, host, target, state, search: search.transpose()?, connect, args })
    }

    /// Looks again and again until it is as wanted or the time is up.
    fn until(&self, start: f64, timeout: f64) -> Result<(Vec<Value>, Map), Failure> {
        let mut said = 0.0;
        loop {
            let missing = match self.seen()? {
                Seen::Yes(groups, named) => return Ok((groups, named)),
                Seen::No(missing) => missing,
            };
            let waited = self.look.now() - start;
            if waited >= timeout {
                return match self.target {
                    Target::Time => Ok((Vec::new(), Map::new())),
                    _ => Err(self.overdue(waited, &missing)),
                };
            }
            if waited - said >= SAY_EVERY {
                self.look.say(&format!("waiting for {} ({waited:.0} of {timeout:.0} s): {missing}", self.what()));
                said = waited;
            }
            let pause = seconds(self.args, "sleep").max(Duration::from_millis(100));
            self.look.sleep(pause.min(Duration::from_secs_f64((timeout - waited).max(0.01))));
        }
    }

    fn what(&self) -> String {
        let place = match self.target {
            Target::Port(port) => format!("{}:{port}", self.host),
            Target::Path(path) => path.to_owned(),
            Target::Time => return "the time to pass".to_owned(),
        };
        let search = self.args.str("search_regex").map(|text| format!("`{text}` in ")).unwrap_or_default();
        match self.state {
            "stopped" | "absent" => format!("{search}{place} to go"),
            "drained" => format!("connections to {place} to end"),
            _ => format!("{search}{place}"),
        }
    }

    fn seen(&self) -> Result<Seen, Failure> {
        match (self.target, self.state) {
            (Target::Time, _) => Ok(Seen::No("nothing else is waited for".to_owned())),
            (Target::Port(port), "drained") => self.drained(port),
            (Target::Port(port), "stopped" | "absent") => Ok(match self.look.connect(self.host, port, self.connect) {
                Ok(()) => Seen::No("it still answers".to_owned()),
                Err(_) => yes(),
            }),
            (Target::Port(port), _) => self.answers(port),
            (Target::Path(path), "absent") => Ok(match self.found(path) {
                Seen::Yes(..) => Seen::No("it is still there".to_owned()),
                Seen::No(_) => yes(),
            }),
            (Target::Path(path), _) => Ok(self.found(path)),
        }
    }

    fn answers(&self, port: u16) -> Result<Seen, Failure> {
        if let Err(error) = self.look.connect(self.host, port, self.connect) {
            return Ok(Seen::No(error.to_string()));
        }
        let Some(search) = &self.search else { return Ok(yes()) };
        let seconds = self.connect.as_secs().max(1).to_string();
        let bash = self.look.which("bash").ok_or_else(|| Failure::new("search_regex on a port needs bash on the host"))?;
        let cmd = Cmd::new([&bash, "-c", LISTEN, "bash", self.host, &port.to_string(), &seconds])
            .timeout(self.connect * 2 + Duration::from_secs(5));
        let output = self.look.run(&cmd)?;
        Ok(matched(search, &output.stdout_text()))
    }

    fn found(&self, path: &str) -> Seen {
        let is_there = match &self.search {
            None => self.look.stat(path, true).map(|stat| stat.map(|_| yes())),
            Some(search) => self.look.text(path).map(|text| text.map(|text| matched(search, &text))),
        };
        match is_there {
            Ok(Some(seen)) => seen,
            Ok(None) => Seen::No("it is not there yet".to_owned()),
            Err(error) => Seen::No(error.to_string()),
        }
    }

    fn drained(&self, port: u16) -> Result<Seen, Failure> {
        let states = self.args.list("active_connection_states");
        let codes: Vec<&str> =
            TCP_STATES.iter().filter(|(_, name)| states.iter().any(|state| state == name)).map(|(code, _)| *code).collect();
        let wanted = self.addresses(self.host);
        let excluded: HashSet<String> = self.args.list("exclude_hosts").iter().flat_map(|host| self.addresses(host)).collect();
        let is_any = ["0.0.0.0", "::", "*"].contains(&self.host);
        let count = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .filter_map(|path| self.look.text(path).ok().flatten())
            .flat_map(|table| table.lines().skip(1).filter_map(connection).collect::<Vec<_>>())
            .filter(|one| one.port == port && codes.contains(&one.state.as_str()))
            .filter(|one| is_any || wanted.contains(&one.local) || one.local == "0.0.0.0" || one.local == "::")
            .filter(|one| !excluded.contains(&one.peer))
            .count();
        Ok(if count == 0 { yes() } else { Seen::No(format!("{count} connections are open")) })
    }

    /// Numbers are themselves; names are looked up by the host.
    fn addresses(&self, host: &str) -> HashSet<String> {
        if let Ok(address) = host.parse::<std::net::IpAddr>() {
            return HashSet::from([address.to_string()]);
        }
        let output = self.look.run(&Cmd::new(["getent", "ahosts", host]).timeout(self.connect));
        let text = output.map(|output| output.stdout_text()).unwrap_or_default();
        text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    }

    /// In Ansible's words; what the last look saw stands beside them.
    fn overdue(&self, waited: f64, missing: &str) -> Failure {
        let search = self.args.str("search_regex").map(|text| format!("search string {text} in ")).unwrap_or_default();
        let host = self.host;
        let msg = match (self.target, self.state) {
            (Target::Port(port), "stopped" | "absent") => format!("Timeout when waiting for {host}:{port} to stop."),
            (Target::Port(port), "drained") => format!("Timeout when waiting for {host}:{port} to drain"),
            (Target::Port(port), _) => format!("Timeout when waiting for {search}{host}:{port}"),
            (Target::Path(path), "absent") => format!("Timeout when waiting for {search}{path} to be absent."),
            (Target::Path(path), _) if search.is_empty() => format!("Timeout when waiting for file {path}"),
            (Target::Path(path), _) => format!("Timeout when waiting for {search}{path}"),
            (Target::Time, _) => String::new(),
        };
        let own = self.args.str("msg").map(str::to_owned);
        Failure::new(own.unwrap_or(msg)).with("elapsed", waited as i64).with("last_seen", missing)
    }
}

fn yes() -> Seen {
    Seen::Yes(Vec::new(), Map::new())
}

fn matched(search: &Pattern, text: &str) -> Seen {
    let Ok(Some(found)) = search.find(text) else { return Seen::No("the text is not in it".to_owned()) };
    let groups = (1..=search.group_count()).map(|at| found.group(at).into()).collect();
    let named = search.names().iter().map(|(name, at)| (name.as_str().into(), found.group(*at).into())).collect();
    Seen::Yes(groups, named)
}

/// One line of `/proc/net/tcp`.
struct Connection {
    local: String,
    port: u16,
    peer: String,
    state: String,
}

fn connection(line: &str) -> Option<Connection> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, local, peer, state, ..] = fields.as_slice() else { return None };
    let (address, port) = local.split_once(':')?;
    Some(Connection {
        local: address_of(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        peer: address_of(peer.split_once(':')?.0)?,
        state: (*state).to_owned(),
    })
}

/// The kernel prints each 32-bit word of an address as a number, in the order of the machine's bytes (little-endian).
fn address_of(hex: &str) -> Option<String> {
    let words =
        (0..hex.len() / 8).map(|at| u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok()).collect::<Option<Vec<_>>>()?;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    if let Ok(four) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(std::net::Ipv4Addr::from(four).to_string());
    }
    let six = std::net::Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?);
    // A connection over IPv4 to a socket of IPv6.
    Some(six.to_ipv4_mapped().map_or_else(|| six.to_string(), |four| four.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_read_from_the_kernels_table() {
        let line = "   0: 0100007F:1F90 0200000A:D431 01 00000000:00000000 00:00000000 00000000 0 0 1 1 0";
        let one = connection(line).unwrap();
        assert_eq!((one.local.as_str(), one.port, one.peer.as_str(), one.state.as_str()), ("127.0.0.1", 8080, "10.0.0.2", "01"));
        assert_eq!(address_of("0000000000000000FFFF00000100007F").as_deref(), Some("127.0.0.1"));
        assert_eq!(address_of("xyz"), None);
    }
}
