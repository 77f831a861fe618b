//! Credentials for registries, as `docker login` keeps them.

use super::reference::DOCKER_HUB;
use crate::modules::{Cmd, Look};
use crate::value::Value;
use base64ct::{Base64, Base64Url, Encoding};

/// Where the client's configuration is.
pub(super) fn config_path(look: &dyn Look) -> String {
    let dir = look.env("DOCKER_CONFIG").filter(|dir| !dir.is_empty());
    let dir = dir.unwrap_or_else(|| format!("{}/.docker", look.env("HOME").unwrap_or_else(|| "/root".to_owned())));
    format!("{dir}/config.json")
}

/// User and password for a registry, or `None` where nothing is kept.
pub(super) fn find(look: &dyn Look, config: &str, registry: &str) -> Option<(String, String)> {
    let config = Value::from_json(&look.text(config).ok()??).ok()?;
    let helper = config.get("credHelpers").and_then(|helpers| helpers.get(registry)).or_else(|| config.get("credsStore"));
    if let Some(helper) = helper.and_then(Value::as_str).filter(|helper| !helper.is_empty()) {
        return from_helper(look, helper, registry);
    }
    let auths = config.get("auths")?;
    let entry = spellings(registry).into_iter().find_map(|name| auths.get(&name).cloned())?;
    let bytes = Base64::decode_vec(entry.get("auth")?.as_str()?).ok()?;
    let (user, password) = String::from_utf8(bytes).ok()?.split_once(':').map(|(u, p)| (u.to_owned(), p.to_owned()))?;
    Some((user, password.trim_end_matches('\0').to_owned()))
}

/// The header with which the daemon asks a registry; none where no credentials are kept.
pub(super) fn header(look: &dyn Look, registry: &str) -> Vec<(String, String)> {
    let Some((user, password)) = find(look, &config_path(look), registry) else { return Vec::new() };
    let json =
        super::engine::map_of([("username", user.into()), ("password", password.into()), ("serveraddress", registry.into())]);
    vec![("X-Registry-Auth".to_owned(), Base64Url::encode_string(json.to_json().as_bytes()))]
}

fn from_helper(look: &dyn Look, helper: &str, registry: &str) -> Option<(String, String)> {
    let cmd = Cmd::new([format!("docker-credential-{helper}"), "get".to_owned()]).stdin(registry.as_bytes());
    let output = look.run(&cmd).ok().filter(crate::modules::Output::is_success)?;
    let reply = Value::from_json(&output.stdout_text()).ok()?;
    Some((reply.get("Username")?.as_str()?.to_owned(), reply.get("Secret")?.as_str()?.to_owned()))
}

/// A registry may be kept with or without its scheme.
fn spellings(registry: &str) -> Vec<String> {
    if registry == DOCKER_HUB {
        return vec![DOCKER_HUB.to_owned(), "docker.io".to_owned(), "index.docker.io".to_owned()];
    }
    let bare = registry.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    vec![
        registry.to_owned(),
        bare.to_owned(),
        format!("https://{bare}"),
        format!("https://{bare}/v1/"),
        format!("https://{bare}/v2/"),
    ]
}
