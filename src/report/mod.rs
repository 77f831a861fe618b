//! What people and programs see of a run.
//!
//! Main type: [`Style`], from which [`reporters`] makes what a run reports to; one file a reporter, one row in [`OUTPUTS`] each.
//! Sees only events, diagnostics and values, never hosts, connections or playbooks. Diagnostics are rendered here too, and
//! nowhere else, because only here is known whether there is colour. Nothing in here decides anything: leaving this room out
//! changes no run. Text that may come from a host is written without its control characters.
//!
//! Start reading at [`terminal`]: what Ansible's users know.

mod delta;
pub mod diagnostic;
mod github;
mod json;
mod junit;
mod minimal;
mod paint;
mod repr;
mod result;
mod retry;
mod rollout;
mod screen;
pub mod terminal;

pub use github::{GitHub, annotation};
pub use json::Json;
pub use junit::JUnit;
pub use minimal::Minimal;
pub use paint::Paint;
pub use result::ResultFormat;
pub use retry::RetryFile;
pub use screen::{Streams, Window};
pub use terminal::{Style, Terminal};

use crate::event::Reporter;

/// One way to write a run to standard output.
#[derive(Debug)]
pub struct Output {
    /// As in `--output NAME`.
    pub name: &'static str,
    pub help: &'static str,
    make: fn(Style, Streams) -> Vec<Box<dyn Reporter>>,
}

/// What `--output` may say; the first is the usual one.
pub static OUTPUTS: &[Output] = &[
    Output {
        name: "plain",
        help: "lines as Ansible prints them",
        make: |style, streams| vec![Box::new(Terminal::new(style, streams))],
    },
    Output {
        name: "json",
        help: "one event a line",
        make: |style, streams| vec![Box::new(Json::new(style.sources, streams.out))],
    },
    Output {
        name: "minimal",
        help: "a result for each host, as `ansible` prints one task",
        make: |style, streams| vec![Box::new(Minimal::new(style, streams, false))],
    },
    Output {
        name: "oneline",
        help: "the same, one line each",
        make: |style, streams| vec![Box::new(Minimal::new(style, streams, true))],
    },
    Output { name: "github", help: "plain, with annotations for a GitHub workflow", make: annotated },
];

pub fn output(name: &str) -> Option<&'static Output> {
    OUTPUTS.iter().find(|output| output.name == name)
}

/// What a run reports to.
pub fn reporters(output: &Output, style: Style, streams: Streams) -> Vec<Box<dyn Reporter>> {
    (output.make)(style, streams)
}

fn annotated(style: Style, streams: Streams) -> Vec<Box<dyn Reporter>> {
    let annotations = GitHub::new(style.sources.clone(), Box::new(std::io::stdout()));
    vec![Box::new(Terminal::new(style, streams)), Box::new(annotations)]
}
