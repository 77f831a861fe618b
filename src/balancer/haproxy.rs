//! `haproxy`: HAProxy's runtime API, over its admin socket on the host that runs it.
//!
//! `drain` takes a server out of balancing; it is still checked, and persistent sessions may still come. `maint` stops both.
//! A host of the inventory is the server of the same name, and `host:port` the server that is named for its second port. What is changed
//! so lasts until HAProxy is reloaded, unless it loads the state of its servers from a file.

mod config;

use super::{Answer, Balancer, BalancerError, Driver, Member, Setting, Setup, Socket, State, Target, Tools, word};
use crate::value::Map;
use std::sync::Arc;

pub(super) static DRIVER: Driver = Driver {
    kind: "haproxy",
    summary: "HAProxy, through its admin socket on the host that runs it",
    options: &[
        Setting::new("backend", "name of the backend").required(),
        Setting::new("host", "the inventory host that runs HAProxy"),
        Setting::new("socket", "its admin socket").default("/run/haproxy/admin.sock"),
        Setting::new("second_server", "its server for a host's second port, rendered for each"),
        Setting::new("config", "its configuration there, which `roll doctor` reads").default("/etc/haproxy/haproxy.cfg"),
    ],
    open,
};

fn open(options: &Map, tools: Tools) -> Result<Box<dyn Balancer>, BalancerError> {
    match tools.socket {
        Some(ref socket) => {
            let haproxy = HaProxy::new(word(options, "backend"), socket.clone()).with_seconds(seconds(&tools));
            Ok(Box::new(HaProxy { config: word(options, "config"), ..haproxy }))
        }
        None => Err(BalancerError::Unreachable { why: "nobody has connected to its socket".to_owned() }),
    }
}

/// Target and server for the second port of every host that has one.
fn seconds(tools: &Tools) -> Vec<(String, String)> {
    let second = |member: &Member| Some((format!("{}:{}", member.host, tools.second_port?), member.second.clone()?));
    tools.members.iter().filter_map(second).collect()
}

/// One backend of an HAProxy.
pub struct HaProxy {
    backend: String,
    /// Targets that are not called as their server is.
    seconds: Vec<(String, String)>,
    /// Path of its configuration file.
    config: String,
    socket: Arc<dyn Socket>,
}

impl std::fmt::Debug for HaProxy {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("HaProxy").field("backend", &self.backend).finish_non_exhaustive()
    }
}

impl HaProxy {
    pub fn new(backend: String, socket: Arc<dyn Socket>) -> HaProxy {
        HaProxy { backend, seconds: Vec::new(), config: "/etc/haproxy/haproxy.cfg".to_owned(), socket }
    }

    /// With targets that have a server of another name: `web1:5001`, `web1-second`.
    #[must_use]
    pub fn with_seconds(self, seconds: Vec<(String, String)>) -> HaProxy {
        HaProxy { seconds, ..self }
    }

    fn server_of<'n>(&'n self, target: &'n str) -> &'n str {
        self.seconds.iter().find(|(name, _)| name == target).map_or(target, |(_, server)| server)
    }

    /// Success is silence. A name that is not known is told apart, since a typo is the usual cause.
    async fn set(&self, target: &str, state: &str) -> Result<(), BalancerError> {
        if target.is_empty() || target.contains(|c: char| c.is_whitespace() || c == ';' || c == '/') {
            return Err(BalancerError::UnknownTarget { name: target.to_owned(), known: Vec::new() });
        }
        let command = format!("set server {}/{} state {state}", self.backend, self.server_of(target));
        let answer = self.socket.ask(&command).await?;
        let answer = answer.trim();
        if answer.is_empty() {
            return Ok(());
        }
        let known: Vec<String> = self.read().await?.into_iter().map(|target| target.name).collect();
        if known.iter().any(|name| name == target) {
            return Err(BalancerError::Refused { command, answer: answer.to_owned() });
        }
        Err(BalancerError::UnknownTarget { name: target.to_owned(), known })
    }
}

impl Balancer for HaProxy {
    fn read(&self) -> Answer<'_, Vec<Target>> {
        Box::pin(async move {
            let answer = self.socket.ask("show stat").await?;
            let mut all = targets(&self.backend, &answer)?;
            for target in &mut all {
                if let Some((name, _)) = self.seconds.iter().find(|(_, server)| *server == target.name) {
                    target.name.clone_from(name);
                }
            }
            Ok(all)
        })
    }

    fn drain<'a>(&'a self, target: &'a str) -> Answer<'a, ()> {
        Box::pin(self.set(target, "drain"))
    }

    fn maint<'a>(&'a self, target: &'a str) -> Answer<'a, ()> {
        Box::pin(self.set(target, "maint"))
    }

    fn enable<'a>(&'a self, target: &'a str) -> Answer<'a, ()> {
        Box::pin(self.set(target, "ready"))
    }

    fn setup(&self) -> Answer<'_, Vec<Setup>> {
        Box::pin(async move {
            let text = self.socket.file(&self.config).await?;
            let unknown = || BalancerError::UnknownBackend { name: self.backend.clone(), known: config::backends(&text) };
            let mut setup = config::setup(&text, &self.backend).ok_or_else(unknown)?;
            setup.targets = self.read().await?.len();
            Ok(vec![setup])
        })
    }
}

/// The lines of `show stat`, by column name.
struct Table<'t> {
    columns: Vec<&'t str>,
    lines: Vec<Vec<&'t str>>,
}

impl<'t> Table<'t> {
    fn parse(text: &'t str) -> Result<Table<'t>, BalancerError> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let Some(header) = lines.next().and_then(|line| line.strip_prefix("# pxname,svname,")) else {
            return Err(BalancerError::Unreadable { what: "answer to `show stat`", answer: text.to_owned() });
        };
        let columns = ["pxname", "svname"].into_iter().chain(header.split(',')).collect();
        Ok(Table { columns, lines: lines.map(fields).collect() })
    }

    /// Empty where there is no such column or field.
    fn field(&self, line: &[&'t str], column: &str) -> &'t str {
        let at = self.columns.iter().position(|name| *name == column);
        at.and_then(|at| line.get(at)).copied().unwrap_or_default().trim_matches('"')
    }

    fn number(&self, line: &[&'t str], column: &str) -> u64 {
        self.field(line, column).parse().unwrap_or_default()
    }
}

/// Fields with commas in them are quoted.
fn fields(line: &str) -> Vec<&str> {
    let mut fields = Vec::new();
    let (mut start, mut is_quoted) = (0, false);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => {
                fields.push(&line[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    fields.push(&line[start..]);
    fields
}

fn targets(backend: &str, answer: &str) -> Result<Vec<Target>, BalancerError> {
    let table = Table::parse(answer)?;
    let is_ours = |line: &&Vec<&str>| table.field(line, "pxname") == backend;
    if !table.lines.iter().any(|line| is_ours(&line)) {
        let mut known: Vec<String> = table.lines.iter().map(|line| table.field(line, "pxname").to_owned()).collect();
        known.dedup();
        return Err(BalancerError::UnknownBackend { name: backend.to_owned(), known });
    }
    let is_server = |line: &&Vec<&str>| !matches!(table.field(line, "svname"), "FRONTEND" | "BACKEND");
    Ok(table.lines.iter().filter(is_ours).filter(is_server).map(|line| target(&table, line)).collect())
}

fn target(table: &Table<'_>, line: &[&str]) -> Target {
    let (status, check) = (table.field(line, "status"), table.field(line, "check_status"));
    let code = table.field(line, "check_code");
    let reason = match (check, code) {
        ("", _) => status.to_owned(),
        (check, "") => check.to_owned(),
        (check, code) => format!("{check}/{code}"),
    };
    Target {
        name: table.field(line, "svname").to_owned(),
        address: Some(table.field(line, "addr")).filter(|address| !address.is_empty()).map(str::to_owned),
        state: state_of(status, table.number(line, "weight")),
        reason,
        sessions: Some(table.number(line, "scur") + table.number(line, "qcur")),
        zone: None,
        standings: Vec::new(),
    }
}

/// `UP 1/3` is still up, though its last checks failed; `DOWN 1/2` is still down. A weight of 0 is how `drain` is done by hand.
fn state_of(status: &str, weight: u64) -> State {
    match status.split_whitespace().next().unwrap_or_default() {
        "UP" | "no" if weight == 0 => State::Draining,
        "UP" | "no" if status.contains('/') => State::Wavering,
        "UP" | "no" => State::Serving,
        "DRAIN" | "NOLB" => State::Draining,
        "MAINT" => State::Out,
        _ => State::Unhealthy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "# pxname,svname,qcur,qmax,scur,status,weight,check_status,check_code,last_chk,addr,\n\
        front,FRONTEND,,,3,OPEN,,,,,,\n\
        app,web1,1,2,4,UP,1,L7OK,200,\"OK, fine\",10.0.0.1:5000,\n\
        app,web2,0,0,0,DOWN 1/2,1,L7STS,503,,10.0.0.2:5000,\n\
        app,web3,0,0,2,DRAIN,1,L7OK,200,,10.0.0.3:5000,\n\
        app,web4,0,0,0,MAINT,1,,,,,\n\
        app,web5,0,0,0,no check,1,,,,,\n\
        app,web6,0,0,0,UP 1/3,0,L7OK,200,,,\n\
        app,web7,0,0,0,UP 1/2,1,L4CON,,,,\n\
        app,BACKEND,0,0,0,UP,2,,,,,\n";

    #[test]
    fn statistics_become_targets() {
        let found = targets("app", STAT).unwrap();
        let states: Vec<State> = found.iter().map(|target| target.state).collect();
        assert_eq!(
            states,
            [State::Serving, State::Unhealthy, State::Draining, State::Out, State::Serving, State::Draining, State::Wavering]
        );
        assert!(found[6].serves() && !found[6].serves_steadily());
        assert_eq!((found[0].name.as_str(), found[0].sessions), ("web1", Some(5)));
        assert_eq!(found[0].address.as_deref(), Some("10.0.0.1:5000"));
        assert_eq!(found[1].reason, "L7STS/503");
        assert_eq!(found[3].reason, "MAINT");
    }

    /// As a real one wrote it: healthy, sick, not listening, unchecked, drained, disabled.
    #[test]
    fn real_statistics_are_read() {
        let found = targets("app", include_str!("../../tests/cases/balancer/haproxy/show-stat-2.6.csv")).unwrap();
        let shown: Vec<String> =
            found.iter().map(|target| format!("{} {} {}", target.name, target.state.name(), target.reason)).collect();
        assert_eq!(
            shown,
            [
                "web1 serving L7OK/200",
                "web2 unhealthy L7STS/503",
                "web3 unhealthy L4CON",
                "web4 serving no check",
                "web5 draining L7OK/200",
                "web6 out MAINT",
            ]
        );
        assert_eq!(found[0].address.as_deref(), Some("127.0.0.1:18991"));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let Err(BalancerError::UnknownBackend { known, .. }) = targets("shop", STAT) else { panic!("no such backend") };
        assert_eq!(known, ["front", "app"]);
        for nonsense in ["", "Unknown command: 'show stat'.", "<html>"] {
            assert!(matches!(targets("app", nonsense), Err(BalancerError::Unreadable { .. })));
        }
    }
}
