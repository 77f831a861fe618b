//! `--output json`: one event a line, and nothing else on standard output.

use super::diagnostic;
use crate::diag::{Diagnostic, Place, Sources};
use crate::event::{Event, Reporter, Rollout};
use serde::Serialize;
use std::io::Write;

/// Writes each event as it comes. A diagnostic gets its place and its text besides, because a span means nothing outside.
pub struct Json {
    sources: Sources,
    out: Box<dyn Write + Send>,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    event: &'a Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rendered: Option<String>,
}

impl Json {
    pub fn new(sources: Sources, out: Box<dyn Write + Send>) -> Json {
        Json { sources, out }
    }
}

impl std::fmt::Debug for Json {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Json")
    }
}

impl Reporter for Json {
    fn see(&mut self, event: &Event) {
        let found = diagnostic_of(event);
        let place = found.and_then(|found| self.sources.place(found.labels.first()?.span));
        let rendered = found.map(|found| diagnostic::render(std::slice::from_ref(found), &self.sources, false));
        if let Ok(mut line) = serde_json::to_string(&Line { event, place, rendered }) {
            line.push('\n');
            // A closed pipe is nobody's fault: the run goes on.
            let _ = self.out.write_all(line.as_bytes());
            let _ = self.out.flush();
        }
    }
}

/// The diagnostic that an event is about.
pub(super) fn diagnostic_of(event: &Event) -> Option<&Diagnostic> {
    match event {
        Event::Warned { diagnostic }
        | Event::Explained { diagnostic, .. }
        | Event::Rollout(Rollout::HostFailed { diagnostic, .. }) => Some(diagnostic),
        _ => None,
    }
}
