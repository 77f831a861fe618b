//! `synchronize`: rsync between the control side and the host, or on the host alone.
//!
//! rsync needs a program of its own to reach the other end, so it is given `ssh` with the settings that the run itself uses. It runs
//! where the task is delegated to, and here where it is not delegated.

use super::raw::quoted;
use super::{Answer, Hands, Problem, Shell, add_lines};
use crate::modules::{Args, Failure};
use crate::value::Map;

/// In front of what was changed, in rsync's output.
const MARK: &str = "<<CHANGED>>";

/// How a program other than this one reaches the task's own host.
#[derive(Debug, Default)]
pub struct Reach {
    /// The command that opens a shell there, without the host.
    pub ssh: Vec<String>,
    pub host: String,
    pub user: Option<String>,
    /// In front of a command that runs as the user to be there.
    pub escalation: Vec<String>,
}

/// Where rsync runs, seen from the two paths.
enum Place {
    /// On the control side; none where the host is the control side too.
    Here(Option<Reach>),
    /// On the host that has both paths.
    Host,
    /// On another host, which reaches the task's own by itself.
    Elsewhere(Reach),
}

pub(super) async fn synchronize(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let place = match (hands.delegate_of_task()?, hands.reach()?) {
        (Some(delegate), _) if delegate == hands.host() && !hands.is_local() => Place::Host,
        (Some(_), Some(reach)) if !hands.is_local() => Place::Elsewhere(elsewhere(reach)),
        (_, reach) => Place::Here(reach),
    };
    let line = line(args, hands, &place)?;
    let shell = match place {
        Place::Here(_) => hands.shell_here(&line).await?,
        Place::Host | Place::Elsewhere(_) => hands.shell(&line, None).await?,
    };
    answer(&line, &shell)
}

/// Files and settings of the control side are not there.
fn elsewhere(reach: Reach) -> Reach {
    Reach { ssh: ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"].map(str::to_owned).to_vec(), ..reach }
}

fn line(args: &Args, hands: &impl Hands, place: &Place) -> Result<String, Problem> {
    let mut words = vec!["rsync".to_owned()];
    words.extend(hands.is_check().then(|| "--dry-run".to_owned()));
    words.extend(switches(args));
    let is_pull = args.str("mode") == Some("pull");
    let mut src = args.required("src")?.to_owned();
    let mut dest = args.required("dest")?.to_owned();
    let is_here = matches!(place, Place::Here(_));
    let local = if is_pull { &mut dest } else { &mut src };
    if is_here && !is_pull && !local.contains("://") {
        *local = found(local, hands)?;
    }
    if let Place::Here(Some(reach)) | Place::Elsewhere(reach) = place {
        words.push(format!("--rsh={}", rsh(args, reach)));
        words.extend(rsync_path(args, reach).map(|path| format!("--rsync-path={path}")));
        let distant = if is_pull { &mut src } else { &mut dest };
        *distant = reach.path(args, distant);
    } else if let Some(path) = args.str("rsync_path") {
        words.push(format!("--rsync-path={path}"));
    }
    words.extend(args.list("rsync_opts"));
    words.push(format!("--out-format={MARK}%i %n%L"));
    words.extend([src, dest]);
    Ok(words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "))
}

/// Relative sources are looked for as those of `copy` are; the slash at the end matters to rsync.
fn found(src: &str, hands: &impl Hands) -> Result<String, Problem> {
    let path = hands.find("files", src)?.to_string_lossy().into_owned();
    Ok(if src.ends_with('/') && !path.ends_with('/') { path + "/" } else { path })
}

/// What the arguments say in rsync's words.
fn switches(args: &Args) -> Vec<String> {
    let mut words = vec!["-F".to_owned()];
    let mut add = |wanted: bool, word: &str| words.extend(wanted.then(|| word.to_owned()));
    add(args.bool("delay_updates"), "--delay-updates");
    add(args.bool("compress"), "--compress");
    add(args.bool("checksum"), "--checksum");
    add(args.bool("delete"), "--delete-after");
    add(args.bool("existing_only"), "--existing");
    add(args.bool("partial"), "--partial");
    add(args.bool("copy_links"), "--copy-links");
    add(args.bool("dirs"), "--dirs");
    let is_archive = args.bool("archive");
    add(is_archive, "--archive");
    // `archive` stands for all of these; each can be left out of it, or had without it.
    for name in ["recursive", "links", "perms", "times", "owner", "group"] {
        match args.has(name).then(|| args.bool(name)) {
            Some(true) if !is_archive => add(true, &format!("--{name}")),
            Some(false) if is_archive => add(true, &format!("--no-{name}")),
            _ => {}
        }
    }
    if let Some(seconds) = args.int("rsync_timeout").filter(|seconds| *seconds > 0) {
        add(true, &format!("--timeout={seconds}"));
    }
    for path in args.list("link_dest") {
        add(true, "-H");
        add(true, &format!("--link-dest={path}"));
    }
    words
}

/// rsync splits this at blanks and knows quotes, but no shell reads it.
fn rsh(args: &Args, reach: &Reach) -> String {
    let mut words = reach.ssh.clone();
    if let Some(port) = args.int("dest_port") {
        words.extend(["-p".to_owned(), port.to_string()]);
    }
    if let Some(key) = args.str("private_key") {
        words.extend(["-i".to_owned(), key.to_owned()]);
    }
    if !args.bool("verify_host") && args.has("verify_host") {
        words.extend(["-o".to_owned(), "StrictHostKeyChecking=no".to_owned()]);
    }
    words.iter().map(|word| quoted_for_rsync(word)).collect::<Vec<_>>().join(" ")
}

/// A quote inside quotes is written twice.
fn quoted_for_rsync(word: &str) -> String {
    let is_plain = !word.is_empty() && !word.contains([' ', '\'', '"']);
    if is_plain { word.to_owned() } else { format!("'{}'", word.replace('\'', "''")) }
}

fn rsync_path(args: &Args, reach: &Reach) -> Option<String> {
    match args.str("rsync_path") {
        Some(path) => Some(path.to_owned()),
        None if reach.escalation.is_empty() => None,
        None => Some(format!("{} rsync", reach.escalation.join(" "))),
    }
}

impl Reach {
    /// A path of that host as rsync writes it.
    fn path(&self, args: &Args, path: &str) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match self.user.as_ref().filter(|_| args.bool("set_remote_user")) {
            Some(user) => format!("{user}@{host}:{path}"),
            None => format!("{host}:{path}"),
        }
    }
}

fn answer(line: &str, shell: &Shell) -> Result<Answer, Problem> {
    let mut values = Map::new();
    values.insert("cmd".into(), line.into());
    values.insert("rc".into(), shell.code.into());
    if shell.code != 0 {
        let msg = format!("{}{}", shell.stderr.trim(), hint(shell));
        return Err(Failure { msg, values }.into());
    }
    let is_changed = shell.stdout.contains(MARK);
    let stdout = shell.stdout.replace(MARK, "");
    values.insert("changed".into(), is_changed.into());
    values.insert("msg".into(), stdout.as_str().into());
    values.insert("stdout".into(), stdout.into());
    add_lines(&mut values);
    values.shift_remove("stdout");
    Ok(Answer::of(values))
}

fn hint(shell: &Shell) -> &'static str {
    let is_missing = shell.stderr.contains("rsync: command not found")
        || shell.stderr.contains("rsync: not found")
        || shell.stderr.contains("sudo: rsync:");
    match (shell.code, is_missing) {
        (127, _) => " (rsync is not installed where it is to run; `synchronize` needs it at both ends)",
        (_, true) => " (rsync is not installed on the host; `synchronize` needs it at both ends: `package: name=rsync`)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn args(json: &str) -> Args {
        let module = crate::modules::find("synchronize").unwrap();
        let map: Map = serde_json::from_str(json).unwrap();
        Args::check(module, &map).unwrap()
    }

    #[test]
    fn archive_is_taken_apart_where_the_task_says_so() {
        let words = switches(&args(r#"{"src": "a", "dest": "b", "owner": false, "delete": true, "times": true}"#));
        assert_eq!(words, ["-F", "--delay-updates", "--compress", "--delete-after", "--archive", "--no-owner"]);
        let words = switches(&args(r#"{"src": "a", "dest": "b", "archive": false, "recursive": true, "compress": false}"#));
        assert_eq!(words, ["-F", "--delay-updates", "--recursive"]);
    }

    #[test]
    fn the_way_to_the_host_is_quoted_for_rsync() {
        let reach = Reach {
            ssh: ["ssh", "-o", "UserKnownHostsFile=/a b"].map(str::to_owned).to_vec(),
            host: "fe80::1".to_owned(),
            user: Some("admin".to_owned()),
            escalation: ["sudo", "-n", "-u", "root"].map(str::to_owned).to_vec(),
        };
        let args = args(r#"{"src": "a", "dest": "b", "dest_port": 2222}"#);
        assert_eq!(rsh(&args, &reach), "ssh -o 'UserKnownHostsFile=/a b' -p 2222");
        assert_eq!(rsync_path(&args, &reach).unwrap(), "sudo -n -u root rsync");
        assert_eq!(reach.path(&args, "/x"), "admin@[fe80::1]:/x");
    }

    #[test]
    fn what_rsync_marks_is_what_changed() {
        let shell = Shell { code: 0, stdout: format!("{MARK}>f+++++++++ a\n"), stderr: String::new() };
        let values = answer("rsync", &shell).unwrap().values;
        assert_eq!(values.get("changed"), Some(&Value::Bool(true)));
        assert_eq!(values.get("msg").unwrap().to_text().as_str(), ">f+++++++++ a\n");
        let problem = answer("rsync", &Shell { code: 127, ..Shell::default() }).unwrap_err();
        assert!(problem.failure.msg.contains("not installed"), "{}", problem.failure.msg);
    }
}
