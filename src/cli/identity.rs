//! Who calls, and from which machine: told to everybody who finds a lock taken, and written into the history.

/// The person behind `sudo`, the actor of a workflow, or the local user.
pub(super) fn who() -> String {
    let is_github = word("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    let actor = word("GITHUB_ACTOR").filter(|_| is_github);
    actor.or_else(|| word("SUDO_USER")).unwrap_or_else(|| crate::connection::Settings::from_environment().user)
}

pub(super) fn machine() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    match word("GITHUB_RUN_ID") {
        Some(run) => format!("{name} (workflow run {run})"),
        None => name,
    }
}

fn word(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
