//! Proving who we are: keys from files and from the agent, certificates, password, keyboard-interactive.
//!
//! Servers count every try (six by default), so keys that somebody named come first, and a key that the agent also holds is
//! offered once.

use super::known_hosts::fingerprint;
use super::route::Route;
use super::{Client, describe};
use crate::connection::{Attempt, ConnectError};
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, MethodSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

type Agent = AgentClient<tokio::net::UnixStream>;

const AGENT_WAIT: Duration = Duration::from_secs(5);
/// A keyboard-interactive dialogue that asks more often than this is not about one password.
const QUESTIONS_MAX: usize = 10;

/// Logs in, or says everything that was tried.
pub(super) async fn login(session: &mut Handle<Client>, route: &Route) -> Result<(), ConnectError> {
    let mut login = Login { session, route, tried: Vec::new(), offered: None, hash: None, is_hung_up: false };
    if login.run().await {
        return Ok(());
    }
    Err(ConnectError::NoAccess {
        host: route.title.clone(),
        user: route.user.clone(),
        tried: login.tried,
        offered: login.offered.iter().flat_map(|offered| offered.iter()).map(|kind| <&str>::from(kind).to_owned()).collect(),
        hung_up: login.is_hung_up,
    })
}

struct Login<'a> {
    session: &'a mut Handle<Client>,
    route: &'a Route,
    tried: Vec<Attempt>,
    /// What the server takes, as far as it said.
    offered: Option<MethodSet>,
    /// Which hash an RSA key signs with; asked for once, when there is one.
    hash: Option<Option<HashAlg>>,
    is_hung_up: bool,
}

/// One key to offer.
enum Offer {
    File { path: PathBuf, key: Arc<PrivateKey>, certificates: Vec<Certificate> },
    Agent { identity: Box<AgentIdentity>, certificates: Vec<Certificate> },
}

impl Login<'_> {
    async fn run(&mut self) -> bool {
        if self.route.may.key && self.try_keys().await {
            return true;
        }
        if self.offered.is_none() && !self.is_hung_up {
            // No key was there to offer: ask what the server takes.
            let answer = self.session.authenticate_none(&self.route.user).await;
            if self.note(None, answer.map_err(|error| describe(&error))) {
                return true;
            }
        }
        self.try_password().await
    }

    async fn try_keys(&mut self) -> bool {
        let mut agent = self.agent().await;
        let held = self.held(agent.as_mut()).await;
        for offer in self.offers(held) {
            if self.is_hung_up || !self.takes(MethodKind::PublicKey) {
                return false;
            }
            let is_in = match offer {
                Offer::File { path, key, certificates } => self.try_file(&path, &key, certificates).await,
                Offer::Agent { identity, certificates } => match agent.as_mut() {
                    Some(agent) => self.try_agent(agent, &identity, certificates).await,
                    None => false,
                },
            };
            if is_in {
                return true;
            }
        }
        false
    }

    async fn agent(&mut self) -> Option<Agent> {
        let socket = self.route.agent.as_ref()?;
        let connected = tokio::time::timeout(AGENT_WAIT, Agent::connect_uds(socket)).await;
        let mut agent = match connected {
            Ok(Ok(agent)) => agent,
            Ok(Err(error)) => {
                self.skip(format!("agent {}", socket.display()), error.to_string());
                return None;
            }
            Err(_) => {
                self.skip(format!("agent {}", socket.display()), "does not answer");
                return None;
            }
        };
        if let Some(binding) = self.session.agent_session_binding() {
            // Old agents do not know it; those that need it will show no keys.
            _ = tokio::time::timeout(AGENT_WAIT, agent.bind_session(binding, false)).await;
        }
        Some(agent)
    }

    async fn held(&mut self, agent: Option<&mut Agent>) -> Vec<AgentIdentity> {
        let Some(agent) = agent else { return Vec::new() };
        match tokio::time::timeout(AGENT_WAIT, agent.request_identities()).await {
            Ok(Ok(held)) => {
                if held.is_empty() {
                    self.skip("agent", "holds no keys");
                }
                held
            }
            Ok(Err(error)) => {
                self.skip("agent", error.to_string());
                Vec::new()
            }
            Err(_) => {
                self.skip("agent", "does not answer");
                Vec::new()
            }
        }
    }

    /// Every key in the order in which it is offered: named files (by the agent where it holds them), then what else the agent
    /// has, then the standard files.
    fn offers(&mut self, mut held: Vec<AgentIdentity>) -> Vec<Offer> {
        let mut offers = Vec::new();
        let extra: Vec<Certificate> = self.route.certificates.iter().filter_map(|path| certificate(path)).collect();
        let (named, standard): (Vec<_>, Vec<_>) = self.route.keys.iter().cloned().partition(|key| key.is_wanted);
        for key in named {
            offers.extend(self.offer(&key.path, true, &mut held, &extra));
        }
        let standard: Vec<Offer> =
            standard.into_iter().filter_map(|key| self.offer(&key.path, false, &mut held, &extra)).collect();
        if !self.route.is_identities_only {
            offers
                .extend(held.into_iter().map(|identity| Offer::Agent { identity: Box::new(identity), certificates: Vec::new() }));
        }
        offers.extend(standard);
        offers
    }

    fn offer(&mut self, path: &Path, is_wanted: bool, held: &mut Vec<AgentIdentity>, extra: &[Certificate]) -> Option<Offer> {
        let what = || format!("key {}", path.display());
        let public = public_half(path);
        if let Some(at) = public.as_ref().and_then(|public| position(held, public)) {
            let identity = held.remove(at);
            let certificates = certificates_for(path, &identity.public_key(), extra);
            return Some(Offer::Agent { identity: Box::new(identity), certificates });
        }
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) => {
                if is_wanted {
                    self.skip(what(), format!("cannot be read: {error}"));
                }
                return None;
            }
        };
        if let Some(mode) = loose_mode(path) {
            self.skip(what(), format!("not used: others can read it (mode {mode:04o}); `chmod 600` it"));
            return None;
        }
        match russh::keys::decode_secret_key(&String::from_utf8_lossy(&text), None) {
            Ok(key) => {
                if let Some(at) = position(held, key.public_key()) {
                    held.remove(at);
                }
                let certificates = certificates_for(path, key.public_key(), extra);
                Some(Offer::File { path: path.to_owned(), key: Arc::new(key), certificates })
            }
            Err(russh::keys::Error::KeyIsEncrypted) => {
                self.skip(what(), "needs its passphrase; `ssh-add` it to an agent");
                None
            }
            Err(error) => {
                self.skip(what(), format!("is no private key that can be used: {error}"));
                None
            }
        }
    }

    async fn try_file(&mut self, path: &Path, key: &Arc<PrivateKey>, certificates: Vec<Certificate>) -> bool {
        let user = self.route.user.clone();
        for certificate in certificates {
            let what = format!("certificate for {} ({})", path.display(), certificate.key_id());
            let answer = if key.algorithm().is_rsa() {
                let hash = self.hash().await;
                let mut signer = RsaSigner { key: key.clone() };
                let answer = self.session.authenticate_certificate_with(&user, certificate, hash, &mut signer).await;
                answer.map_err(|error| error.to_string())
            } else {
                let answer = self.session.authenticate_openssh_cert(&user, key.clone(), certificate).await;
                answer.map_err(|error| describe(&error))
            };
            if self.note(Some(what), answer) {
                return true;
            }
        }
        if self.is_hung_up {
            return false;
        }
        let hash = if key.algorithm().is_rsa() { self.hash().await } else { None };
        let what = format!("key {} ({})", path.display(), fingerprint(key.public_key()));
        let answer = self.session.authenticate_publickey(&user, PrivateKeyWithHashAlg::new(key.clone(), hash)).await;
        self.note(Some(what), answer.map_err(|error| describe(&error)))
    }

    async fn try_agent(&mut self, agent: &mut Agent, identity: &AgentIdentity, certificates: Vec<Certificate>) -> bool {
        let user = self.route.user.clone();
        let key = identity.public_key().into_owned();
        let hash = if key.algorithm().is_rsa() { self.hash().await } else { None };
        let held = match identity {
            AgentIdentity::Certificate { certificate, .. } => Some(certificate.clone()),
            AgentIdentity::PublicKey { .. } => None,
        };
        for certificate in held.iter().cloned().chain(certificates) {
            let what = format!("agent's certificate {} ({})", certificate.key_id(), fingerprint(&key));
            let answer = self.session.authenticate_certificate_with(&user, certificate, hash, agent).await;
            if self.note(Some(what), answer.map_err(|error| error.to_string())) {
                return true;
            }
        }
        if held.is_some() || self.is_hung_up {
            return false;
        }
        let what = format!("agent's key {} ({})", identity.comment(), fingerprint(&key));
        let answer = self.session.authenticate_publickey_with(&user, key, hash, agent).await;
        self.note(Some(what), answer.map_err(|error| error.to_string()))
    }

    async fn try_password(&mut self) -> bool {
        let Some(password) = self.route.password.clone() else { return false };
        let user = self.route.user.clone();
        if !self.is_hung_up && self.route.may.password && self.takes(MethodKind::Password) {
            let answer = self.session.authenticate_password(&user, password.as_str()).await;
            if self.note(Some("password".to_owned()), answer.map_err(|error| describe(&error))) {
                return true;
            }
        }
        !self.is_hung_up
            && self.route.may.interactive
            && self.takes(MethodKind::KeyboardInteractive)
            && self.try_interactive(&user, password.as_str()).await
    }

    async fn try_interactive(&mut self, user: &str, password: &str) -> bool {
        let mut answer = self.session.authenticate_keyboard_interactive_start(user, None).await;
        for _ in 0..QUESTIONS_MAX {
            let result = match answer {
                Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => {
                    // What is asked without echo is the password; anything else cannot be answered by a program.
                    let words = prompts.iter().map(|prompt| if prompt.echo { String::new() } else { password.to_owned() });
                    answer = self.session.authenticate_keyboard_interactive_respond(words.collect()).await;
                    continue;
                }
                Ok(KeyboardInteractiveAuthResponse::Success) => Ok(AuthResult::Success),
                Ok(KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success }) => {
                    Ok(AuthResult::Failure { remaining_methods, partial_success })
                }
                Err(error) => Err(describe(&error)),
            };
            return self.note(Some("keyboard-interactive with the password".to_owned()), result);
        }
        false
    }

    async fn hash(&mut self) -> Option<HashAlg> {
        if self.hash.is_none() {
            let best = self.session.best_supported_rsa_hash().await;
            // Servers that do not say what they take are old, but newer than the hash of old.
            self.hash = Some(best.ok().flatten().unwrap_or(Some(HashAlg::Sha256)));
        }
        self.hash.flatten()
    }

    fn takes(&self, method: MethodKind) -> bool {
        self.offered.as_ref().is_none_or(|offered| offered.contains(&method))
    }

    fn skip(&mut self, what: impl Into<String>, outcome: impl Into<String>) {
        self.tried.push(Attempt { what: what.into(), outcome: outcome.into() });
    }

    /// Notes how one try ended; whether we are in.
    fn note(&mut self, what: Option<String>, answer: Result<AuthResult, String>) -> bool {
        let outcome = match answer {
            Ok(AuthResult::Success) => return true,
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                // The library reports a closed connection as a refusal that leaves nothing.
                self.is_hung_up = self.session.is_closed();
                if !self.is_hung_up {
                    self.offered = Some(remaining_methods);
                }
                match (self.is_hung_up, partial_success) {
                    (true, _) => "the server hung up".to_owned(),
                    (false, true) => "accepted, but the server wants more".to_owned(),
                    (false, false) => "refused".to_owned(),
                }
            }
            Err(reason) => {
                self.is_hung_up = self.session.is_closed();
                reason
            }
        };
        if let Some(what) = what {
            self.skip(what, outcome);
        }
        false
    }
}

/// Signs certificate logins with an RSA key from a file, with the hash that was agreed.
struct RsaSigner {
    key: Arc<PrivateKey>,
}

impl russh::Signer for RsaSigner {
    type Error = russh::AgentAuthError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        use russh::keys::signature::Signer as _;
        use russh::keys::ssh_encoding::Encode as _;
        let KeypairData::Rsa(pair) = self.key.key_data() else { return Err(russh::keys::Error::KeyIsCorrupt.into()) };
        let signature = (pair, hash).try_sign(&to_sign).map_err(|_| russh::keys::Error::KeyIsCorrupt)?;
        signature.encode_prefixed(&mut to_sign).map_err(russh::keys::Error::from)?;
        Ok(to_sign)
    }
}

fn position(held: &[AgentIdentity], public: &PublicKey) -> Option<usize> {
    held.iter().position(|identity| identity.public_key().key_data() == public.key_data())
}

/// The public key beside a private one (or the file itself, when only the public half lies here).
fn public_half(path: &Path) -> Option<PublicKey> {
    let beside = with_suffix(path, ".pub");
    [beside.as_path(), path].into_iter().find_map(|file| russh::keys::load_public_key(file).ok())
}

/// The certificates that go with a key: the one beside its file and those that settings name.
fn certificates_for(path: &Path, key: &PublicKey, extra: &[Certificate]) -> Vec<Certificate> {
    let beside = certificate(&with_suffix(path, "-cert.pub"));
    beside.into_iter().chain(extra.iter().cloned()).filter(|one| one.public_key() == key.key_data()).collect()
}

fn certificate(path: &Path) -> Option<Certificate> {
    Certificate::from_openssh(std::fs::read_to_string(path).ok()?.trim()).ok()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The mode of a key file that others can read.
fn loose_mode(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}
