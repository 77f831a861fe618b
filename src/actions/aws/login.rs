//! `docker_login` with a registry of AWS: without a password, the control side gets the one of the day.

use super::access;
use crate::actions::{Answer, Bodies, Hands, Problem};
use crate::aws::registry::{login as get_login, region_of};
use crate::aws::{Access, Session};
use crate::modules::Args;
use crate::value::Value;

pub(in crate::actions) async fn login(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let mut host = args.all().clone();
    let registry = args.str("registry_url").unwrap_or_default();
    let is_out = args.str("state") == Some("absent");
    if let Some(region) = region_of(registry).filter(|_| !is_out && !args.has("password")) {
        let access = Access { region: Some(region.to_owned()), ..access(args, hands)? };
        let login = Session::ask(access, |session| async move { get_login(&session).await }).await?;
        host.insert("username".into(), login.user.into());
        let password = Value::secret(login.password);
        hands.hide(&password);
        host.insert("password".into(), password);
    }
    hands.module("docker_login", host, Bodies::default()).await.map(Answer::of)
}
