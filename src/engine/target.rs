//! From variables, keywords and options to how a host is reached.

use super::Run;
use super::frame::Frame;
use crate::actions::Problem;
use crate::connection::{self, Become, HostKeys, Kind, Method, Target};
use crate::playbook::Task;
use crate::value::{Text, Value};
use std::path::PathBuf;
use std::time::Duration;

/// Variables count more than keywords, keywords more than options.
pub(crate) fn target(run: &Run, frame: &Frame<'_>, host: &str, task: &Task) -> Result<Target, Problem> {
    let kind = kind(run, frame, host, task)?;
    if kind == Kind::Local {
        return Ok(Target::local(host));
    }
    let address = frame.text("ansible_host")?.or(frame.text("ansible_ssh_host")?);
    let mut target = Target::new(host, address.as_deref().unwrap_or(host));
    let keyword = |name: &str| -> Result<Option<String>, Problem> {
        Ok(frame.keyword(task, name)?.map(|value| value.to_text().to_string()))
    };
    let port = frame.text("ansible_port")?.or(frame.text("ansible_ssh_port")?).map(|port| port.to_string()).or(keyword("port")?);
    target.port = match port {
        None => None,
        Some(port) => Some(port.parse().map_err(|_| Problem::new(format!("`{port}` is not a port")))?),
    };
    let user = frame.text("ansible_user")?.or(frame.text("ansible_ssh_user")?).map(|user| user.to_string());
    target.user = user.or(keyword("remote_user")?).or_else(|| run.options.remote_user.clone());
    let key = frame.text("ansible_ssh_private_key_file")?.or(frame.text("ansible_private_key_file")?);
    target.key_files = key.map(|key| expanded(&key)).or_else(|| run.options.key_file.clone()).into_iter().collect();
    target.password =
        frame.text("ansible_password")?.or(frame.text("ansible_ssh_pass")?).or_else(|| run.options.password.clone());
    target.host_keys = run.options.host_keys;
    if frame.text("ansible_ssh_host_key_checking")?.is_some_and(|text| Value::String(text).to_bool() == Some(false)) {
        target.host_keys = HostKeys::Off;
    }
    target.known_hosts =
        frame.text("ansible_ssh_known_hosts_file")?.map(|file| vec![expanded(&file)]).or_else(|| run.options.known_hosts.clone());
    target.timeout =
        frame.text("ansible_timeout")?.and_then(|text| text.parse().ok()).map(Duration::from_secs).or(run.options.timeout);
    target.retries = run.options.retries;
    target.ssh_args = run.options.ssh_args.clone();
    for name in ["ansible_ssh_common_args", "ansible_ssh_extra_args"] {
        if let Some(text) = frame.text(name)? {
            let words =
                shell_words::split(&text).map_err(|_| Problem::new(format!("a quote is not closed in `{name}`: {text}")))?;
            target.ssh_args.extend(words);
        }
    }
    Ok(target)
}

fn kind(run: &Run, frame: &Frame<'_>, host: &str, task: &Task) -> Result<Kind, Problem> {
    let keyword = frame.keyword(task, "connection")?.map(|value| value.to_text());
    let name = frame.text("ansible_connection")?.or(keyword).or_else(|| run.options.connection.clone().map(Text::from));
    match name {
        Some(name) => connection::kind(&name).ok_or_else(|| {
            let known = connection::KINDS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            Problem::new(format!("there is no connection `{name}`; known are {known}"))
        }),
        // A host that nobody described is this machine, if it is called so.
        None if is_here(host) && frame.is_implicit(host) => Ok(Kind::Local),
        None => Ok(Kind::Ssh),
    }
}

pub(crate) fn is_here(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "::1")
}

/// Whom to become, if anybody.
pub(crate) fn escalation(run: &Run, frame: &Frame<'_>, task: &Task) -> Result<Option<Become>, Problem> {
    let keyword = |name: &str| frame.keyword(task, name);
    let text = |variable: &str, word: &str| -> Result<Option<Text>, Problem> {
        Ok(frame.text(variable)?.or(keyword(word)?.map(|value| value.to_text())))
    };
    let wanted = match frame.text("ansible_become")? {
        Some(text) => Value::String(text).to_bool().unwrap_or(false),
        None => match keyword("become")? {
            Some(value) => {
                value.to_bool().ok_or_else(|| Problem::new(format!("`become` takes a boolean, not `{}`", value.to_text())))?
            }
            None => run.options.become_it,
        },
    };
    if !wanted {
        return Ok(None);
    }
    let user = text("ansible_become_user", "become_user")?
        .map(|user| user.to_string())
        .or_else(|| run.options.become_user.clone())
        .unwrap_or_else(|| "root".into());
    let method = text("ansible_become_method", "become_method")?
        .map(|name| name.to_string())
        .or_else(|| run.options.become_method.clone());
    let method = method.as_deref().unwrap_or("sudo");
    let found = Method::find(method)
        .ok_or_else(|| Problem::new(format!("there is no become method `{method}`; known are sudo and su")))?;
    let password = frame
        .text("ansible_become_password")?
        .or(frame.text("ansible_become_pass")?)
        .or_else(|| run.options.become_password.clone());
    let flags = text("ansible_become_flags", "become_flags")?;
    let flags = flags
        .map(|flags| {
            shell_words::split(&flags).map_err(|_| Problem::new(format!("a quote is not closed in `become_flags`: {flags}")))
        })
        .transpose()?;
    let exe = text("ansible_become_exe", "become_exe")?.map(|exe| exe.to_string());
    Ok(Some(Become { method: found, user, password, exe, flags }))
}

pub(crate) fn expanded(path: &str) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(rest) => std::env::home_dir().unwrap_or_default().join(rest),
        None => PathBuf::from(path),
    }
}
