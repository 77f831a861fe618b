//! SSH as a client: from a target to an open, authenticated connection on which channels are opened.
//!
//! `config` and `route` say how to get there, `dial` makes the byte stream, `known_hosts` vouches for the server, `login`
//! proves who we are. Main type: [`Link`].

mod config;
mod dial;
mod known_hosts;
mod login;
mod pattern;
mod route;

pub(super) use config::Config;

use super::pipe::Pipe;
use super::{ConnectError, HostKeys, Settings, Stage, Target};
use crate::diag::Diagnostic;
use dial::{LastWords, Stream};
use known_hosts::{KnownHosts, Name, Verdict};
use route::{Proxy, Route};
use russh::client::{DisconnectReason, Handle};
use russh::keys::{PublicKey, PublicKeyOrCertificate};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Chains of jump hosts end somewhere.
const JUMPS_MAX: usize = 8;

/// An authenticated connection.
pub(super) struct Link {
    session: Handle<Client>,
    seen: Arc<Seen>,
    title: String,
    /// Kept open as long as this connection runs through it.
    _hop: Option<Arc<Link>>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Link").field("title", &self.title).finish_non_exhaustive()
    }
}

/// The connection to a jump host, once it stands; locked while it is made.
type Hop = Arc<tokio::sync::Mutex<Option<Arc<Link>>>>;

/// Makes connections; hosts behind the same jump host share the connection to it.
#[derive(Debug)]
pub(super) struct Dialer {
    config: Config,
    hops: tokio::sync::Mutex<HashMap<Target, Hop>>,
    warnings: Mutex<Vec<Diagnostic>>,
}

impl Dialer {
    pub(super) fn new(mut config: Config) -> Dialer {
        let warnings = Mutex::new(std::mem::take(&mut config.warnings));
        Dialer { config, hops: tokio::sync::Mutex::default(), warnings }
    }

    /// What was written by the user and has no effect; each is given out once.
    pub(super) fn take_warnings(&self) -> Vec<Diagnostic> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) async fn connect(&self, target: &Target, settings: &Settings) -> Result<Arc<Link>, ConnectError> {
        self.connect_over(target, settings, JUMPS_MAX).await
    }

    async fn connect_over(&self, target: &Target, settings: &Settings, jumps: usize) -> Result<Arc<Link>, ConnectError> {
        let mut warnings = Vec::new();
        let route = Route::find(target, settings, &self.config, &mut warnings)?;
        self.warn(warnings);
        let mut wait = Duration::from_millis(500);
        for _ in 0..route.retries {
            match self.attempt(&route, settings, jumps).await {
                Err(failure) if failure.is_passing() => tokio::time::sleep(wait).await,
                other => return other,
            }
            wait = (wait * 2).min(Duration::from_secs(8));
        }
        self.attempt(&route, settings, jumps).await
    }

    fn warn(&self, found: Vec<Diagnostic>) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in found {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }

    async fn attempt(&self, route: &Route, settings: &Settings, jumps: usize) -> Result<Arc<Link>, ConnectError> {
        match &route.proxy {
            Proxy::None => shake_hands(route, dial::tcp(route).await?, None).await,
            Proxy::Command(command) => {
                let (stream, words) = dial::proxy(route, command)?;
                match shake_hands(route, stream, None).await {
                    Ok(hands) => Ok(hands),
                    Err(failure) => {
                        dial::hear_out(&words).await;
                        Err(blame_proxy(failure, route, command, &words))
                    }
                }
            }
            Proxy::Jump(hop) => {
                let wrap =
                    |cause| ConnectError::Jump { host: route.title.clone(), hop: hop.name.clone(), cause: Box::new(cause) };
                let link = Box::pin(self.hop(hop, settings, jumps)).await.map_err(wrap)?;
                let port = u32::from(route.port);
                let channel = link.session.channel_open_direct_tcpip(&route.host, port, "127.0.0.1", 0);
                let channel = link.within(route.timeout, channel).await.map_err(|reason| {
                    wrap(ConnectError::Channel {
                        host: hop.name.clone(),
                        reason: format!("no way to {}: {reason}", route.address()),
                    })
                })?;
                shake_hands(route, channel.into_stream(), Some(link)).await
            }
        }
    }

    async fn hop(&self, hop: &Target, settings: &Settings, jumps: usize) -> Result<Arc<Link>, ConnectError> {
        if jumps == 0 {
            let reason = format!("more than {JUMPS_MAX} jump hosts in a row");
            return Err(ConnectError::Handshake { host: hop.name.clone(), address: hop.address.clone(), reason });
        }
        let slot = self.hops.lock().await.entry(hop.clone()).or_default().clone();
        let mut slot = slot.lock().await;
        if let Some(link) = slot.as_ref().filter(|link| !link.is_closed()) {
            return Ok(link.clone());
        }
        let link = self.connect_over(hop, settings, jumps - 1).await?;
        *slot = Some(link.clone());
        Ok(link)
    }
}

impl Link {
    pub(super) fn is_closed(&self) -> bool {
        self.session.is_closed()
    }

    /// Runs one command in a channel of its own.
    pub(super) async fn exec(&self, command: &str, is_terminal: bool, limit: Duration) -> Result<Pipe, ConnectError> {
        let channel = async {
            let channel = self.session.channel_open_session().await?;
            if is_terminal {
                channel.request_pty(false, "dumb", 200, 50, 0, 0, &[]).await?;
            }
            channel.exec(false, command).await?;
            Ok(channel)
        };
        match self.within(limit, channel).await {
            Ok(channel) => Ok(Pipe::of_channel(channel, self.seen.clone())),
            Err(reason) => Err(ConnectError::Channel { host: self.title.clone(), reason }),
        }
    }

    /// Says goodbye; what is still under way on it is lost.
    pub(super) async fn close(&self) {
        let goodbye = self.session.disconnect(russh::Disconnect::ByApplication, "", "");
        _ = tokio::time::timeout(Duration::from_secs(2), goodbye).await;
    }

    async fn within<T>(&self, limit: Duration, work: impl Future<Output = Result<T, russh::Error>>) -> Result<T, String> {
        match tokio::time::timeout(limit, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(russh::Error::ChannelOpenFailure(reason))) => Err(format!("the server refused it ({reason:?})")),
            Ok(Err(error)) => Err(self.seen.reason().unwrap_or_else(|| describe(&error))),
            Err(_) => Err(format!("no answer after {} s", limit.as_secs())),
        }
    }
}

/// What became known while the connection ran, for messages.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Why the server's key was not accepted.
    refusal: Mutex<Option<ConnectError>>,
    end: Mutex<Option<String>>,
}

impl Seen {
    /// Why the connection ended.
    pub(super) fn reason(&self) -> Option<String> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_reason(&self, reason: String) {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
    }
}

async fn shake_hands(route: &Route, stream: impl Stream, hop: Option<Arc<Link>>) -> Result<Arc<Link>, ConnectError> {
    let known = KnownHosts::read(&route.known_hosts, route.is_hashing);
    let seen = Arc::new(Seen::default());
    let config = Arc::new(client_config(route, &known));
    let client = Client { route: Arc::new(route.clone()), known, seen: seen.clone(), accepted: None };
    let late = |stage| ConnectError::Timeout { host: route.title.clone(), address: route.address(), after: route.timeout, stage };
    let session = tokio::time::timeout(route.timeout, russh::client::connect_stream(config, stream, client));
    let mut session = match session.await {
        Ok(Ok(session)) => session,
        Ok(Err(error)) => return Err(handshake_failure(route, &seen, &error)),
        Err(_) => return Err(late(Stage::Ssh)),
    };
    // An agent may ask its user, so logging in may take longer than the network does.
    let login = tokio::time::timeout(route.timeout.max(Duration::from_secs(60)), login::login(&mut session, route));
    login.await.map_err(|_| late(Stage::Login))??;
    Ok(Arc::new(Link { session, seen, title: route.title.clone(), _hop: hop }))
}

/// What processors have instructions for comes first: big files go several times as fast.
const CIPHERS: &[russh::cipher::Name] = &[
    russh::cipher::AES_256_GCM,
    russh::cipher::CHACHA20_POLY1305,
    russh::cipher::AES_256_CTR,
    russh::cipher::AES_192_CTR,
    russh::cipher::AES_128_CTR,
];

fn client_config(route: &Route, known: &KnownHosts) -> russh::client::Config {
    let name = name_of(route);
    let mut preferred =
        russh::Preferred { key: Cow::Owned(known.preferred(&name)), cipher: Cow::Borrowed(CIPHERS), ..russh::Preferred::DEFAULT };
    if known.has_authority(&name) {
        preferred.host_key_certificates = preferred.key.clone();
    }
    russh::client::Config {
        preferred,
        nodelay: true,
        keepalive_interval: route.alive,
        keepalive_max: route.alive_max,
        ..russh::client::Config::default()
    }
}

fn name_of(route: &Route) -> Name<'_> {
    match &route.alias {
        Some(alias) => Name { name: alias, port: 22 },
        None => Name { name: &route.host, port: route.port },
    }
}

fn handshake_failure(route: &Route, seen: &Seen, error: &russh::Error) -> ConnectError {
    if let Some(refusal) = seen.refusal.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return refusal;
    }
    let reason = seen.reason().unwrap_or_else(|| describe(error));
    ConnectError::Handshake { host: route.title.clone(), address: route.address(), reason }
}

/// Only failures of the stream are the proxy's: a refused key came from the host.
fn blame_proxy(failure: ConnectError, route: &Route, command: &str, words: &LastWords) -> ConnectError {
    let said = words.lock().unwrap_or_else(PoisonError::into_inner).trim().to_owned();
    match failure {
        ConnectError::Handshake { reason, .. } => ConnectError::Proxy {
            host: route.title.clone(),
            command: command.to_owned(),
            reason: if said.is_empty() { reason } else { said },
        },
        other => other,
    }
}

/// The library's error as people say it.
fn describe(error: &russh::Error) -> String {
    match error {
        russh::Error::Disconnect | russh::Error::HUP => "the server closed the connection".to_owned(),
        russh::Error::IO(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => "the server closed the connection".to_owned(),
        russh::Error::SendError | russh::Error::RecvError => "the connection is closed".to_owned(),
        russh::Error::Version => "what answers there is no SSH server".to_owned(),
        russh::Error::KeepaliveTimeout => "the host stopped answering".to_owned(),
        russh::Error::NoCommonAlgo { kind, theirs, .. } => {
            format!("no common {} algorithm; the server has {}", format!("{kind:?}").to_lowercase(), theirs.join(", "))
        }
        other => other.to_string(),
    }
}

/// Answers the server during the connection: is its key the right one?
pub(super) struct Client {
    route: Arc<Route>,
    known: KnownHosts,
    seen: Arc<Seen>,
    /// The key that was let in, shown again when keys are renewed.
    accepted: Option<PublicKey>,
}

impl Client {
    fn judge(&self, shown: &PublicKeyOrCertificate) -> Result<(), ConnectError> {
        let (route, key) = (&self.route, shown.public_key());
        let host = route.title.clone();
        match (self.known.check(&name_of(route), shown), route.host_keys) {
            (Verdict::Revoked { file, line, fingerprint }, _) => Err(ConnectError::RevokedKey { host, file, line, fingerprint }),
            (Verdict::Known, _) | (_, HostKeys::Off) => Ok(()),
            (Verdict::Changed { file, line, expected, got }, _) => {
                Err(ConnectError::ChangedKey { host, file, line, expected, got })
            }
            (Verdict::Unknown { .. }, HostKeys::AcceptNew) => self.known.add(&name_of(route), &key).map_err(|error| {
                let file = self.known.files().first().map(|file| file.display().to_string()).unwrap_or_default();
                ConnectError::Setting { host, origin: file, setting: "new host key".to_owned(), reason: error.to_string() }
            }),
            (Verdict::Unknown { fingerprint }, HostKeys::Check) => Err(ConnectError::UnknownKey {
                host,
                name: route.address(),
                kind: key.algorithm().to_string(),
                fingerprint,
                files: self.known.files().to_vec(),
            }),
        }
    }
}

impl russh::client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let key = shown.public_key();
        if self.accepted.as_ref().is_some_and(|accepted| accepted.key_data() == key.key_data()) {
            return Ok(true);
        }
        match self.judge(shown) {
            Ok(()) => {
                self.accepted = Some(key);
                Ok(true)
            }
            Err(refusal) => {
                *self.seen.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
                Ok(false)
            }
        }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<russh::Error>) -> Result<(), russh::Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                self.seen.set_reason(format!("the server hung up: {}", info.message.trim()));
                Ok(())
            }
            DisconnectReason::Error(error) => {
                self.seen.set_reason(describe(&error));
                Err(error)
            }
        }
    }
}
