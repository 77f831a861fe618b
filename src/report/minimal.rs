//! `--output minimal` and `--output oneline`: a result for each host and nothing around it, as `ansible` prints one task.

use super::diagnostic;
use super::result::{ResultFormat, Shown, line, pretty};
use super::screen::Streams;
use super::terminal::Style;
use crate::event::{Event, Outcome, Reporter};
use crate::value::Map;
use std::collections::HashMap;
use std::io::Write;

/// Modules whose result is what they printed.
const COMMANDS: [&str; 4] = ["command", "shell", "raw", "script"];

pub struct Minimal {
    style: Style,
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    /// The module of each task.
    modules: HashMap<u64, String>,
    is_one_line: bool,
}

impl Minimal {
    pub fn new(style: Style, streams: Streams, is_one_line: bool) -> Minimal {
        Minimal { style, out: streams.out, err: streams.err, modules: HashMap::new(), is_one_line }
    }

    fn ended(&mut self, host: &str, task: u64, outcome: Outcome, result: &Map) {
        let module = self.modules.get(&task).cloned().unwrap_or_default();
        let shown = Shown { module: &module, result, verbosity: self.style.verbosity, format: ResultFormat::Json };
        let is_command =
            COMMANDS.contains(&module.as_str()) && result.contains_key("rc") && !result.contains_key("ansible_job_id");
        let json = if self.is_one_line { line(&shown.cleaned()) } else { pretty(&shown.cleaned()) };
        let text = match outcome {
            Outcome::Skipped => format!("{host} | SKIPPED"),
            Outcome::Unreachable => format!("{host} | UNREACHABLE! => {json}"),
            Outcome::Failed | Outcome::Ignored if is_command => self.printed(host, "FAILED", result, true),
            Outcome::Failed | Outcome::Ignored => format!("{host} | FAILED! => {json}"),
            Outcome::Changed if is_command => self.printed(host, "CHANGED", result, false),
            Outcome::Ok if is_command => self.printed(host, "SUCCESS", result, false),
            Outcome::Changed => format!("{host} | CHANGED => {json}"),
            Outcome::Ok => format!("{host} | SUCCESS => {json}"),
        };
        write(&mut self.out, &text);
    }

    /// What a command printed; of a failure also the message.
    fn printed(&self, host: &str, word: &str, result: &Map, has_failed: bool) -> String {
        let text = |name: &str| result.get(name).map(|value| value.to_text().to_string()).unwrap_or_default();
        let (code, stdout, stderr) = (text("rc"), text("stdout"), text("stderr"));
        if self.is_one_line {
            let flat = |text: &str| text.replace('\n', "\\n");
            let more = if stderr.is_empty() { String::new() } else { format!(" (stderr) {}", flat(&stderr)) };
            return format!("{host} | {word} | rc={code} | (stdout) {}{more}", flat(&stdout));
        }
        let message = if has_failed { text("msg") } else { String::new() };
        format!("{host} | {word} | rc={code} >>\n{stdout}{stderr}{message}")
    }
}

impl std::fmt::Debug for Minimal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Minimal")
    }
}

impl Reporter for Minimal {
    fn see(&mut self, event: &Event) {
        match event {
            Event::TaskStarted { task } | Event::HandlerStarted { task } => {
                self.modules.insert(task.id, task.module.clone());
            }
            Event::HostEnded { host, task, outcome, result } => self.ended(host, *task, *outcome, result),
            Event::Warned { diagnostic } | Event::Explained { diagnostic, .. } => {
                let text =
                    diagnostic::render(std::slice::from_ref(diagnostic), &self.style.sources, self.style.error_paint.color);
                write(&mut self.err, text.trim_end());
            }
            Event::Diff { diff, .. } if !self.is_one_line => {
                write(&mut self.out, pretty(diff).as_str());
            }
            Event::PlaySkipped { .. } => write(&mut self.err, "warning: no host matches, nothing to do"),
            _ => {}
        }
    }
}

/// A closed pipe is nobody's fault: the run goes on.
fn write(stream: &mut Box<dyn Write + Send>, text: &str) {
    let text: String = text.chars().filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\t')).collect();
    let _ = writeln!(stream, "{text}");
    let _ = stream.flush();
}

/// For tests: what one result looks like.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Paint;
    use crate::value::Value;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn shown(module: &str, outcome: Outcome, result: &str, is_one_line: bool) -> String {
        let kept = Kept::default();
        let paint = Paint { color: false };
        let style = Style { paint, error_paint: paint, window: None, ..Style::default() };
        let streams = Streams { out: Box::new(kept.clone()), err: Box::new(Kept::default()) };
        let mut minimal = Minimal::new(style, streams, is_one_line);
        minimal.modules.insert(1, module.to_owned());
        let result = Value::from_json(result).unwrap().as_map().cloned().unwrap();
        minimal.ended("web1", 1, outcome, &result);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn commands_show_what_they_printed() {
        let result = r#"{"rc": 0, "stdout": "a\nb", "stderr": "", "changed": true}"#;
        assert_eq!(shown("command", Outcome::Changed, result, false), "web1 | CHANGED | rc=0 >>\na\nb\n");
        assert_eq!(shown("command", Outcome::Changed, result, true), "web1 | CHANGED | rc=0 | (stdout) a\\nb\n");
    }

    #[test]
    fn others_show_their_result() {
        assert_eq!(shown("ping", Outcome::Ok, r#"{"ping": "pong"}"#, false), "web1 | SUCCESS => {\n    \"ping\": \"pong\"\n}\n");
        assert_eq!(shown("ping", Outcome::Failed, r#"{"msg": "no"}"#, true), "web1 | FAILED! => {\"msg\": \"no\"}\n");
    }
}
