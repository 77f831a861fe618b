//! `reboot`: the host goes down and comes up again, and this waits for it.

use super::{Answer, Hands, Problem};
use crate::modules::{Args, Failure};
use crate::value::{Map, Value};
use std::time::{Duration, Instant};

/// Another value after every boot; in a container, which keeps the kernel, the start of its first process is.
const BOOT_ID: &str = "cat /proc/sys/kernel/random/boot_id && { cut -d ' ' -f 22 /proc/1/stat 2>/dev/null || true; }";
/// Between two looks at a host that is down.
const PAUSE: Duration = Duration::from_secs(2);

pub(super) async fn reboot(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let started = Instant::now();
    if hands.is_local() {
        return Err(Problem::new("Running reboot with local connection would reboot the control node."));
    }
    if hands.is_check() {
        return Ok(answer(started));
    }
    let before = boot_id(args, hands).await?;
    hands.shell(&command(args), None).await.map(drop).or_else(lost)?;
    hands.say("rebooting");
    hands.sleep(seconds(args, "post_reboot_delay")).await;
    let deadline = Duration::from_secs_f64(args.float("reboot_timeout").unwrap_or(600.0).clamp(0.0, 1e6));
    wait(args, hands, &before, deadline).await?;
    Ok(answer(started))
}

fn answer(started: Instant) -> Answer {
    let values =
        [("changed", Value::Bool(true)), ("rebooted", Value::Bool(true)), ("elapsed", started.elapsed().as_secs().into())];
    Answer::of(values.into_iter().map(|(key, value)| (key.into(), value)).collect::<Map>())
}

fn seconds(args: &Args, name: &str) -> Duration {
    Duration::from_secs_f64(args.float(name).unwrap_or(0.0).clamp(0.0, 1e6))
}

/// The connection goes with the host, which is what was asked for.
fn lost(problem: Problem) -> Result<(), Problem> {
    if problem.is_unreachable { Ok(()) } else { Err(problem) }
}

async fn boot_id(args: &Args, hands: &impl Hands) -> Result<String, Problem> {
    let line = args.str("boot_time_command").unwrap_or(BOOT_ID);
    let shell = hands.shell(line, None).await?;
    if shell.code != 0 {
        let failure = Failure::new(format!("failed to get host boot time info: {}", shell.stderr.trim()));
        return Err(failure.with("rc", shell.code).with("stdout", shell.stdout).into());
    }
    Ok(shell.stdout.trim().to_owned())
}

/// Left to itself so that the shell can end before the host does. `shutdown` counts in minutes.
fn command(args: &Args) -> String {
    let delay = seconds(args, "pre_reboot_delay").as_secs();
    if let Some(own) = args.str("reboot_command") {
        return format!("(sleep {}; {own}) >/dev/null 2>&1 </dev/null &", delay.max(1));
    }
    let paths = args.list("search_paths").join(":");
    let message = super::raw::quoted(args.str("msg").unwrap_or("Reboot initiated by Ansible"));
    let minutes = delay / 60;
    format!(
        "PATH=\"$PATH\":{}; (sleep 1; shutdown -r {minutes} {message} || systemctl reboot || reboot) >/dev/null 2>&1 </dev/null &",
        super::raw::quoted(&paths)
    )
}

/// Until the host answers and has booted since.
async fn wait(args: &Args, hands: &impl Hands, before: &str, time: Duration) -> Result<(), Problem> {
    let started = Instant::now();
    let connect = Some(seconds(args, "connect_timeout")).filter(|time| !time.is_zero()).unwrap_or(Duration::from_secs(5));
    loop {
        let is_up = hands.knock(connect).await.is_ok() && boot_id(args, hands).await.is_ok_and(|now| now != before);
        let test = args.str("test_command").unwrap_or("whoami");
        if is_up && hands.shell(test, None).await.is_ok_and(|shell| shell.code == 0) {
            return Ok(());
        }
        if started.elapsed() >= time {
            let msg = format!("Timed out waiting for last boot time check (timeout={})", time.as_secs());
            return Err(Failure::new(msg).with("rebooted", false).with("elapsed", started.elapsed().as_secs()).into());
        }
        hands.say(&format!("not back yet, {} s", started.elapsed().as_secs()));
        hands.sleep(PAUSE).await;
    }
}
