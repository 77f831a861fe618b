//! Arguments of a container, from Ansible's spelling to the API's form.

use crate::modules::docker::engine::{Engine, map_of, text_at};
use crate::modules::docker::units;
use crate::modules::{Args, Failure, Look};
use crate::value::{Map, Value};
use std::ops::RangeInclusive;

type Wanted = Result<Option<Value>, Failure>;

/// `command` or `entrypoint`: text is split as a shell would, a list is taken as it is.
pub(super) fn command(args: &Args, name: &str) -> Wanted {
    let Some(value) = args.get(name) else { return Ok(None) };
    if let Some(items) = value.as_list() {
        return Ok(Some(items.iter().map(|item| Value::String(item.to_text())).collect()));
    }
    units::split_command(&value.to_text()).map(|words| Some(words.into()))
}

/// `env` over `env_file`, as `NAME=value`.
pub(super) fn environment(args: &Args, look: &dyn Look) -> Wanted {
    if !args.has("env") && !args.has("env_file") {
        return Ok(None);
    }
    let mut env = Map::new();
    if let Some(path) = args.str("env_file") {
        let text = look.text(path).map_err(|error| Failure::io(format!("cannot read env_file {path}"), &error))?;
        let text = text.ok_or_else(|| Failure::new(format!("env_file {path} does not exist on the host")))?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            env.insert(name.trim().into(), value.into());
        }
    }
    if let Some(given) = text_dict(args, "env")? {
        env.extend(given.as_map().cloned().unwrap_or_default());
    }
    Ok(Some(env.iter().map(|(name, value)| pair(&name.to_string(), '=', value)).collect()))
}

/// Name and value joined; as secret as the value.
fn pair(name: &str, separator: char, value: &Value) -> Value {
    let text = value.to_text();
    let joined = format!("{name}{separator}{}", text.as_str());
    if text.is_secret() { Value::secret(joined) } else { joined.into() }
}

/// A dictionary whose values must be text. YAML reads an unquoted `yes` or `1.10` as something else, and Ansible refuses
/// what it could not pass on as it was written.
pub(super) fn text_dict(args: &Args, name: &str) -> Wanted {
    let Some(entries) = args.get(name).and_then(Value::as_map) else { return Ok(None) };
    for (key, value) in entries {
        if value.as_str().is_none() && !value.is_null() {
            let found = value.to_text();
            return Err(Failure::new(format!(
                "{name}: the value of `{key}` is the {} {found}; write it in quotes",
                value.kind()
            )));
        }
    }
    Ok(Some(entries.iter().map(|(key, value)| (key.to_string(), Value::String(value.to_text()))).collect()))
}

/// A dictionary whose scalar values become text.
pub(super) fn stringly(args: &Args, name: &str) -> Option<Value> {
    let entries = args.get(name)?.as_map()?;
    Some(entries.iter().map(|(key, value)| (key.to_string(), Value::String(lower_bool(value)))).collect())
}

fn lower_bool(value: &Value) -> crate::value::Text {
    match value {
        Value::Bool(truth) => if *truth { "true" } else { "false" }.into(),
        other => other.to_text(),
    }
}

pub(super) fn etc_hosts(args: &Args) -> Option<Value> {
    let entries = args.get("etc_hosts")?.as_map()?;
    Some(entries.iter().map(|(name, address)| pair(&name.to_string(), ':', address)).collect())
}

pub(super) fn links(args: &Args) -> Option<Value> {
    args.has("links").then(|| {
        let whole = |link: String| if link.contains(':') { link } else { format!("{link}:{link}") };
        args.list("links").into_iter().map(whole).map(Value::from).collect()
    })
}

/// The daemon reports `/redis:/web/db` for `redis:db`.
pub(super) fn tidy_links(value: &Value) -> Value {
    each(value, |link| {
        let (from, alias) = link.split_once(':').unwrap_or((link, link));
        format!("{}:{}", from.trim_start_matches('/'), alias.rsplit('/').next().unwrap_or(alias))
    })
}

pub(super) fn tidy_capabilities(value: &Value) -> Value {
    each(value, |name| name.to_ascii_uppercase().trim_start_matches("CAP_").to_owned())
}

pub(super) fn tidy_mac(value: &Value) -> Value {
    Value::from(value.to_text().replace('-', ":").to_ascii_lowercase())
}

pub(super) fn tidy_network_mode(value: &Value) -> Value {
    if value.as_str() == Some("default") { "bridge".into() } else { value.clone() }
}

pub(super) fn tidy_binds(value: &Value) -> Value {
    each(value, |bind| if bind.matches(':').count() < 2 { format!("{bind}:rw") } else { bind.to_owned() })
}

/// An empty address is every address.
pub(super) fn tidy_bindings(value: &Value) -> Value {
    let tidy = |binding: &Value| {
        let address = text_at(binding, &["HostIp"]);
        let address = if address.is_empty() { "0.0.0.0" } else { address };
        map_of([("HostIp", address.into()), ("HostPort", text_at(binding, &["HostPort"]).into())])
    };
    let Some(ports) = value.as_map() else { return value.clone() };
    let sorted = |bindings: &Value| {
        let mut bindings: Vec<Value> = bindings.as_list().unwrap_or_default().iter().map(tidy).collect();
        bindings.sort_by_key(Value::to_json);
        Value::list(bindings)
    };
    ports.iter().map(|(port, bindings)| (port.clone(), sorted(bindings))).collect()
}

fn each(value: &Value, tidy: impl Fn(&str) -> String) -> Value {
    value.as_list().unwrap_or_default().iter().map(|item| Value::from(tidy(&item.to_text()))).collect()
}

pub(super) fn device_rates(args: &Args, name: &str, in_bytes: bool) -> Wanted {
    let Some(items) = args.get(name).and_then(Value::as_list) else { return Ok(None) };
    let rate = |item: &Value| {
        let rate = item.get("rate").cloned().unwrap_or_default();
        let rate = if in_bytes { units::bytes(name, &rate.to_text())? } else { rate.to_int().unwrap_or_default() };
        Ok(map_of([("Path", text_at(item, &["path"]).into()), ("Rate", rate.into())]))
    };
    items.iter().map(rate).collect::<Result<Value, Failure>>().map(Some)
}

pub(super) fn device_requests(args: &Args) -> Option<Value> {
    let request = |item: &Value| -> Value {
        let keys = [
            ("driver", "Driver"),
            ("count", "Count"),
            ("device_ids", "DeviceIDs"),
            ("capabilities", "Capabilities"),
            ("options", "Options"),
        ];
        keys.iter().filter_map(|(ours, theirs)| item.get(ours).map(|value| (*theirs, value.clone()))).collect()
    };
    Some(args.get("device_requests")?.as_list()?.iter().map(request).collect())
}

pub(super) fn devices(args: &Args) -> Option<Value> {
    let device = |text: String| {
        let mut parts = text.splitn(3, ':');
        let host = parts.next().unwrap_or_default().to_owned();
        let inside = parts.next().map_or_else(|| host.clone(), str::to_owned);
        let permissions = parts.next().unwrap_or("rwm");
        map_of([("PathOnHost", host.into()), ("PathInContainer", inside.into()), ("CgroupPermissions", permissions.into())])
    };
    args.has("devices").then(|| args.list("devices").into_iter().map(device).collect())
}

/// Exposed ports, those that are published among them.
pub(super) fn exposed_ports(args: &Args) -> Wanted {
    if !args.has("exposed_ports") && !args.has("published_ports") {
        return Ok(None);
    }
    let mut ports = Map::new();
    for text in args.list("exposed_ports") {
        let (range, protocol) = port_and_protocol(&text);
        for port in range_of(&text, range)? {
            ports.insert(format!("{port}/{protocol}").into(), Value::map(Map::new()));
        }
    }
    if let Some(published) = published_ports(args)?.as_ref().and_then(Value::as_map) {
        ports.extend(published.keys().map(|port| (port.clone(), Value::map(Map::new()))));
    }
    Ok(Some(Value::map(ports)))
}

pub(super) fn publish_all(args: &Args) -> Option<Value> {
    let is_all = args.list("published_ports").iter().any(|port| port.eq_ignore_ascii_case("all"));
    if is_all { Some(true.into()) } else { args.get("publish_all_ports").cloned() }
}

/// `[address:][host:]container[/protocol]`, with ranges, as the API's port bindings.
pub(super) fn published_ports(args: &Args) -> Wanted {
    if !args.has("published_ports") {
        return Ok(None);
    }
    let default_ip = args.str("default_host_ip").unwrap_or("0.0.0.0");
    let mut bindings: Vec<(String, Vec<Value>)> = Vec::new();
    for text in args.list("published_ports").iter().filter(|port| !port.eq_ignore_ascii_case("all")) {
        for (port, binding) in bindings_of(text, default_ip)? {
            match bindings.iter_mut().find(|(known, _)| *known == port) {
                Some((_, known)) => known.push(binding),
                None => bindings.push((port, vec![binding])),
            }
        }
    }
    Ok(Some(bindings.into_iter().map(|(port, bindings)| (port, Value::list(bindings))).collect()))
}

fn bindings_of(text: &str, default_ip: &str) -> Result<Vec<(String, Value)>, Failure> {
    let (spec, protocol) = port_and_protocol(text);
    let (rest, inside) = spec.rsplit_once(':').map_or((None, spec), |(rest, inside)| (Some(rest), inside));
    let (address, outside) = match rest {
        None => (default_ip, ""),
        Some(rest) => match rest.rsplit_once(':') {
            Some((address, outside)) => (address.trim_matches(['[', ']']), outside),
            None => (default_ip, rest),
        },
    };
    let binding = |outside: String| map_of([("HostIp", address.into()), ("HostPort", outside.into())]);
    let ports = range_of(text, inside)?;
    if outside.is_empty() {
        return Ok(ports.map(|port| (format!("{port}/{protocol}"), binding(String::new()))).collect());
    }
    let hosts = range_of(text, outside)?;
    let (inside_count, outside_count) = (ports.clone().count(), hosts.clone().count());
    if inside_count == 1 && outside_count > 1 {
        // The daemon picks a free one of the range.
        return Ok(vec![(format!("{}/{protocol}", ports.start()), binding(outside.to_owned()))]);
    }
    if inside_count != outside_count {
        return Err(Failure::new(format!("published_ports: the two ranges of `{text}` differ in length")));
    }
    Ok(ports.zip(hosts).map(|(port, host)| (format!("{port}/{protocol}"), binding(host.to_string()))).collect())
}

fn port_and_protocol(text: &str) -> (&str, &str) {
    text.rsplit_once('/').unwrap_or((text, "tcp"))
}

fn range_of(whole: &str, text: &str) -> Result<RangeInclusive<u16>, Failure> {
    let number =
        |text: &str| text.trim().parse::<u16>().map_err(|_| Failure::new(format!("`{whole}` is not a port or a range of ports")));
    match text.split_once('-') {
        Some((first, last)) => Ok(number(first)?..=number(last)?),
        None => number(text).map(|port| port..=port),
    }
}

pub(super) fn healthcheck(args: &Args) -> Wanted {
    let Some(given) = args.get("healthcheck").filter(|given| given.as_map().is_some()) else { return Ok(None) };
    let mut check = Map::new();
    if let Some(test) = given.get("test") {
        let test: Value = match test.as_list() {
            Some(items) => items.iter().map(|item| Value::String(item.to_text())).collect(),
            None if test.to_text().as_str() == "NONE" => Value::list(vec!["NONE".into()]),
            None => Value::list(vec!["CMD-SHELL".into(), Value::String(test.to_text())]),
        };
        check.insert("Test".into(), test);
    }
    let times =
        [("interval", "Interval"), ("timeout", "Timeout"), ("start_period", "StartPeriod"), ("start_interval", "StartInterval")];
    for (ours, theirs) in times {
        if let Some(value) = given.get(ours) {
            check.insert(theirs.into(), units::nanoseconds(ours, value)?.into());
        }
    }
    if let Some(retries) = given.get("retries").and_then(Value::to_int) {
        check.insert("Retries".into(), retries.into());
    }
    Ok(Some(Value::map(check)))
}

/// A namespace of another container is named by its id.
pub(super) fn namespace(args: &Args, name: &str, engine: &Engine<'_>) -> Wanted {
    let Some(mode) = args.str(name) else { return Ok(None) };
    let Some(other) = mode.strip_prefix("container:") else { return Ok(Some(mode.into())) };
    let found = engine.container(other)?.ok_or_else(|| Failure::new(format!("{name}: there is no container `{other}`")))?;
    Ok(Some(format!("container:{}", text_at(&found, &["Id"])).into()))
}

/// The first of `networks` is the mode where none was given, as with the client's `--network`.
pub(super) fn network_mode(args: &Args, engine: &Engine<'_>) -> Wanted {
    if args.has("network_mode") {
        return namespace(args, "network_mode", engine);
    }
    let first = args.get("networks").and_then(Value::as_list).and_then(<[Value]>::first);
    let first = first.filter(|_| args.bool("networks_cli_compatible"));
    Ok(first.map(|network| text_at(network, &["name"]).into()))
}

pub(super) fn restart_policy(args: &Args) -> Option<Value> {
    let name = args.str("restart_policy")?;
    let mut policy = Map::from_iter([("Name".into(), Value::from(name))]);
    if let Some(retries) = args.int("restart_retries") {
        policy.insert("MaximumRetryCount".into(), retries.into());
    }
    Some(Value::map(policy))
}

pub(super) fn tmpfs(args: &Args) -> Option<Value> {
    let mount = |text: &String| {
        let (path, options) = text.split_once(':').unwrap_or((text, ""));
        (path.to_owned(), Value::from(options))
    };
    args.has("tmpfs").then(|| args.list("tmpfs").iter().map(mount).collect())
}

pub(super) fn ulimits(args: &Args) -> Wanted {
    if !args.has("ulimits") {
        return Ok(None);
    }
    let limit = |text: &String| {
        let wrong = || Failure::new(format!("ulimits: `{text}` is not name:soft[:hard]"));
        let mut parts = text.split(':');
        let (name, soft) = (parts.next().ok_or_else(wrong)?, parts.next().ok_or_else(wrong)?);
        let hard = parts.next().unwrap_or(soft);
        let (soft, hard): (i64, i64) = (soft.parse().map_err(|_| wrong())?, hard.parse().map_err(|_| wrong())?);
        Ok(map_of([("Name", name.into()), ("Soft", soft.into()), ("Hard", hard.into())]))
    };
    args.list("ulimits").iter().map(limit).collect::<Result<Value, Failure>>().map(Some)
}

/// Volumes with a source; a path in the home directory or beside is made absolute on the host.
pub(super) fn binds(args: &Args, look: &dyn Look) -> Option<Value> {
    args.has("volumes").then(|| {
        let binds = args.list("volumes").into_iter().filter(|volume| volume.contains(':'));
        tidy_binds(&binds.map(|bind| Value::from(absolute(bind, look))).collect())
    })
}

fn absolute(bind: String, look: &dyn Look) -> String {
    match bind.strip_prefix('~') {
        Some(rest) => format!("{}{rest}", look.env("HOME").unwrap_or_default()),
        None => bind,
    }
}

pub(super) fn anonymous_volumes(args: &Args) -> Option<Value> {
    args.has("volumes").then(|| {
        let volumes = args.list("volumes").into_iter().filter(|volume| !volume.contains(':'));
        volumes.map(|volume| (volume, Value::map(Map::new()))).collect()
    })
}

pub(super) fn mounts(args: &Args) -> Wanted {
    let Some(items) = args.get("mounts").and_then(Value::as_list) else { return Ok(None) };
    items.iter().map(mount).collect::<Result<Value, Failure>>().map(Some)
}

fn mount(given: &Value) -> Result<Value, Failure> {
    let kind = given.get("type").and_then(Value::as_str).unwrap_or("volume");
    let mut out = Map::from_iter([("Type".into(), kind.into()), ("Target".into(), text_at(given, &["target"]).into())]);
    if let Some(source) = given.get("source") {
        out.insert("Source".into(), source.clone());
    }
    if let Some(read_only) = given.get("read_only").and_then(Value::to_bool) {
        out.insert("ReadOnly".into(), read_only.into());
    }
    if let Some(propagation) = given.get("propagation") {
        out.insert("BindOptions".into(), map_of([("Propagation", propagation.clone())]));
    }
    let mut volume = Map::new();
    if let Some(no_copy) = given.get("no_copy").and_then(Value::to_bool) {
        volume.insert("NoCopy".into(), no_copy.into());
    }
    if let Some(labels) = given.get("labels") {
        volume.insert("Labels".into(), labels.clone());
    }
    if let Some(driver) = given.get("volume_driver") {
        let options = given.get("volume_options").cloned().unwrap_or_default();
        volume.insert("DriverConfig".into(), map_of([("Name", driver.clone()), ("Options", options)]));
    }
    if !volume.is_empty() {
        out.insert("VolumeOptions".into(), Value::map(volume));
    }
    let mut tmpfs = Map::new();
    if let Some(size) = given.get("tmpfs_size") {
        tmpfs.insert("SizeBytes".into(), units::bytes("tmpfs_size", &size.to_text())?.into());
    }
    if let Some(mode) = given.get("tmpfs_mode") {
        let octal = i64::from_str_radix(mode.to_text().trim_start_matches("0o"), 8);
        tmpfs.insert("Mode".into(), octal.map_err(|_| Failure::new("tmpfs_mode: not an octal number"))?.into());
    }
    if !tmpfs.is_empty() {
        out.insert("TmpfsOptions".into(), Value::map(tmpfs));
    }
    Ok(Value::map(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(spec: &str) -> String {
        let bindings = bindings_of(spec, "0.0.0.0").map(|bindings| {
            let text = |(port, binding): &(String, Value)| {
                format!("{}:{}>{port}", text_at(binding, &["HostIp"]), text_at(binding, &["HostPort"]))
            };
            bindings.iter().map(text).collect::<Vec<_>>().join(" ")
        });
        bindings.unwrap_or_else(|failure| failure.msg)
    }

    #[test]
    fn published_ports_in_every_spelling() {
        assert_eq!(ports("8080:9000"), "0.0.0.0:8080>9000/tcp");
        assert_eq!(ports("127.0.0.1:8081:9001/udp"), "127.0.0.1:8081>9001/udp");
        assert_eq!(ports("[::1]:80:80"), "::1:80>80/tcp");
        assert_eq!(ports("9002"), "0.0.0.0:>9002/tcp");
        assert_eq!(ports("127.0.0.1::53"), "127.0.0.1:>53/tcp");
        assert_eq!(ports("7000-7001:80-81"), "0.0.0.0:7000>80/tcp 0.0.0.0:7001>81/tcp");
        assert_eq!(ports("8000-8100:9003"), "0.0.0.0:8000-8100>9003/tcp");
        assert!(ports("7000-7002:80-81").contains("differ in length"));
        assert!(ports("http").contains("not a port"));
    }
}
