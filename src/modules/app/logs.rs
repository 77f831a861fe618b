//! `_logs`: the last lines that a container wrote.

use super::COLLECTION;
use crate::modules::docker::engine::{Engine, bool_at, text_at};
use crate::modules::{Arg, Args, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::Value;

pub(in crate::modules) static MODULE: Module = Module {
    name: "_logs",
    collection: COLLECTION,
    summary: "read the last lines that a container wrote",
    args: &[&[
        Arg::new("container", Kind::Str, "name of the container").required(),
        Arg::new("lines", Kind::Int, "how many").default("50"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// Longer lines are cut: the reader is a person.
const LINE_MAX: usize = 2000;

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let engine = Engine::of(&Args::default(), look)?;
    let mut plan = Plan::default();
    let container = engine.container(args.required("container")?)?;
    let lines = container.map(|container| tail(&engine, &container, args.int("lines").unwrap_or(50))).transpose()?;
    plan.set("lines", lines.unwrap_or_default());
    Ok(plan)
}

pub(super) fn tail(engine: &Engine<'_>, container: &Value, lines: i64) -> Result<Vec<String>, Failure> {
    let id = text_at(container, &["Id"]);
    let bytes = engine.bytes(&format!("/containers/{id}/logs?stdout=true&stderr=true&tail={lines}"))?;
    let bytes = if bool_at(container, &["Config", "Tty"]) { bytes } else { unframed(&bytes) };
    Ok(String::from_utf8_lossy(&bytes).lines().map(|line| line.chars().take(LINE_MAX).collect()).collect())
}

/// Without a terminal the daemon frames both streams: kind, three zeros, length (big-endian), bytes.
fn unframed(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let [0..=2, 0, 0, 0, a, b, c, d, rest @ ..] = bytes {
        let length = (u32::from_be_bytes([*a, *b, *c, *d]) as usize).min(rest.len());
        let (frame, after) = rest.split_at(length);
        out.extend(frame);
        bytes = after;
    }
    // A log driver may not frame at all.
    out.extend(bytes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_off_and_broken_ones_do_no_harm() {
        assert_eq!(unframed(b"\x01\0\0\0\0\0\0\x03hi\n\x02\0\0\0\0\0\0\x02no"), b"hi\nno");
        assert_eq!(unframed(b"plain text"), b"plain text");
        assert_eq!(unframed(b"\x01\0\0\0\xff\xff\xff\xffshort"), b"short");
    }
}
