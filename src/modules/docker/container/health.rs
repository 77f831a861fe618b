//! Waiting until a container's own health check says `healthy`.

use crate::modules::docker::engine::{Engine, at, bool_at, text_at};
use crate::modules::{Args, Failure};
use crate::value::Value;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(500);

/// The healthy container, or why it is not.
pub(super) fn wait(args: &Args, engine: &Engine<'_>, name: &str) -> Result<Value, Failure> {
    let start = engine.look.now();
    let limit = args.float("healthy_wait_timeout").filter(|seconds| *seconds > 0.0);
    let mut said = 0.0;
    loop {
        let Some(container) = engine.container(name)? else {
            return Err(Failure::new(format!("container `{name}` is gone while waiting for it to become healthy")));
        };
        let status = text_at(&container, &["State", "Health", "Status"]).to_owned();
        if status == "healthy" || (engine.look.is_check() && !status.is_empty()) {
            return Ok(container);
        }
        if status.is_empty() || status == "none" {
            return Err(Failure::new(format!("container `{name}` has no health check, so it cannot become healthy")));
        }
        if !bool_at(&container, &["State", "Running"]) {
            return Err(Failure::new(format!("container `{name}` ended while waiting for it to become healthy"))
                .with("container", container));
        }
        let waited = engine.look.now() - start;
        if limit.is_some_and(|limit| waited > limit) {
            let msg = format!("container `{name}` is {status} after {waited:.0} s{}", last_answer(&container));
            return Err(Failure::new(msg).with("container", container));
        }
        if waited - said >= 3.0 {
            said = waited;
            engine.look.say(&format!("container {name} is {status} ({waited:.0} s)"));
        }
        engine.look.sleep(PAUSE);
    }
}

fn last_answer(container: &Value) -> String {
    let log = at(container, &["State", "Health", "Log"]).and_then(Value::as_list).unwrap_or_default();
    let output = log.last().map(|entry| text_at(entry, &["Output"]).trim().to_owned()).unwrap_or_default();
    if output.is_empty() { String::new() } else { format!("; its last check said: {output}") }
}
