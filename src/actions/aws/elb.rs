//! `elb_target`, `elb_target_info`, `elb_target_group_info`: what is registered where. For a deployment without a gap, `rollout:` does
//! more than these can.

use super::{access, answer};
use crate::actions::{Answer, Hands, Problem};
use crate::aws::targets::{self, Place, Which};
use crate::aws::{Access, AwsError, Session};
use crate::modules::Args;
use crate::value::{Map, Value};
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(in crate::actions) async fn group_info(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let which = Which {
        arns: args.list("target_group_arns"),
        names: args.list("names"),
        balancer: args.text("load_balancer_arn").map(|text| text.as_str().to_owned()),
    };
    let with_health = args.bool("collect_targets_health");
    let found = Session::ask(access(args, hands)?, move |session| async move {
        let groups = match targets::groups(&session, &which).await {
            Err(AwsError::Missing { .. }) => Vec::new(),
            groups => groups?,
        };
        let mut all = Vec::new();
        for group in groups {
            let arn = group.target_group_arn.clone().unwrap_or_default();
            let mut values = targets::group_values(&group);
            values.extend(targets::attributes(&session, &arn).await?);
            values.insert("tags".into(), Value::map(targets::tags(&session, &arn).await?));
            if with_health {
                let health = targets::health(&session, &arn, None).await?;
                let health = health.iter().map(|one| Value::map(targets::health_values(one))).collect();
                values.insert("targets_health_description".into(), health);
            }
            values.sort_by(|one, _, other, _| one.as_str().cmp(&other.as_str()));
            all.push(Value::map(values));
        }
        Ok(all)
    });
    Ok(answer(false, [("target_groups", Value::list(found.await?))]))
}

pub(in crate::actions) async fn target_info(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let (id, with_unused) = (args.required("instance_id")?.to_owned(), args.bool("get_unused_target_groups"));
    let instance_access = access(args, hands)?;
    let found = Session::ask(instance_access, move |session| async move {
        let ids = ids_of(&session, &id).await?;
        let mut all = Vec::new();
        for group in targets::groups(&session, &Which::default()).await? {
            let is_used = group.load_balancer_arns.as_ref().is_some_and(|arns| !arns.is_empty());
            let arn = group.target_group_arn.clone().unwrap_or_default();
            if !is_used && !with_unused {
                continue;
            }
            let health = targets::health(&session, &arn, None).await?;
            let own = health.iter().filter_map(|one| Some((one.target.as_ref()?, one)));
            let own = own.filter(|(target, _)| target.id.as_ref().is_some_and(|id| ids.contains(id)));
            let places: Vec<Value> = own
                .map(|(target, one)| {
                    let text = |text: Option<&str>| text.map_or(Value::Null, Value::from);
                    let entries = [
                        ("target_az", text(target.availability_zone.as_deref())),
                        ("target_health", Value::map(targets::state_values(one))),
                        ("target_id", text(target.id.as_deref())),
                        ("target_port", target.port.map_or(Value::Null, |port| Value::Int(port.into()))),
                    ];
                    entries.into_iter().collect()
                })
                .collect();
            if !places.is_empty() {
                let kind = group.target_type.as_ref().map_or("", |kind| kind.as_str());
                let entries =
                    [("target_group_arn", arn.into()), ("target_group_type", kind.into()), ("targets", Value::list(places))];
                all.push(entries.into_iter().collect());
            }
        }
        Ok(all)
    });
    Ok(answer(false, [("instance_target_groups", Value::list(found.await?))]))
}

/// An instance is registered by its id or by one of its addresses.
async fn ids_of(session: &Session, id: &str) -> Result<Vec<String>, AwsError> {
    let mut ids = vec![id.to_owned()];
    if !id.starts_with("i-") {
        return Ok(ids);
    }
    let found = match crate::aws::instances::describe(session, &[], &[id.to_owned()]).await {
        Err(AwsError::Missing { .. }) => Vec::new(),
        found => found?,
    };
    for instance in found {
        let interfaces = instance.values.get("network_interfaces").and_then(Value::as_list).unwrap_or_default();
        for interface in interfaces {
            let addresses = interface.get("private_ip_addresses").and_then(Value::as_list).unwrap_or_default();
            let texts = addresses.iter().filter_map(|address| address.get("private_ip_address"));
            ids.extend(texts.map(|address| address.to_text().as_str().to_owned()));
        }
    }
    Ok(ids)
}

/// One target as a task wants it.
#[derive(Clone)]
struct Wish {
    place: Place,
    is_in: bool,
    status: Option<String>,
    time: Duration,
    also_unused: bool,
    is_check: bool,
}

pub(in crate::actions) async fn target(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let text = |name: &str| args.text(name).map(|text| text.as_str().to_owned()).filter(|text| !text.is_empty());
    let port = match args.int("target_port") {
        None => None,
        Some(port) => Some(u16::try_from(port).map_err(|_| Problem::new(format!("target_port {port} is no port")))?),
    };
    let wish = Wish {
        place: Place { id: args.required("target_id")?.to_owned(), port: port.map(i32::from), zone: text("target_az") },
        is_in: args.str("state") == Some("present"),
        status: text("target_status"),
        time: Duration::from_secs(u64::try_from(args.int("target_status_timeout").unwrap_or(60)).unwrap_or(0)),
        also_unused: args.bool("deregister_unused"),
        is_check: hands.is_check(),
    };
    let access = access(args, hands)?;
    let arn = match text("target_group_arn") {
        Some(arn) => arn,
        None => arn_of(&access, args.required("target_group_name")?).await?,
    };
    let (group, asked) = (arn.clone(), wish.clone());
    let changed = Session::ask(access.clone(), move |session| async move { change(&session, &group, &asked).await }).await?;
    let health = settle(&access, &arn, &wish, changed, hands).await?;
    Ok(answer(
        changed,
        [("target_group_arn", arn.into()), ("target_health_descriptions", Value::map(health.unwrap_or_default()))],
    ))
}

async fn arn_of(access: &Access, name: &str) -> Result<String, Problem> {
    let which = Which { names: vec![name.to_owned()], ..Which::default() };
    let found = Session::ask(access.clone(), move |session| async move { targets::groups(&session, &which).await }).await;
    let arn = found.map(|groups| groups.into_iter().find_map(|group| group.target_group_arn));
    match arn {
        Ok(Some(arn)) => Ok(arn),
        Ok(None) => Err(Problem::new(format!("Unable to describe target group {name}: there is none of that name"))),
        Err(error) => {
            let mut problem = Problem::from(error);
            problem.failure.msg = format!("Unable to describe target group {name}: {}", problem.failure.msg);
            Err(problem)
        }
    }
}

/// Registers or deregisters where that is not so already.
async fn change(session: &Session, arn: &str, wish: &Wish) -> Result<bool, AwsError> {
    let health = targets::health(session, arn, Some(&wish.place)).await?;
    let state = health.first().map_or("unused", targets::state);
    let is_registered = !matches!(state, "unused" | "draining");
    // What no listener sends to is `unused` as well.
    let reason = health.first().and_then(|one| one.target_health.as_ref()).and_then(|one| one.reason.as_ref());
    let reason = reason.map(aws_sdk_elasticloadbalancingv2::types::TargetHealthReasonEnum::as_str);
    let is_known = is_registered || (state == "unused" && reason != Some("Target.NotRegistered"));
    let has_to_go = is_registered || (wish.also_unused && is_known);
    let changes = if wish.is_in { !is_known } else { has_to_go };
    if changes && !wish.is_check {
        match wish.is_in {
            true => targets::register(session, arn, &wish.place).await?,
            false => targets::deregister(session, arn, &wish.place).await?,
        }
    }
    Ok(changes)
}

/// The target's health, when it is as the task wants it.
async fn settle(access: &Access, arn: &str, wish: &Wish, changed: bool, hands: &impl Hands) -> Result<Option<Map>, Problem> {
    let begun = Instant::now();
    loop {
        let (group, place) = (arn.to_owned(), wish.place.clone());
        let read =
            Session::ask(access.clone(), move |session| async move { targets::health(&session, &group, Some(&place)).await });
        let health = read.await?;
        let state = health.first().map_or("unused", targets::state);
        let waits = wish.status.as_deref().filter(|wanted| *wanted != state && !(wish.is_check && changed));
        let Some(wanted) = waits else { return Ok(health.first().map(targets::health_values)) };
        if begun.elapsed() >= wish.time {
            return Err(Problem::new(format!(
                "Status check timeout has been exceeded: `{}` is {state} and not {wanted} after {} s",
                wish.place.id,
                wish.time.as_secs()
            )));
        }
        hands.say(&format!("waits for target {} to be {wanted}; it is {state}", wish.place.id));
        hands.sleep(LOOK_EVERY).await;
    }
}
