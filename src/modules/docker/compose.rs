//! What the modules about compose projects share: which project, and what the client says that it did.

use super::engine::Engine;
use crate::modules::{Arg, Args, Cmd, Failure, Kind};
use crate::value::{Map, Value};

pub(super) const PROJECT_ARGS: &[Arg] = &[
    Arg::new("project_src", Kind::Path, "directory of the project"),
    Arg::new("project_name", Kind::Str, "name of the project; that of the directory if not given"),
    Arg::new("files", Kind::List, "compose files, seen from the directory"),
    Arg::new("definition", Kind::Dict, "the project itself, instead of files"),
    Arg::new("env_files", Kind::List, "files of variables"),
    Arg::new("profiles", Kind::List, "profiles to enable"),
    Arg::new("check_files_existing", Kind::Bool, "fail where there is no compose file").default("yes"),
];

const FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

/// The client for a task's project, before the subcommand.
pub(super) fn client(args: &Args, engine: &Engine<'_>) -> Result<Cmd, Failure> {
    let mut cmd = super::client_of(args, engine.cli(&[])?);
    cmd.argv.extend(["compose", "--ansi", "never"].map(str::to_owned));
    let mut option = |name: &str, value: &str| cmd.argv.extend([name.to_owned(), value.to_owned()]);
    match (args.str("project_src"), args.dict("definition")) {
        (None, None) => return Err(Failure::new("one of the following is required: definition, project_src")),
        (Some(_), Some(_)) => return Err(Failure::new("parameters are mutually exclusive: definition|project_src")),
        (Some(dir), None) => {
            check_files(args, engine, dir)?;
            option("--project-directory", dir);
        }
        (None, Some(_)) if !args.has("project_name") => return Err(Failure::new("`definition` also needs `project_name`")),
        (None, Some(_)) => option("--file", "-"),
    }
    if let Some(name) = args.str("project_name") {
        option("--project-name", name);
    }
    for (arg, flag) in [("files", "--file"), ("env_files", "--env-file"), ("profiles", "--profile")] {
        args.list(arg).iter().for_each(|value| option(flag, value));
    }
    cmd.chdir = args.str("project_src").map(str::to_owned);
    cmd.stdin = args.get("definition").map(|definition| definition.to_json().into_bytes());
    Ok(cmd)
}

fn check_files(args: &Args, engine: &Engine<'_>, dir: &str) -> Result<(), Failure> {
    let exists = |name: &str| engine.look.exists(&crate::modules::paths::join(dir, name));
    if !engine.look.exists(dir) {
        return Err(Failure::new(format!("\"{dir}\" is not a directory on the host")));
    }
    let files = args.list("files");
    if let Some(missing) = files.iter().find(|name| !exists(name)) {
        return Err(Failure::new(format!("Cannot find Compose file \"{missing}\" relative to project directory \"{dir}\"")));
    }
    if files.is_empty() && args.bool("check_files_existing") && !FILES.iter().any(|name| exists(name)) {
        return Err(Failure::new(format!(
            "\"{dir}\" does not contain compose.yaml, compose.yml, docker-compose.yaml, or docker-compose.yml"
        )));
    }
    Ok(())
}

/// Words of the client after which something is as it was not before.
const DONE: [&str; 12] = [
    "Created",
    "Started",
    "Recreated",
    "Recreate",
    "Removed",
    "Stopped",
    "Killed",
    "Restarted",
    "Pulled",
    "Built",
    "Healthy",
    "Exited",
];
const WORKING: [&str; 8] = ["Creating", "Starting", "Removing", "Stopping", "Killing", "Restarting", "Pulling", "Building"];

/// Lines such as ` Container shop-web-1  Started`, in check mode with `DRY-RUN MODE - ` before them.
pub(super) fn events(stderr: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for line in stderr.lines() {
        let line = line.trim().trim_start_matches("DRY-RUN MODE -").trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        let [what, id, .., status] = words.as_slice() else { continue };
        let what = what.to_lowercase();
        let is_known = ["container", "network", "volume", "image", "service"].contains(&what.as_str());
        if is_known && (DONE.contains(status) || WORKING.contains(status)) && !matches!(*status, "Healthy" | "Exited") {
            let event = [("what", what.as_str()), ("id", id.trim_matches('"')), ("status", status)];
            all.push(event.map(|(key, value)| (key, Value::from(value))).into_iter().collect());
        }
    }
    all
}

/// Objects that the client prints as JSON, one a line or as one list.
pub(super) fn listed(stdout: &str) -> Vec<Value> {
    match Value::from_json(stdout.trim()) {
        Ok(Value::List(items)) => items.to_vec(),
        _ => stdout
            .lines()
            .filter_map(|line| Value::from_json(line.trim()).ok())
            .filter(|value| value.as_map().is_some())
            .collect(),
    }
}

/// `containers` and `images` of a project.
pub(super) fn describe(args: &Args, engine: &Engine<'_>, values: &mut Map) -> Result<(), Failure> {
    for (key, words) in
        [("containers", &["ps", "--format", "json", "--all", "--no-trunc"][..]), ("images", &["images", "--format", "json"][..])]
    {
        let mut cmd = client(args, engine)?;
        cmd.argv.extend(words.iter().map(|word| (*word).to_owned()));
        let output = engine.look.run(&cmd)?;
        values.insert(key.into(), Value::list(listed(&output.stdout_text())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_did_is_read_from_its_words() {
        let said = " Network shop_default  Creating\n Network shop_default  Created\n Container shop-web-1  Started\n Container shop-db-1  Running\nDRY-RUN MODE -  Container a  Created\n";
        let events = events(said);
        assert_eq!(events.len(), 4);
        assert_eq!(events[2].to_json(), r#"{"what":"container","id":"shop-web-1","status":"Started"}"#);
        assert!(super::events(" Container shop-db-1  Running\n Container x  Healthy\n").is_empty());
    }
}
