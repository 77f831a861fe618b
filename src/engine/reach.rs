//! A target in the words of an `ssh` command line, for programs that bring their own connection (`synchronize`).

use crate::actions::{Problem, Reach};
use crate::connection::{Become, HostKeys, Kind, Method, Target};

/// None for the control side itself.
pub(crate) fn of(target: &Target, escalation: Option<&Become>) -> Result<Option<Reach>, Problem> {
    if target.kind == Kind::Local {
        return Ok(None);
    }
    if target.password.is_some() {
        return Err(Problem::new(
            "`synchronize` cannot log in with a password: rsync's ssh takes keys only (`ansible_ssh_private_key_file`)",
        ));
    }
    let reach = Reach {
        ssh: ssh(target),
        host: target.address.clone(),
        user: target.user.clone(),
        escalation: escalation.map(words).transpose()?.unwrap_or_default(),
    };
    Ok(Some(reach))
}

/// What comes first counts: the run's own settings before the user's words.
fn ssh(target: &Target) -> Vec<String> {
    let mut words = vec!["ssh".to_owned()];
    let mut add = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
    // Nobody could answer a question.
    add("-o", "BatchMode=yes".to_owned());
    if let Some(port) = target.port {
        add("-p", port.to_string());
    }
    for key in &target.key_files {
        add("-i", key.display().to_string());
    }
    match target.host_keys {
        HostKeys::Check => {}
        HostKeys::AcceptNew => add("-o", "StrictHostKeyChecking=accept-new".to_owned()),
        HostKeys::Off => {
            add("-o", "StrictHostKeyChecking=no".to_owned());
            add("-o", "UserKnownHostsFile=/dev/null".to_owned());
            add("-o", "LogLevel=ERROR".to_owned());
        }
    }
    if let Some(files) = &target.known_hosts {
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        add("-o", format!("UserKnownHostsFile={}", files.join(" ")));
    }
    if let Some(time) = target.timeout {
        add("-o", format!("ConnectTimeout={}", time.as_secs().max(1)));
    }
    words.extend(target.ssh_args.iter().cloned());
    words
}

fn words(escalation: &Become) -> Result<Vec<String>, Problem> {
    if escalation.method != Method::Sudo || escalation.password.is_some() {
        return Err(Problem::new("`synchronize` becomes another user on the host with `sudo` and without a password only"));
    }
    let mut words = vec![escalation.exe.clone().unwrap_or_else(|| "sudo".to_owned())];
    match &escalation.flags {
        Some(flags) => words.extend(flags.iter().cloned()),
        None => words.push("-n".to_owned()),
    }
    words.extend(["-u".to_owned(), escalation.user.clone()]);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_the_run_are_those_of_ssh() {
        let target = Target {
            port: Some(2222),
            user: Some("admin".to_owned()),
            key_files: vec!["/k".into()],
            host_keys: HostKeys::AcceptNew,
            known_hosts: Some(vec!["/h".into()]),
            ssh_args: vec!["-J".to_owned(), "bastion".to_owned()],
            ..Target::new("web1", "10.0.0.7")
        };
        let sudo = Become { user: "root".to_owned(), ..Become::default() };
        let reach = of(&target, Some(&sudo)).unwrap().unwrap();
        let line = "ssh -o BatchMode=yes -p 2222 -i /k -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=/h -J bastion";
        assert_eq!(reach.ssh.join(" "), line);
        assert_eq!((reach.host.as_str(), reach.user.as_deref()), ("10.0.0.7", Some("admin")));
        assert_eq!(reach.escalation.join(" "), "sudo -n -u root");
        assert!(of(&Target::local("here"), None).unwrap().is_none());
    }

    #[test]
    fn what_needs_a_dialogue_is_refused() {
        let target = Target { password: Some("secret".into()), ..Target::new("web1", "web1") };
        let msg = of(&target, None).unwrap_err().failure.msg;
        assert!(msg.contains("keys only") && !msg.contains("secret"), "{msg}");
        let su = Become { method: Method::Su, ..Become::default() };
        assert!(of(&Target::new("a", "a"), Some(&su)).is_err());
    }
}
