//! How one target is reached: inventory, `ssh` arguments and ssh_config taken together, tokens filled in.

use super::config::{Config, Options, Setting};
use crate::connection::{ConnectError, HostKeys, Settings, Target};
use crate::diag::Diagnostic;
use crate::value::Text;
use std::path::{Path, PathBuf};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);
const ALIVE: Duration = Duration::from_secs(15);
const STANDARD_KEYS: &[&str] = &["id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk"];

/// Everything that a connection needs to know.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// The host's name in the inventory.
    pub(super) title: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    /// Under which name the host is in known_hosts, if not its own.
    pub(super) alias: Option<String>,
    pub(super) keys: Vec<KeyFile>,
    pub(super) certificates: Vec<PathBuf>,
    pub(super) is_identities_only: bool,
    pub(super) agent: Option<PathBuf>,
    pub(super) password: Option<Text>,
    pub(super) may: Methods,
    pub(super) proxy: Proxy,
    /// The first is the one that new keys are written to.
    pub(super) known_hosts: Vec<PathBuf>,
    pub(super) is_hashing: bool,
    pub(super) host_keys: HostKeys,
    pub(super) timeout: Duration,
    pub(super) retries: u32,
    pub(super) alive: Option<Duration>,
    pub(super) alive_max: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct KeyFile {
    pub(super) path: PathBuf,
    /// Asked for by somebody: worth a word when it cannot be read.
    pub(super) is_wanted: bool,
}

/// Ways to prove who we are that the settings allow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Methods {
    pub(super) key: bool,
    pub(super) password: bool,
    pub(super) interactive: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Proxy {
    None,
    Command(String),
    /// The last hop before the host, to be reached over the ones before it.
    Jump(Box<Target>),
}

impl Route {
    /// `warn` gets what was ignored although somebody wrote it.
    pub(super) fn find(
        target: &Target,
        settings: &Settings,
        config: &Config,
        warn: &mut Vec<Diagnostic>,
    ) -> Result<Route, ConnectError> {
        let given = given(target, warn);
        let options = config.lookup(&target.address, &settings.user, given);
        Reading { target, settings, options }.route()
    }

    pub(super) fn address(&self) -> String {
        if self.host.contains(':') { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) }
    }
}

/// What inventory and `ssh` arguments say, in the order in which Ansible would pass it to `ssh`.
fn given(target: &Target, warn: &mut Vec<Diagnostic>) -> Options {
    let mut options = Options::default();
    if let Some(port) = target.port {
        options.set("port", port.to_string(), "ansible_port");
    }
    if let Some(user) = &target.user {
        options.set("user", user, "ansible_user");
    }
    let mut words = target.ssh_args.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let (flag, attached) = word.split_at(word.char_indices().nth(2).map_or(word.len(), |(at, _)| at));
        let mut value = || if attached.is_empty() { words.next().unwrap_or_default() } else { attached };
        match flag {
            "-o" => {
                let line = value();
                if !options.add_line(line, "an ssh argument") && !is_harmless(line) {
                    warn.push(Diagnostic::warning("ssh-argument", format!("`-o {line}` is not supported and has no effect")));
                }
            }
            "-J" => options.set("proxyjump", value(), "-J"),
            "-i" => options.set("identityfile", value(), "-i"),
            "-p" => options.set("port", value(), "-p"),
            "-l" => options.set("user", value(), "-l"),
            "-C" | "-q" | "-4" | "-6" | "-A" | "-a" | "-x" | "-T" | "-k" => {}
            "-v" | "-vv" | "-vvv" => {}
            "-F" => _ = value(),
            _ => warn.push(Diagnostic::warning("ssh-argument", format!("the ssh argument `{word}` has no effect"))),
        }
    }
    options
}

/// Options of usual `ssh_args` that only tune the `ssh` program, which is not used.
fn is_harmless(line: &str) -> bool {
    let line = line.to_lowercase();
    ["control", "compression", "loglevel", "forwardagent", "preferredauthentications", "batchmode", "tcpkeepalive", "requesttty"]
        .iter()
        .chain(&["sendenv", "setenv", "addressfamily", "checkhostip", "updatehostkeys", "visualhostkey", "gssapi", "escapechar"])
        .any(|known| line.starts_with(known))
}

struct Reading<'a> {
    target: &'a Target,
    settings: &'a Settings,
    options: Options,
}

impl Reading<'_> {
    fn route(&self) -> Result<Route, ConnectError> {
        let mut tokens = Tokens {
            original: self.target.address.clone(),
            host: self.target.address.clone(),
            port: self.number("port")?.unwrap_or(22),
            user: self.options.word("user").unwrap_or(&self.settings.user).to_owned(),
            local_user: self.settings.user.clone(),
            home: self.settings.home.clone(),
        };
        if let Some(setting) = self.options.get("hostname") {
            tokens.host = self.fill(&tokens, setting, 0)?;
        }
        let alive = self.number::<u64>("serveraliveinterval")?;
        Ok(Route {
            title: self.target.name.clone(),
            alias: self.options.word("hostkeyalias").map(str::to_owned),
            keys: self.keys(&tokens)?,
            certificates: self.files(&tokens, "certificatefile")?,
            is_identities_only: self.options.is_yes("identitiesonly").unwrap_or(false),
            agent: self.agent(&tokens)?,
            password: self.target.password.clone(),
            may: self.methods(),
            proxy: self.proxy(&tokens)?,
            known_hosts: self.known_hosts(&tokens)?,
            is_hashing: self.options.is_yes("hashknownhosts").unwrap_or(false),
            host_keys: self.host_keys(),
            timeout: self.timeout()?,
            retries: self.target.retries.max(self.number::<u32>("connectionattempts")?.unwrap_or(1).saturating_sub(1)),
            alive: alive.map_or(Some(ALIVE), |seconds| (seconds > 0).then(|| Duration::from_secs(seconds))),
            alive_max: self.number("serveralivecountmax")?.unwrap_or(3),
            host: tokens.host,
            port: tokens.port,
            user: tokens.user,
        })
    }

    fn keys(&self, tokens: &Tokens) -> Result<Vec<KeyFile>, ConnectError> {
        let wanted = |path: PathBuf| KeyFile { path, is_wanted: true };
        let mut keys: Vec<KeyFile> = self.target.key_files.iter().cloned().map(wanted).collect();
        keys.extend(self.files(tokens, "identityfile")?.into_iter().map(wanted));
        if keys.is_empty() {
            let home = self.settings.home.iter();
            keys.extend(home.flat_map(|home| {
                STANDARD_KEYS.iter().map(|name| KeyFile { path: home.join(".ssh").join(name), is_wanted: false })
            }));
        }
        let mut seen = Vec::new();
        keys.retain(|key| {
            !seen.contains(&key.path) && {
                seen.push(key.path.clone());
                true
            }
        });
        Ok(keys)
    }

    fn agent(&self, tokens: &Tokens) -> Result<Option<PathBuf>, ConnectError> {
        match self.options.get("identityagent") {
            None => Ok(self.settings.agent.clone()),
            Some(setting) => match setting.words.first().map(String::as_str) {
                Some("none") => Ok(None),
                Some("SSH_AUTH_SOCK") => Ok(self.settings.agent.clone()),
                Some(name) if name.starts_with('$') && !name.starts_with("${") => {
                    Ok(std::env::var_os(&name[1..]).map(PathBuf::from))
                }
                _ => Ok(Some(self.path(tokens, setting, 0)?)),
            },
        }
    }

    fn methods(&self) -> Methods {
        let may = |keyword| self.options.is_yes(keyword).unwrap_or(true);
        Methods {
            key: may("pubkeyauthentication"),
            password: may("passwordauthentication"),
            interactive: may("kbdinteractiveauthentication"),
        }
    }

    /// Of ProxyJump and ProxyCommand in one place the jump wins.
    fn proxy(&self, tokens: &Tokens) -> Result<Proxy, ConnectError> {
        if let Some(jumps) = self.options.word("proxyjump") {
            if !jumps.eq_ignore_ascii_case("none") {
                return self.jump(jumps).map(|hop| Proxy::Jump(Box::new(hop)));
            }
            return Ok(Proxy::None);
        }
        match self.options.get("proxycommand") {
            Some(setting) if !setting.words.iter().any(|word| word.eq_ignore_ascii_case("none")) => {
                self.fill(tokens, setting, 0).map(Proxy::Command)
            }
            _ => Ok(Proxy::None),
        }
    }

    fn jump(&self, jumps: &str) -> Result<Target, ConnectError> {
        let (before, last) = match jumps.rsplit_once(',') {
            Some((before, last)) => (Some(before), last),
            None => (None, jumps),
        };
        let (user, address, port) = hop(last.trim()).ok_or_else(|| self.wrong("proxyjump", "it should be `user@host:port`"))?;
        let mut target = Target::new(last.trim(), address);
        target.user = user;
        target.port = port;
        target.key_files.clone_from(&self.target.key_files);
        target.host_keys = self.target.host_keys;
        target.known_hosts.clone_from(&self.target.known_hosts);
        target.timeout = self.target.timeout;
        target.ssh_args = before.map(|before| vec!["-J".to_owned(), before.to_owned()]).unwrap_or_default();
        Ok(target)
    }

    fn known_hosts(&self, tokens: &Tokens) -> Result<Vec<PathBuf>, ConnectError> {
        let mut files = match (&self.target.known_hosts, self.options.get("userknownhostsfile")) {
            (Some(files), _) => return Ok(files.clone()),
            (None, Some(setting)) => self.paths(tokens, setting)?,
            (None, None) => {
                let home = self.settings.home.iter();
                home.flat_map(|home| [home.join(".ssh/known_hosts"), home.join(".ssh/known_hosts2")]).collect()
            }
        };
        match self.options.get("globalknownhostsfile") {
            Some(setting) => files.extend(self.paths(tokens, setting)?),
            None => files.extend(["/etc/ssh/ssh_known_hosts".into(), "/etc/ssh/ssh_known_hosts2".into()]),
        }
        files.retain(|file| file.as_os_str() != "none");
        Ok(files)
    }

    fn host_keys(&self) -> HostKeys {
        let written = self.options.word("stricthostkeychecking").map(str::to_lowercase);
        match (self.target.host_keys, written.as_deref()) {
            (HostKeys::Check, Some("no" | "off")) => HostKeys::Off,
            (HostKeys::Check, Some("accept-new")) => HostKeys::AcceptNew,
            (policy, _) => policy,
        }
    }

    fn timeout(&self) -> Result<Duration, ConnectError> {
        let written = self.number::<u64>("connecttimeout")?.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        Ok(self.target.timeout.or(written).unwrap_or(TIMEOUT))
    }

    fn files(&self, tokens: &Tokens, keyword: &str) -> Result<Vec<PathBuf>, ConnectError> {
        let mut files = Vec::new();
        for setting in self.options.each(keyword) {
            if setting.words.first().is_some_and(|word| word == "none") {
                continue;
            }
            files.push(self.path(tokens, setting, 0)?);
        }
        Ok(files)
    }

    fn paths(&self, tokens: &Tokens, setting: &Setting) -> Result<Vec<PathBuf>, ConnectError> {
        (0..setting.words.len()).map(|index| self.path(tokens, setting, index)).collect()
    }

    fn path(&self, tokens: &Tokens, setting: &Setting, index: usize) -> Result<PathBuf, ConnectError> {
        let text = self.fill(tokens, setting, index)?;
        match (text.strip_prefix("~/"), &self.settings.home) {
            (Some(below), Some(home)) => Ok(home.join(below)),
            _ => Ok(PathBuf::from(text)),
        }
    }

    fn fill(&self, tokens: &Tokens, setting: &Setting, index: usize) -> Result<String, ConnectError> {
        let text = setting.words.get(index).map_or("", String::as_str);
        tokens.fill(text).map_err(|reason| self.wrong_at(setting, text, reason))
    }

    fn number<T: std::str::FromStr>(&self, keyword: &str) -> Result<Option<T>, ConnectError> {
        let Some(word) = self.options.word(keyword) else { return Ok(None) };
        word.parse().map(Some).map_err(|_| self.wrong(keyword, "it should be a number"))
    }

    fn wrong(&self, keyword: &str, reason: &str) -> ConnectError {
        match self.options.get(keyword) {
            Some(setting) => self.wrong_at(setting, &format!("{keyword} {}", setting.words.join(" ")), reason.to_owned()),
            None => self.wrong_at(&Setting { words: Vec::new(), origin: String::new() }, keyword, reason.to_owned()),
        }
    }

    fn wrong_at(&self, setting: &Setting, text: &str, reason: String) -> ConnectError {
        ConnectError::Setting { host: self.target.name.clone(), origin: setting.origin.clone(), setting: text.to_owned(), reason }
    }
}

struct Tokens {
    original: String,
    host: String,
    port: u16,
    user: String,
    local_user: String,
    home: Option<PathBuf>,
}

impl Tokens {
    /// Replaces `%h` and its like, and `${NAME}`.
    fn fill(&self, text: &str) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['%', '$']) {
            filled.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some((name, after)) = rest.strip_prefix("${").and_then(|inner| inner.split_once('}')) {
                filled.push_str(&std::env::var(name).map_err(|_| format!("the environment has no `{name}`"))?);
                rest = after;
            } else if let Some(after) = rest.strip_prefix('$') {
                filled.push('$');
                rest = after;
            } else {
                let token = rest[1..].chars().next().ok_or("it ends with a lone `%`")?;
                filled.push_str(&self.token(token).ok_or_else(|| format!("`%{token}` is not supported"))?);
                rest = &rest[1 + token.len_utf8()..];
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn token(&self, token: char) -> Option<String> {
        Some(match token {
            '%' => "%".to_owned(),
            'h' => self.host.clone(),
            'n' | 'k' => self.original.clone(),
            'p' => self.port.to_string(),
            'r' => self.user.clone(),
            'u' => self.local_user.clone(),
            'd' => self.home.as_deref().map(Path::to_string_lossy)?.into_owned(),
            _ => return None,
        })
    }
}

/// `user@host:port`, `[v6]:port`, `ssh://user@host:port`.
fn hop(text: &str) -> Option<(Option<String>, String, Option<u16>)> {
    let text = text.strip_prefix("ssh://").unwrap_or(text).trim_end_matches('/');
    let (user, place) = match text.rsplit_once('@') {
        Some((user, place)) => (Some(user.to_owned()), place),
        None => (None, text),
    };
    let (host, port) = match place.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((host, after)) => (host, after.strip_prefix(':')),
        None => match place.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (place, None),
        },
    };
    let port = port.map(str::parse).transpose().ok()?;
    (!host.is_empty()).then(|| (user, host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(target: &Target, config: &str) -> Result<Route, ConnectError> {
        let settings = Settings { home: Some("/home/ada".into()), user: "ada".into(), ..Settings::default() };
        Route::find(target, &settings, &Config::of_text(config), &mut Vec::new())
    }

    #[test]
    fn inventory_beats_arguments_beat_files() {
        let mut target = Target::new("web1", "web");
        target.port = Some(2200);
        target.ssh_args = ["-o", "User=deploy", "-oPort=99", "-o", "ControlMaster=auto"].map(str::to_owned).to_vec();
        let route = route(&target, "Host web\n HostName %h.internal\n User root\n Port 1\n").unwrap();
        assert_eq!((route.address().as_str(), route.user.as_str()), ("web.internal:2200", "deploy"));
    }

    #[test]
    fn without_a_file_the_usual_places_count() {
        let route = route(&Target::new("web", "web"), "").unwrap();
        assert_eq!(route.known_hosts[0], Path::new("/home/ada/.ssh/known_hosts"));
        assert_eq!(route.keys[0], KeyFile { path: "/home/ada/.ssh/id_ed25519".into(), is_wanted: false });
        assert_eq!((route.user.as_str(), route.port, route.timeout), ("ada", 22, TIMEOUT));
    }

    #[test]
    fn a_chain_of_jumps_is_reached_from_the_first() {
        let route = route(&Target::new("db", "db"), "ProxyJump ada@gate:22,inner\nProxyCommand ignored\n").unwrap();
        let Proxy::Jump(hop) = route.proxy else { panic!("a jump") };
        assert_eq!((hop.address.as_str(), hop.ssh_args.as_slice()), ("inner", &["-J".to_owned(), "ada@gate:22".to_owned()][..]));
    }

    #[test]
    fn hops_have_many_forms() {
        assert_eq!(hop("gate"), Some((None, "gate".into(), None)));
        assert_eq!(hop("ssh://a@gate:2"), Some((Some("a".into()), "gate".into(), Some(2))));
        assert_eq!(hop("[::1]:22"), Some((None, "::1".into(), Some(22))));
        assert_eq!(hop("gate:x"), None);
        assert_eq!(hop("a@"), None);
    }

    #[test]
    fn a_bad_value_says_where_it_stands() {
        let Err(ConnectError::Setting { origin, reason, .. }) = route(&Target::new("web", "web"), "\nPort many\n") else {
            panic!("refused")
        };
        assert_eq!((origin.as_str(), reason.as_str()), ("/home/ada/.ssh/config:2", "it should be a number"));
        assert!(route(&Target::new("web", "web"), "ProxyCommand nc %Z\n").is_err());
    }

    #[test]
    fn strict_checking_follows_the_file_only_when_checking() {
        let mut target = Target::new("web", "web");
        assert_eq!(route(&target, "StrictHostKeyChecking no").unwrap().host_keys, HostKeys::Off);
        target.host_keys = HostKeys::AcceptNew;
        assert_eq!(route(&target, "StrictHostKeyChecking yes").unwrap().host_keys, HostKeys::AcceptNew);
    }
}
