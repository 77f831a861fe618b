//! A thin typed client of the Docker Engine API over `Look::http` (to read) and `Act::Http` (to change).
//!
//! The first request names no version, so every daemon answers it in its own; the reply's `Api-Version` header is what later
//! requests name, bounded by the newest version that this code was written against.

use crate::modules::{Act, Args, Cmd, Failure, HttpReply, HttpRequest, Look};
use crate::value::{Map, Value};
use std::cell::RefCell;
use std::time::Duration;

/// Newest API version whose meaning this client knows.
const NEWEST: (u32, u32) = (1, 51);
const DEFAULT_SOCKET: &str = "unix:///var/run/docker.sock";

/// One daemon, as seen from a host.
pub(crate) struct Engine<'a> {
    pub(crate) look: &'a dyn Look,
    base: String,
    host: String,
    version: RefCell<Option<String>>,
    timeout: Duration,
}

impl<'a> Engine<'a> {
    /// The daemon that a task's [`super::API_ARGS`] name; `DOCKER_HOST` counts where they name none.
    pub(crate) fn of(args: &Args, look: &'a dyn Look) -> Result<Engine<'a>, Failure> {
        if args.bool("tls") || args.bool("validate_certs") {
            return Err(Failure::new("a docker daemon behind TLS is not supported: use its unix socket"));
        }
        let host = args.str("docker_host").map(str::to_owned).or_else(|| look.env("DOCKER_HOST").filter(|host| !host.is_empty()));
        let host = host.unwrap_or_else(|| DEFAULT_SOCKET.to_owned());
        let version = args.str("api_version").filter(|version| *version != "auto").map(str::to_owned);
        let timeout = Duration::from_secs(args.int("timeout").and_then(|secs| u64::try_from(secs).ok()).unwrap_or(60));
        Ok(Engine { look, base: base_of(&host)?, host, version: RefCell::new(version), timeout })
    }

    /// A thing by path, or `None` where the daemon knows no such thing.
    pub(crate) fn get(&self, path: &str) -> Result<Option<Value>, Failure> {
        self.get_with(path, &[])
    }

    /// The same with extra headers.
    pub(crate) fn get_with(&self, path: &str, headers: &[(String, String)]) -> Result<Option<Value>, Failure> {
        let mut request = self.request("GET", path);
        request.timeout = Some(self.timeout);
        request.headers.extend(headers.iter().cloned());
        let reply = self.look.http(&request).map_err(|failure| self.unreachable(&failure))?;
        self.learn_version(&reply);
        match reply.status {
            200..=299 => Ok(Some(reply.json())),
            404 => Ok(None),
            _ => Err(Failure::new(format!("the docker daemon refused GET {path}: {}", message_of(&reply)))),
        }
    }

    /// Fails where no daemon answers, for a plan that asks it nothing else.
    pub(crate) fn answer(&self) -> Result<(), Failure> {
        self.get("/_ping").map(drop)
    }

    /// A list by path; empty where there is none.
    pub(crate) fn list(&self, path: &str) -> Result<Vec<Value>, Failure> {
        Ok(self.get(path)?.and_then(|value| value.as_list().map(<[Value]>::to_vec)).unwrap_or_default())
    }

    /// Text that is not JSON (the logs of a container), as bytes.
    pub(crate) fn bytes(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let mut request = self.request("GET", path);
        request.timeout = Some(self.timeout);
        let reply = self.look.http(&request).map_err(|failure| self.unreachable(&failure))?;
        if reply.status >= 400 {
            return Err(Failure::new(format!("the docker daemon refused GET {path}: {}", message_of(&reply))));
        }
        Ok(reply.body)
    }

    pub(crate) fn container(&self, name: &str) -> Result<Option<Value>, Failure> {
        self.get(&format!("/containers/{}/json", encode(name)))
    }

    pub(crate) fn image(&self, name: &str) -> Result<Option<Value>, Failure> {
        self.get(&format!("/images/{}/json", encode_path(name)))
    }

    pub(crate) fn network(&self, name: &str) -> Result<Option<Value>, Failure> {
        self.get(&format!("/networks/{}", encode(name)))
    }

    /// A request that changes something, as an act.
    pub(crate) fn act(&self, method: &str, path: &str, body: Option<&Value>, accept: &'static [u16]) -> Act {
        let request = self.request(method, path);
        Act::Http { request: body.map_or(request.clone(), |body| request.json(body)), accept }
    }

    pub(crate) fn post(&self, path: &str, body: Option<&Value>) -> Act {
        self.act("POST", path, body, &[304])
    }

    /// The `docker` program, aimed at the same daemon.
    pub(crate) fn cli(&self, args: &[&str]) -> Result<Cmd, Failure> {
        let Some(docker) = self.look.which("docker") else {
            return Err(Failure::new("the `docker` program is not installed on the host").with("executable", "docker"));
        };
        let mut cmd = Cmd::new(std::iter::once(docker.as_str()).chain(args.iter().copied()));
        if self.host != DEFAULT_SOCKET {
            cmd = cmd.env("DOCKER_HOST", &self.host);
        }
        Ok(cmd)
    }

    fn request(&self, method: &str, path: &str) -> HttpRequest {
        let version = self.version.borrow().as_ref().map(|version| format!("/v{version}")).unwrap_or_default();
        HttpRequest::new(method, format!("{}{version}{path}", self.base))
    }

    fn learn_version(&self, reply: &HttpReply) {
        let mut known = self.version.borrow_mut();
        if known.is_none() {
            *known = reply.header("api-version").and_then(spoken);
        }
    }

    fn unreachable(&self, failure: &Failure) -> Failure {
        // The address of the request says no more than that of the daemon.
        let sent = failure.msg.split_once("Request failed: ").and_then(|(_, rest)| rest.split_once(": "));
        let reason = sent.map_or(failure.msg.as_str(), |(_, reason)| reason);
        Failure::new(format!("cannot reach the docker daemon at {}: {reason}{}", self.host, advice(reason)))
    }
}

/// What to do about a daemon that does not answer.
fn advice(reason: &str) -> &'static str {
    if reason.contains("Permission denied") {
        "; set `become: true`, or put the user into the group `docker`"
    } else if reason.contains("No such file") {
        "; install docker and start its service, or name another socket in `docker_host`"
    } else if reason.contains("refused") {
        "; start its service (`systemctl start docker`)"
    } else {
        ""
    }
}

/// Ours or the daemon's version, whichever is older.
fn spoken(theirs: &str) -> Option<String> {
    let (major, minor) = theirs.split_once('.')?;
    let (major, minor) = (major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?).min(NEWEST);
    Some(format!("{major}.{minor}"))
}

fn base_of(host: &str) -> Result<String, Failure> {
    match host.split_once("://") {
        Some(("unix" | "http+unix", path)) => Ok(format!("unix:{path}:")),
        Some(("tcp" | "http", address)) => Ok(format!("http://{address}")),
        _ => Err(Failure::new(format!("docker_host `{host}` is not supported: only unix:// and tcp:// are"))),
    }
}

/// What the daemon says is wrong.
fn message_of(reply: &HttpReply) -> String {
    let json = reply.json();
    json.get("message").and_then(Value::as_str).map_or_else(|| format!("{} {}", reply.status, reply.text().trim()), str::to_owned)
}

/// Percent-encodes one segment of a path or a value of a query.
pub(crate) fn encode(text: &str) -> String {
    encode_keeping(text, b"-_.~:")
}

/// An image name may hold slashes, which the API takes as they are.
pub(crate) fn encode_path(text: &str) -> String {
    encode_keeping(text, b"-_.~:/@")
}

fn encode_keeping(text: &str, kept: &[u8]) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            out.push(byte.into());
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A value deep inside, by keys.
pub(crate) fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

pub(crate) fn text_at<'v>(value: &'v Value, path: &[&str]) -> &'v str {
    at(value, path).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn int_at(value: &Value, path: &[&str]) -> i64 {
    at(value, path).and_then(Value::as_int).unwrap_or_default()
}

pub(crate) fn bool_at(value: &Value, path: &[&str]) -> bool {
    at(value, path).and_then(Value::as_bool).unwrap_or_default()
}

/// A map of a few entries.
pub(crate) fn map_of<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect::<Map>())
}

/// The `filters` query of the list requests: `{"name":{"x":true}}`.
pub(crate) fn filters(pairs: &[(String, String)]) -> String {
    let mut by_key: Vec<(&str, Vec<Value>)> = Vec::new();
    for (key, value) in pairs {
        match by_key.iter_mut().find(|(known, _)| known == key) {
            Some((_, values)) => values.push(value.into()),
            None => by_key.push((key, vec![value.into()])),
        }
    }
    let map: Map = by_key.into_iter().map(|(key, values)| (key.into(), Value::list(values))).collect();
    encode(&Value::map(map).to_json())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_version_is_spoken() {
        assert_eq!(spoken("1.41").as_deref(), Some("1.41"));
        assert_eq!(spoken("1.99").as_deref(), Some("1.51"));
        assert_eq!(spoken("nonsense"), None);
    }

    #[test]
    fn a_daemon_that_does_not_answer_is_followed_by_what_to_do() {
        assert!(advice("Permission denied (os error 13)").contains("become"));
        assert!(advice("No such file or directory (os error 2)").contains("install docker"));
        assert!(advice("Connection refused (os error 111)").contains("systemctl start docker"));
        assert_eq!(advice("timed out"), "");
    }

    #[test]
    fn hosts_become_bases() {
        assert_eq!(base_of("unix:///var/run/docker.sock").unwrap(), "unix:/var/run/docker.sock:");
        assert_eq!(base_of("tcp://10.0.0.1:2375").unwrap(), "http://10.0.0.1:2375");
        assert!(base_of("ssh://me@there").is_err());
    }

    #[test]
    fn filters_are_json_in_a_query() {
        assert_eq!(filters(&[("label".into(), "a=b".into())]), "%7B%22label%22:%5B%22a%3Db%22%5D%7D");
    }
}
