//! The `url` lookup: what a web server answers, with a limit on size and time. It runs only when a template asks for it.

use super::{Asked, Lookup, row};
use crate::template::calls::whole;
use crate::template::failure::Res;
use crate::template::runtime::Val;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

pub(super) const LOOKUPS: &[Lookup] = &[row("url", "what a web server answers", url)];

/// An answer may have so many bytes.
const BYTES_MAX: usize = 64 * 1024 * 1024;
const SECONDS: u64 = 10;
const SECONDS_MAX: u64 = 600;

/// What is asked for, and how.
struct Request {
    url: String,
    headers: HeaderMap,
    login: Option<(String, String)>,
    timeout: Duration,
    checks_certificate: bool,
    follows: bool,
    uses_proxy: bool,
    agent: String,
    /// Certificates beside those that this machine trusts.
    trusted: Vec<reqwest::Certificate>,
    /// Asked over this socket, whatever the address says.
    socket: Option<String>,
}

fn url(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let splits_lines = asked.flag("split_lines", true);
    let mut answers = Vec::new();
    for url in asked.texts()? {
        let request = Request::new(asked, url)?;
        let text = request.send_aside()?;
        if splits_lines {
            answers.extend(text.lines().map(Val::from));
        } else {
            answers.push(Val::from(text));
        }
    }
    Ok(answers)
}

impl Request {
    fn new(asked: &mut Asked<'_, '_>, url: String) -> Res<Request> {
        let seconds = match asked.option("timeout") {
            Some(timeout) => u64::try_from(whole(timeout)?).unwrap_or(SECONDS).clamp(1, SECONDS_MAX),
            None => SECONDS,
        };
        let user = asked.option("username").map(|user| user.to_text().as_str().to_owned());
        let login = user.map(|user| (user, asked.text_option("password", "")));
        Ok(Request {
            url,
            headers: headers(asked)?,
            login,
            timeout: Duration::from_secs(seconds),
            checks_certificate: asked.flag("validate_certs", true),
            follows: !matches!(asked.text_option("follow_redirects", "urllib2").as_str(), "no" | "none" | "False"),
            uses_proxy: asked.flag("use_proxy", true),
            agent: asked.text_option("http_agent", "ansible-httpget"),
            trusted: trusted(asked)?,
            socket: asked.option("unix_socket").map(|path| path.to_text().as_str().to_owned()),
        })
    }

    /// On a thread of its own, as templates are rendered where nothing may wait.
    fn send_aside(self) -> Result<String, String> {
        let url = self.url.clone();
        let failed = |why: String| format!("Failed lookup url for {url} : {why}");
        let worker = std::thread::Builder::new().name("url".to_owned()).spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
            runtime.block_on(self.send())
        });
        let ended = worker.map_err(|error| failed(error.to_string()))?.join();
        let bytes = ended.map_err(|_| failed("the request broke off".to_owned()))??;
        String::from_utf8(bytes).map_err(|_| failed("the answer is no UTF-8 text".to_owned()))
    }

    async fn send(self) -> Result<Vec<u8>, String> {
        let url = self.url.clone();
        let redirect = if self.follows { reqwest::redirect::Policy::limited(10) } else { reqwest::redirect::Policy::none() };
        let mut client = crate::https::client()
            .timeout(self.timeout)
            .redirect(redirect)
            .tls_danger_accept_invalid_certs(!self.checks_certificate)
            .user_agent(self.agent)
            .default_headers(self.headers);
        if !self.uses_proxy {
            client = client.no_proxy();
        }
        if let Some(socket) = self.socket {
            client = client.unix_socket(socket);
        }
        client = client.tls_certs_merge(self.trusted);
        let client = client.build().map_err(|error| format!("Failed lookup url for {url} : {}", reasons(&error)))?;
        let request = client.get(&url);
        let request = match self.login {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        };
        let mut response = request.send().await.map_err(|error| format!("Failed lookup url for {url} : {}", reasons(&error)))?;
        let status = response.status();
        if !status.is_success() {
            let words = status.canonical_reason().unwrap_or_default();
            return Err(format!("Received HTTP error for {url} : HTTP Error {}: {words}", status.as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| format!("Error connecting to {url}: {}", reasons(&error)))?
        {
            if bytes.len() + chunk.len() > BYTES_MAX {
                return Err(format!("the answer of {url} has more than {} MiB", BYTES_MAX >> 20));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// The certificates of `ca_path`.
fn trusted(asked: &Asked<'_, '_>) -> Res<Vec<reqwest::Certificate>> {
    let path = asked.text_option("ca_path", "");
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let wrong = |why: String| format!("cannot read the certificates of {path}: {why}");
    let bytes = std::fs::read(asked.eval.expand_home(&path)).map_err(|error| wrong(error.to_string()))?;
    Ok(reqwest::Certificate::from_pem_bundle(&bytes).map_err(|error| wrong(reasons(&error)))?)
}

fn headers(asked: &mut Asked<'_, '_>) -> Res<HeaderMap> {
    let mut headers = HeaderMap::new();
    if asked.flag("force", false) {
        headers.insert(reqwest::header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    let Some(Val::Dict(dict)) = asked.option("headers").cloned() else { return Ok(headers) };
    for (name, value) in dict.entries() {
        let value = asked.eval.resolve(value)?.to_text();
        let name = HeaderName::from_bytes(name.to_string().as_bytes()).map_err(|_| format!("`{name}` is no name of a header"))?;
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| format!("the value of header `{name}` has characters that none may have"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// An error with what it came from, without the address, which may hold a password.
fn reasons(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut next: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(source) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&source.to_string());
        next = source.source();
    }
    if text.is_empty() { "the request failed".to_owned() } else { text }
}
