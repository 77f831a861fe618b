//! `--junit FILE`: one test suite a play, one test case a task and host.

use crate::event::{Event, Outcome, Reporter, Task};
use crate::value::Map;
use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

/// Collects what happens, and writes the file at the end of the run.
#[derive(Debug)]
pub struct JUnit {
    file: PathBuf,
    suites: Vec<Suite>,
    tasks: HashMap<u64, Task>,
    started: HashMap<(String, u64), Instant>,
    /// Zero in tests, so that the file is the same each time.
    is_timed: bool,
}

#[derive(Debug, Default)]
struct Suite {
    name: String,
    cases: Vec<Case>,
}

#[derive(Debug)]
struct Case {
    name: String,
    class: String,
    seconds: f64,
    outcome: Outcome,
    message: String,
    output: String,
}

impl JUnit {
    pub fn new(file: PathBuf) -> JUnit {
        JUnit { file, suites: Vec::new(), tasks: HashMap::new(), started: HashMap::new(), is_timed: true }
    }

    /// Without times.
    #[must_use]
    pub fn untimed(mut self) -> JUnit {
        self.is_timed = false;
        self
    }

    fn ended(&mut self, host: &str, id: u64, outcome: Outcome, result: &Map) {
        let started = self.started.remove(&(host.to_owned(), id));
        let seconds = started.filter(|_| self.is_timed).map_or(0.0, |started| started.elapsed().as_secs_f64());
        let task = self.tasks.get(&id).cloned().unwrap_or_default();
        let text = |name: &str| result.get(name).map(|value| value.to_text().to_string()).unwrap_or_default();
        let message = [text("msg"), text("skip_reason")].into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        let output = [text("stdout"), text("stderr")].join("\n").trim().to_owned();
        let place = task.place.as_ref().map_or_else(|| task.module.clone(), |place| format!("{}:{}", place.file, place.line));
        let case = Case { name: format!("[{host}] {}", task.name), class: place, seconds, outcome, message, output };
        if self.suites.is_empty() {
            self.suites.push(Suite::default());
        }
        if let Some(suite) = self.suites.last_mut() {
            suite.cases.push(case);
        }
    }

    fn xml(&self) -> String {
        let suites: String = self.suites.iter().map(Suite::xml).collect();
        let all = || self.suites.iter().flat_map(|suite| &suite.cases);
        format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<testsuites {}>\n{suites}</testsuites>\n", counts(all()))
    }

    fn save(&self) {
        if let Err(error) = std::fs::write(&self.file, self.xml()) {
            let _ = writeln!(std::io::stderr(), "cannot write `{}`: {error}", self.file.display());
        }
    }
}

impl Reporter for JUnit {
    fn see(&mut self, event: &Event) {
        match event {
            Event::PlayStarted { name, .. } => self.suites.push(Suite { name: name.clone(), cases: Vec::new() }),
            Event::TaskStarted { task } | Event::HandlerStarted { task } => drop(self.tasks.insert(task.id, task.clone())),
            Event::HostStarted { host, task } => drop(self.started.insert((host.clone(), *task), Instant::now())),
            Event::HostEnded { host, task, outcome, result } => self.ended(host, *task, *outcome, result),
            Event::Recap { .. } => self.save(),
            _ => {}
        }
    }
}

impl Suite {
    fn xml(&self) -> String {
        let cases: String = self.cases.iter().map(Case::xml).collect();
        format!("  <testsuite name=\"{}\" {}>\n{cases}  </testsuite>\n", escaped(&self.name), counts(self.cases.iter()))
    }
}

impl Case {
    fn xml(&self) -> String {
        let message = escaped(&self.message);
        let verdict = match self.outcome {
            Outcome::Ok | Outcome::Changed | Outcome::Ignored => String::new(),
            Outcome::Skipped => format!("      <skipped message=\"{message}\"/>\n"),
            Outcome::Failed => format!("      <failure message=\"{message}\"/>\n"),
            Outcome::Unreachable => format!("      <error message=\"{message}\"/>\n"),
        };
        let output = if self.output.is_empty() {
            String::new()
        } else {
            format!("      <system-out>{}</system-out>\n", escaped(&self.output))
        };
        let head = format!(
            "    <testcase name=\"{}\" classname=\"{}\" time=\"{:.3}\"",
            escaped(&self.name),
            escaped(&self.class),
            self.seconds
        );
        match verdict + &output {
            inner if inner.is_empty() => format!("{head}/>\n"),
            inner => format!("{head}>\n{inner}    </testcase>\n"),
        }
    }
}

fn counts<'a>(cases: impl Iterator<Item = &'a Case>) -> String {
    let (mut tests, mut failures, mut errors, mut skipped, mut seconds) = (0, 0, 0, 0, 0.0);
    for case in cases {
        tests += 1;
        seconds += case.seconds;
        match case.outcome {
            Outcome::Failed => failures += 1,
            Outcome::Unreachable => errors += 1,
            Outcome::Skipped => skipped += 1,
            Outcome::Ok | Outcome::Changed | Outcome::Ignored => {}
        }
    }
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{seconds:.3}\"")
}

/// Also without the control characters that XML forbids.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            letter if letter.is_control() && letter != '\t' => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}
