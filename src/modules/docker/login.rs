//! `docker_login`: logs in to a registry and out of it. The password reaches the client on its stdin, never as an argument.

use super::credentials;
use super::engine::Engine;
use super::reference::DOCKER_HUB;
use crate::modules::{Act, Arg, Args, Change, Done, Failure, Kind, Look, Module, Plan, Rule};
use crate::value::{Map, Value};

const ARGS: &[Arg] = &[
    Arg::new("registry_url", Kind::Str, "address of the registry").aliases(&["registry", "url"]).default(DOCKER_HUB),
    Arg::new("username", Kind::Str, "user"),
    Arg::new("password", Kind::Str, "password; a private registry of AWS needs none: the control side gets it").secret(),
    Arg::new("reauthorize", Kind::Bool, "log in even where the same credentials are kept already")
        .aliases(&["reauth"])
        .default("no"),
    Arg::new("config_path", Kind::Path, "where credentials are kept").aliases(&["dockercfg_path"]),
    Arg::new("state", Kind::Str, "logged in or out").choices(&["present", "absent"]).default("present"),
];

pub(in crate::modules) static MODULE: Module = Module {
    name: "docker_login",
    collection: "community.docker",
    summary: "log in to a registry",
    args: &[ARGS, super::API_ARGS],
    rules: &[Rule::Together(&["username", "password"])],
    free_form: None,
    plan,
    finish,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let engine = Engine::of(args, look)?;
    let registry = args.str("registry_url").unwrap_or(DOCKER_HUB);
    let config = args.str("config_path").map_or_else(|| credentials::config_path(look), str::to_owned);
    let kept = credentials::find(look, &config, registry);
    let dir = config.rsplit_once('/').map_or(".", |(dir, _)| dir).to_owned();
    let mut plan = Plan::default();
    if args.str("state") == Some("absent") {
        if kept.is_some() {
            let cmd = engine.cli(&["--config", &dir, "logout", registry])?;
            plan.push(Change::new(format!("credentials for {registry}"), "kept", "gone", Act::Run(cmd)));
        }
        return Ok(plan);
    }
    let (Some(user), Some(password)) = (args.str("username"), args.str("password")) else {
        return Err(Failure::new("state is present but all of the following are missing: username, password"));
    };
    if args.bool("reauthorize") || kept.is_none_or(|kept| kept != (user.to_owned(), password.to_owned())) {
        let cmd = engine.cli(&["--config", &dir, "login", "--username", user, "--password-stdin", registry])?;
        plan.push(Change::new(
            format!("credentials for {registry}"),
            Value::Null,
            user,
            Act::Run(cmd.stdin(password.as_bytes())),
        ));
    }
    Ok(plan)
}

fn finish(args: &Args, mut values: Map, done: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    if args.str("state") == Some("present") && !done.is_empty() {
        let result = super::engine::map_of([
            ("username", args.text("username").map(Value::from).into()),
            ("serveraddress", args.text("registry_url").map(Value::from).into()),
        ]);
        values.insert("login_result".into(), result);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::docker::bench::{Daemon, args_of};

    const TASK: &str = r#"{"registry_url":"reg:5000","username":"me","password":"hunter2"}"#;

    #[test]
    fn the_password_is_not_an_argument() {
        let daemon = Daemon::new().with_file("/usr/bin/docker");
        let plan = plan(&args_of(&MODULE, TASK), &daemon).unwrap();
        let Act::Run(cmd) = &plan.changes[0].act else { panic!("a command") };
        assert_eq!(cmd.argv[1..], ["--config", "/root/.docker", "login", "--username", "me", "--password-stdin", "reg:5000"]);
        assert_eq!(cmd.stdin.as_deref(), Some(&b"hunter2"[..]));
    }

    #[test]
    fn kept_credentials_are_not_given_again() {
        // me:hunter2
        let kept = r#"{"auths":{"reg:5000":{"auth":"bWU6aHVudGVyMg=="}}}"#;
        let daemon = Daemon::new().with_file("/usr/bin/docker").with_text("/root/.docker/config.json", kept);
        assert!(plan(&args_of(&MODULE, TASK), &daemon).unwrap().changes.is_empty());
        let out = plan(&args_of(&MODULE, r#"{"registry_url":"reg:5000","state":"absent"}"#), &daemon).unwrap();
        assert_eq!(Daemon::line(&out.changes[0].act), "/usr/bin/docker --config /root/.docker logout reg:5000");
    }
}
