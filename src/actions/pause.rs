//! `pause`: waits, or asks the operator.

use super::{Answer, Hands, Problem};
use crate::modules::Args;
use crate::modules::clock::Clock;
use crate::value::{Map, Value};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// No silence is longer than this.
const VOICE: Duration = Duration::from_secs(5);
const UNHEARD: &str = "Not waiting for response to prompt as stdin is not interactive";
const MINUTE: f64 = 60.0;

pub(super) async fn pause(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let (number, unit, length) = match (args.float("seconds"), args.float("minutes")) {
        (Some(seconds), _) => (Some(seconds), "seconds", 1.0),
        (None, minutes) => (minutes, "minutes", MINUTE),
    };
    let (started, began) = (Instant::now(), SystemTime::now());
    let mut values = Map::new();
    let mut typed = String::new();
    match number {
        Some(number) => wait(Duration::from_secs_f64((number * length).clamp(1.0, 1.0e9)), args, hands).await,
        None => {
            let prompt = args.text("prompt").unwrap_or_else(|| "Press enter to continue, Ctrl+C to interrupt".into());
            match hands.ask(&format!("[pause]\n{prompt}:"), args.bool("echo")).await? {
                Some(answer) => typed = answer,
                None => drop(values.insert("warnings".into(), Value::list(vec![UNHEARD.into()]))),
            }
        }
    }
    let elapsed = started.elapsed().as_secs_f64();
    values.insert("changed".into(), Value::Bool(false));
    values.insert("rc".into(), 0.into());
    values.insert("user_input".into(), typed.into());
    values.insert("delta".into(), started.elapsed().as_secs().into());
    values.insert("start".into(), stamp(began).into());
    values.insert("stop".into(), stamp(SystemTime::now()).into());
    values.insert("stdout".into(), format!("Paused for {} {unit}", rounded(elapsed / length)).into());
    values.insert("stderr".into(), "".into());
    values.insert("echo".into(), args.bool("echo").into());
    Ok(Answer::of(values))
}

/// Two places at most, one at least: as Python shows a rounded number.
fn rounded(number: f64) -> String {
    let text = format!("{number:.2}");
    text.strip_suffix('0').map(str::to_owned).unwrap_or(text)
}

fn stamp(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    Clock::here().local(seconds).format("%Y-%m-%d %H:%M:%S.%f")
}

async fn wait(time: Duration, args: &Args, hands: &impl Hands) {
    hands.tell(&format!("Pausing for {} seconds", time.as_secs()));
    if let Some(prompt) = args.text("prompt") {
        hands.tell(&prompt);
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

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn a_number_is_shown_as_python_does() {
        assert_eq!([1.0, 1.25, 0.5, 12.344].map(rounded), ["1.0", "1.25", "0.5", "12.34"]);
    }
}
