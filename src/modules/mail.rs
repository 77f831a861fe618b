//! `mail`: sends a mail through an SMTP server.
//!
//! The host's `curl` speaks SMTP and TLS. Its options and the mail come over its standard input: no password is in an argument or in a
//! file. As with Ansible, a certificate is not checked, and a mail that was sent is no change.

mod message;

use super::clock::Clock;
use super::{Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Plan, Rule, expand};
use crate::value::{Map, Value};
use message::{Address, Attachment, Charset, Dialogue};
use sha2::{Digest, Sha256};
use std::time::Duration;

pub(super) static MODULE: Module = Module {
    name: "mail",
    collection: "community.general",
    summary: "send a mail",
    args: &[&[
        Arg::new("subject", Kind::Str, "what it is about").aliases(&["msg"]).required(),
        Arg::new("body", Kind::Str, "the text; the subject where there is none"),
        Arg::new("sender", Kind::Str, "who it is from, as `Name <name@example.com>`").aliases(&["from"]).default("root"),
        Arg::new("to", Kind::List, "who gets it").aliases(&["recipients"]).default("root"),
        Arg::new("cc", Kind::List, "who gets a copy").default(""),
        Arg::new("bcc", Kind::List, "who gets a copy unseen").default(""),
        Arg::new("attach", Kind::List, "files of the host that go with it").default(""),
        Arg::new("headers", Kind::List, "more headers, each as `Name=value`").default(""),
        Arg::new("charset", Kind::Str, "utf-8, us-ascii or iso-8859-1").default("utf-8"),
        Arg::new("subtype", Kind::Str, "what kind of text the body is").choices(&["html", "plain"]).default("plain"),
        Arg::new("host", Kind::Str, "the mail server").default("localhost"),
        Arg::new("port", Kind::Int, "its port").default("25"),
        Arg::new("username", Kind::Str, "who logs in"),
        Arg::new("password", Kind::Str, "for the username").secret(),
        Arg::new(
            "secure",
            Kind::Str,
            "TLS from the start, by STARTTLS, if the server offers it (from the start on port 465), or never",
        )
        .choices(&["always", "never", "starttls", "try"])
        .default("try"),
        Arg::new("timeout", Kind::Int, "seconds to wait for the server").default("20"),
        Arg::new("ehlohost", Kind::Str, "the name to greet the server with"),
        Arg::new("message_id_domain", Kind::Str, "behind the @ of the Message-ID").default("ansible"),
    ]],
    rules: &[Rule::Together(&["password", "username"])],
    free_form: None,
    plan,
    finish,
};

/// The first bytes of the input are curl's options, the others are the mail.
const SCRIPT: &str = "exec 3<&0; dd bs=1 count=\"$1\" 2>/dev/null | \"$2\" --disable --config - --upload-file /dev/fd/3";
/// The port for TLS from the start.
const SMTPS: i64 = 465;
/// Headers that the module makes from other arguments.
const OWN_HEADERS: &[&str] = &["content-type", "content-transfer-encoding", "mime-version", "bcc"];
/// The first curl that goes on after a recipient that was refused.
const ALLOWS_REFUSALS: (u32, u32) = (7, 69);

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    if look.is_check() {
        return Ok(Plan { skipped: Some("remote module (mail) does not support check mode".to_owned()), ..Plan::default() });
    }
    let mail = Mail::of(args)?;
    let text = mail.text(args, look)?;
    let curl = look.which("curl").ok_or_else(|| {
        Failure::new(
            "there is no `curl` on this host, and mail is sent through it: install the package `curl`, or delegate the task",
        )
    })?;
    let config = mail.config(args, look, allows_refusals(look, &curl)?)?;
    let size = config.len().to_string();
    let timeout = Duration::from_secs(seconds(args).saturating_mul(60).max(600));
    let words: [&str; 6] = ["/bin/sh", "-c", SCRIPT, "mail", &size, &curl];
    let cmd = Cmd { any_status: true, ..Cmd::new(words).env("LC_ALL", "C").stdin(config + &text).timeout(timeout) };
    let mut plan = Plan { changed: Some(false), ..Plan::default() };
    plan.push(Change::run("mail", cmd));
    Ok(plan)
}

fn finish(args: &Args, mut values: Map, done: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    let Some(done) = done.first() else { return Ok(values) };
    let words = done.values.get("stderr").map(Value::to_text).unwrap_or_default();
    let dialogue = Dialogue::of(&words);
    let code = done.values.get("rc").and_then(Value::as_int).unwrap_or(-1);
    if code != 0 {
        return Err(failed(args, code, &words, &dialogue));
    }
    let refused = dialogue.refused();
    let msg = if refused.is_empty() { "Mail sent successfully" } else { "Failed to send mail to at least one recipient" };
    values.insert("msg".into(), msg.into());
    values.insert("result".into(), refused.into());
    Ok(values)
}

/// Why curl gave up, in the server's words where it said any. What was sent may hold the password and is not told.
fn failed(args: &Args, code: i64, words: &str, dialogue: &Dialogue) -> Failure {
    let server = format!("{}:{}", args.str("host").unwrap_or_default(), args.int("port").unwrap_or_default());
    let curl = words.lines().rev().find_map(|line| line.strip_prefix("curl: ")).unwrap_or("curl ended without a word");
    let (command, answer) = dialogue.refusal().unwrap_or_default();
    let msg = match code {
        6 | 7 => format!("Unable to connect to {server}: {curl}; `host` and `port` say where the mail server is"),
        28 => format!(
            "Unable to connect to {server}: {curl}; a server that wants TLS from the start needs `secure: always`, a slow one a longer `timeout`"
        ),
        35 => format!(
            "Unable to start an encrypted session to {server}: {curl}; a server that begins in plain text needs `secure: starttls`"
        ),
        64 => format!("StartTLS is not offered on server {server}; `secure: try` sends without it"),
        67 => format!("Authentication to {server} failed, please check your username and/or password: {answer}"),
        _ if command.starts_with("RCPT") => {
            let refused = dialogue.refused();
            let names: Vec<String> = refused.keys().map(ToString::to_string).collect();
            return Failure::new(format!("Failed to send mail to '{}': {answer}", names.join(", ")))
                .with("result", refused)
                .with("rc", 1);
        }
        _ if !answer.is_empty() => format!("Failed to send mail: {server} says to {}: {answer}", verb(command)),
        _ => format!("Failed to send mail through {server}: {curl}"),
    };
    Failure::new(msg).with("rc", 1)
}

/// Of a line that may be a secret only what is one of SMTP's words.
fn verb(command: &str) -> &str {
    let verb = command.split([' ', ':']).next().unwrap_or_default();
    if ["MAIL", "DATA", "EHLO", "HELO", "STARTTLS", "AUTH"].contains(&verb) { verb } else { "the mail" }
}

/// Whether this curl can go on after a refusal; one without SMTP is of no use.
fn allows_refusals(look: &dyn Look, curl: &str) -> Result<bool, Failure> {
    let output = look.run(&Cmd::new([curl, "--version"]).timeout(Duration::from_secs(60)))?;
    let text = output.stdout_text();
    if !text.lines().any(|line| line.starts_with("Protocols:") && line.split(' ').any(|word| word == "smtps")) {
        return Err(Failure::new(
            "this host's `curl` does not speak SMTP: install the package `curl` in place of `curl-minimal`, or delegate the task",
        ));
    }
    let mut numbers = text.split(' ').nth(1).unwrap_or_default().split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    Ok((numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()) >= ALLOWS_REFUSALS)
}

fn seconds(args: &Args) -> u64 {
    args.int("timeout").and_then(|time| u64::try_from(time).ok()).unwrap_or_default().max(1)
}

/// Who gets a mail, and from whom.
struct Mail {
    charset: Charset,
    sender: Address,
    to: Vec<Address>,
    cc: Vec<Address>,
    bcc: Vec<Address>,
}

impl Mail {
    fn of(args: &Args) -> Result<Mail, Failure> {
        let all = |name: &str| -> Result<Vec<Address>, Failure> {
            let items = args.list(name);
            items.iter().filter(|item| !item.trim().is_empty()).map(|item| Address::parse(item, name)).collect()
        };
        let mail = Mail {
            charset: Charset::of(args.required("charset")?)?,
            sender: Address::parse(args.required("sender")?, "sender")?,
            to: all("to")?,
            cc: all("cc")?,
            bcc: all("bcc")?,
        };
        if mail.recipients().is_empty() {
            return Err(Failure::new("nobody is to get the mail: `to`, `cc` and `bcc` are empty"));
        }
        Ok(mail)
    }

    fn recipients(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for address in self.to.iter().chain(&self.cc).chain(&self.bcc) {
            if !all.contains(&address.address.as_str()) {
                all.push(&address.address);
            }
        }
        all
    }

    /// The whole mail.
    fn text(&self, args: &Args, look: &dyn Look) -> Result<String, Failure> {
        let subject = args.required("subject")?;
        let mut headers = self.headers(args, look, subject)?;
        for (name, value) in asked_headers(args)? {
            headers.retain(|(own, _)| !own.eq_ignore_ascii_case(&name));
            headers.push((name, message::unstructured(&value, self.charset)));
        }
        let mut attached = Vec::new();
        for path in args.list("attach").iter().filter(|path| !path.is_empty()) {
            let path = expand::path(look, path);
            let bytes = look.read(&path).map_err(|error| {
                Failure::io(format_args!("Failed to send mail: can't attach file {path} of the host"), &error).with("rc", 1)
            })?;
            attached.push(Attachment { path, bytes });
        }
        let body = args.str("body").filter(|body| !body.is_empty()).unwrap_or(subject);
        let content = message::content(body, args.required("subtype")?, self.charset, &attached)?;
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        Ok(format!("{headers}MIME-Version: 1.0\r\n{content}"))
    }

    fn headers(&self, args: &Args, look: &dyn Look, subject: &str) -> Result<Vec<(String, String)>, Failure> {
        let domain = args.required("message_id_domain")?;
        if !domain.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '@')) {
            return Err(Failure::new(format!("message_id_domain `{domain}` is no name of a domain")));
        }
        let now = look.now();
        let mut hash = Sha256::new();
        hash.update(format!("{now:.9} {} {subject} {}", own_name(look), self.recipients().join(" ")));
        let mut headers = vec![
            ("From", message::list(std::slice::from_ref(&self.sender), self.charset)),
            ("Date", date(now)),
            ("Subject", message::unstructured(subject, self.charset)),
            ("Message-ID", format!("<{}@{domain}>", message::short(&hash.finalize()))),
            ("X-Mailer", "roll".to_owned()),
        ];
        for (name, addresses) in [("To", &self.to), ("Cc", &self.cc)] {
            if !addresses.is_empty() {
                headers.push((name, message::list(addresses, self.charset)));
            }
        }
        Ok(headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// What curl is told.
    fn config(&self, args: &Args, look: &dyn Look, allows_refusals: bool) -> Result<String, Failure> {
        let mut config = String::new();
        let mut set = |option: &str, value: &str| config.push_str(&format!("{option} = {}\n", quoted(value)));
        set("url", &url(args, look)?);
        set("mail-from", &format!("<{}>", self.sender.address));
        let recipients = self.recipients();
        recipients.iter().for_each(|address| set("mail-rcpt", &format!("<{address}>")));
        if let (Some(name), Some(password)) = (args.str("username"), args.str("password")) {
            if name.contains(':') {
                return Err(Failure::new("a username with `:` in it cannot be given to `curl`"));
            }
            set("user", &format!("{name}:{password}"));
        }
        let timeout = seconds(args).to_string();
        set("connect-timeout", &timeout);
        set("speed-time", &timeout);
        set("speed-limit", "1");
        set("noproxy", "*");
        config.push_str("insecure\ngloboff\nsilent\nshow-error\nverbose\n");
        config.push_str(match args.str("secure") {
            Some("starttls") => "ssl-reqd\n",
            Some("try") => "ssl\n",
            _ => "",
        });
        if allows_refusals && recipients.len() > 1 {
            config.push_str("mail-rcpt-allowfails\n");
        }
        Ok(config)
    }
}

/// As curl's files write a text.
fn quoted(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", value.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t"))
}

fn url(args: &Args, look: &dyn Look) -> Result<String, Failure> {
    let (host, port) = (args.required("host")?, args.int("port").unwrap_or_default());
    let name = args.str("ehlohost").map_or_else(|| own_name(look), str::to_owned);
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || ".-_:[]".contains(c));
    if let Some((option, wrong)) = [("host", host), ("ehlohost", &name)].into_iter().find(|(_, name)| !is_name(name)) {
        return Err(Failure::new(format!("{option} `{wrong}` is no name of a host")));
    }
    if !(1..=65534).contains(&port) {
        return Err(Failure::new(format!("port is a number from 1 to 65534, and not {port}")));
    }
    let secure = args.str("secure");
    let is_tls = secure == Some("always") || secure == Some("try") && port == SMTPS;
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    Ok(format!("{}://{host}:{port}/{name}", if is_tls { "smtps" } else { "smtp" }))
}

/// What this host calls itself.
fn own_name(look: &dyn Look) -> String {
    let name = look.text("/proc/sys/kernel/hostname").ok().flatten().unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

fn asked_headers(args: &Args) -> Result<Vec<(String, String)>, Failure> {
    let one = |header: &String| {
        let (name, value) = header.split_once('=').unwrap_or((header, ""));
        let name = name.trim();
        if !header.contains('=') || name.is_empty() || !name.chars().all(|c| c.is_ascii_graphic() && c != ':') {
            return Err(Failure::new(format!("`{header}` in `headers` is not like `Reply-To=name@example.com`")));
        }
        if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(Failure::new(format!(
                "the header {name} is made from `charset`, `subtype`, `attach` and `bcc`: set these"
            )));
        }
        Ok((name.to_owned(), value.to_owned()))
    };
    args.list("headers").iter().filter(|header| !header.trim().is_empty()).map(one).collect()
}

/// As mails write a time.
fn date(time: f64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let moment = Clock::utc(time);
    let month = usize::try_from(moment.month - 1).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"Jan");
    let weekday: String = moment.format("%A").chars().take(3).collect();
    format!("{weekday}, {} {month} {}", moment.format("%d"), moment.format("%Y %H:%M:%S +0000"))
}
