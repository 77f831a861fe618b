//! Annotations of GitHub's workflow commands: failures beside the line of the playbook they belong to.

use super::json::diagnostic_of;
use crate::diag::{Diagnostic, Place, Severity, Sources};
use crate::event::{Event, Outcome, Reporter, Task};
use std::collections::{HashMap, HashSet};
use std::io::Write;

/// Adds annotations to what another reporter prints.
pub struct GitHub {
    sources: Sources,
    out: Box<dyn Write + Send>,
    tasks: HashMap<u64, Task>,
    /// Hosts whose next failure is explained already.
    explained: HashSet<String>,
}

impl GitHub {
    pub fn new(sources: Sources, out: Box<dyn Write + Send>) -> GitHub {
        GitHub { sources, out, tasks: HashMap::new(), explained: HashSet::new() }
    }

    fn write(&mut self, line: &str) {
        let _ = writeln!(self.out, "{line}");
        let _ = self.out.flush();
    }
}

impl std::fmt::Debug for GitHub {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("GitHub")
    }
}

impl Reporter for GitHub {
    fn see(&mut self, event: &Event) {
        if let Some(found) = diagnostic_of(event) {
            let line = annotation(found, &self.sources);
            self.write(&line);
        }
        match event {
            Event::TaskStarted { task } | Event::HandlerStarted { task } => drop(self.tasks.insert(task.id, task.clone())),
            Event::Explained { host, .. } => drop(self.explained.insert(host.clone())),
            Event::HostEnded { host, task, outcome: Outcome::Failed | Outcome::Unreachable, result } => {
                if self.explained.remove(host) {
                    return;
                }
                let msg = result.get("msg").map(|msg| msg.to_text().to_string()).unwrap_or_default();
                let task = self.tasks.get(task).cloned().unwrap_or_default();
                let line = command("error", task.place.as_ref(), &task.name, &format!("{host}: {msg}"));
                self.write(&line);
            }
            Event::HostEnded { host, .. } => drop(self.explained.remove(host)),
            _ => {}
        }
    }
}

/// `::error file=…,line=…,col=…,title=…::…` for a diagnostic.
pub fn annotation(found: &Diagnostic, sources: &Sources) -> String {
    let word = match found.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = found.labels.first().and_then(|label| sources.place(label.span));
    let more = found.notes.iter().chain(&found.help).map(|text| format!("\n{text}"));
    command(word, place.as_ref(), &found.code, &(found.title.clone() + &more.collect::<String>()))
}

fn command(word: &str, place: Option<&Place>, title: &str, message: &str) -> String {
    let place = place
        .map_or_else(String::new, |Place { file, line, column }| format!("file={},line={line},col={column},", property(file)));
    format!("::{word} {place}title={}::{}", property(title), data(message))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
