//! `wait_for_connection`: until the host answers.

use super::{Answer, Hands, Problem};
use crate::modules::Args;
use crate::value::{Map, Value};
use std::time::{Duration, Instant};

pub(super) async fn wait_for_connection(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let seconds = |name: &str| Duration::from_secs(args.int(name).and_then(|number| u64::try_from(number).ok()).unwrap_or(0));
    let started = Instant::now();
    hands.sleep(seconds("delay")).await;
    loop {
        let problem = match hands.knock(seconds("connect_timeout")).await {
            Ok(()) => {
                let values = [("changed", Value::Bool(false)), ("elapsed", started.elapsed().as_secs().into())];
                return Ok(Answer::of(values.into_iter().map(|(key, value)| (key.into(), value)).collect::<Map>()));
            }
            Err(problem) => problem,
        };
        if started.elapsed() >= seconds("timeout") {
            let msg = format!("timed out waiting for the host after {} s: {}", started.elapsed().as_secs(), problem.failure.msg);
            return Err(Problem::new(msg));
        }
        hands.say(&format!("not reachable yet ({}), {} s", problem.failure.msg, started.elapsed().as_secs()));
        hands.sleep(seconds("sleep").max(Duration::from_millis(100))).await;
    }
}
