//! `pause`: waits, or asks the operator.

use super::{Answer, Hands, Problem};
use crate::modules::Args;
use crate::value::{Map, Value};
use std::time::{Duration, Instant};

/// No silence is longer than this.
const VOICE: Duration = Duration::from_secs(5);

pub(super) async fn pause(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let seconds = args.float("seconds").or_else(|| args.float("minutes").map(|minutes| minutes * 60.0));
    let started = Instant::now();
    let mut typed = String::new();
    match seconds {
        Some(seconds) => wait(Duration::from_secs_f64(seconds.clamp(0.0, 1.0e9)), args, hands).await,
        None => {
            let prompt = args.text("prompt").unwrap_or_else(|| "Press enter to continue, Ctrl+C to interrupt".into());
            typed = hands.ask(&prompt, args.bool("echo")).await?;
        }
    }
    let mut values = Map::new();
    values.insert("changed".into(), Value::Bool(false));
    values.insert("rc".into(), 0.into());
    values.insert("user_input".into(), typed.into());
    values.insert("delta".into(), started.elapsed().as_secs().into());
    values.insert("stdout".into(), format!("Paused for {:.2} seconds", started.elapsed().as_secs_f64()).into());
    values.insert("stderr".into(), "".into());
    values.insert("echo".into(), args.bool("echo").into());
    Ok(Answer::of(values))
}

async fn wait(time: Duration, args: &Args, hands: &impl Hands) {
    if let Some(prompt) = args.text("prompt") {
        hands.say(&prompt);
    }
    let mut left = time;
    while !left.is_zero() {
        let step = left.min(VOICE);
        hands.sleep(step).await;
        left -= step;
        if !left.is_zero() {
            hands.say(&format!("pausing for {} s more", left.as_secs()));
        }
    }
}
