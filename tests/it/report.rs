//! Recorded events, and what each reporter makes of them: `tests/cases/events/*.jsonl` with a snapshot beside it for each.

use roll::diag::Sources;
use roll::event::{Event, Reporter};
use roll::report::{GitHub, JUnit, Json, Minimal, Paint, Streams, Style, Terminal};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn recordings() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir("tests/cases/events").unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

fn events(path: &Path) -> Vec<Event> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", path.display())))
        .collect()
}

fn play(events: &[Event], mut reporter: impl Reporter) {
    events.iter().for_each(|event| reporter.see(event));
}

/// Both streams as one paper, as they are seen on a terminal.
fn terminal(events: &[Event], verbosity: u8, color: bool) -> String {
    let paper = Paper::default();
    let paint = Paint { color };
    let style = Style { paint, error_paint: paint, verbosity, window: None, ..Style::default() };
    play(events, Terminal::new(style, Streams { out: Box::new(paper.clone()), err: Box::new(paper.clone()) }));
    // The path of a task is shown from the root on.
    paper.text().replace(&format!("{}/", std::env::current_dir().unwrap().display()), "{dir}/")
}

fn snapshot(recording: &Path, reporter: &str, text: &str) {
    let name = recording.file_stem().unwrap().to_string_lossy();
    insta::with_settings!({ snapshot_path => "../cases/events", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(format!("{name}.{reporter}"), text);
    });
}

#[test]
fn the_terminal_shows_what_ansible_shows() {
    for recording in recordings() {
        snapshot(&recording, "plain", &terminal(&events(&recording), 0, false));
    }
}

#[test]
fn more_is_shown_when_asked_for() {
    for recording in recordings() {
        snapshot(&recording, "verbose", &terminal(&events(&recording), 2, false));
    }
}

#[test]
fn colours_are_ansibles() {
    for recording in recordings() {
        snapshot(&recording, "color", &terminal(&events(&recording), 0, true).replace('\x1b', "^"));
    }
}

#[test]
fn json_is_one_event_a_line_and_can_be_read_back() {
    for recording in recordings() {
        let paper = Paper::default();
        let events = events(&recording);
        play(&events, Json::new(Sources::default(), Box::new(paper.clone())));
        assert_eq!(paper.text().lines().count(), events.len());
        snapshot(&recording, "json", &paper.text());
        let again: Vec<String> = paper
            .text()
            .lines()
            .map(|line| serde_json::from_str::<Event>(line).unwrap())
            .map(|event| serde_json::to_string(&event).unwrap())
            .collect();
        let first: Vec<String> = events.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
        assert_eq!(again, first);
    }
}

#[test]
fn one_task_is_shown_as_a_result_for_each_host() {
    for recording in recordings() {
        for (name, is_one_line) in [("minimal", false), ("oneline", true)] {
            let paper = Paper::default();
            let paint = Paint { color: false };
            let style = Style { paint, error_paint: paint, ..Style::default() };
            let streams = Streams { out: Box::new(paper.clone()), err: Box::new(paper.clone()) };
            play(&events(&recording), Minimal::new(style, streams, is_one_line));
            snapshot(&recording, name, &paper.text());
        }
    }
}

#[test]
fn github_gets_annotations() {
    for recording in recordings() {
        let paper = Paper::default();
        play(&events(&recording), GitHub::new(Sources::default(), Box::new(paper.clone())));
        snapshot(&recording, "github", &paper.text());
    }
}

#[test]
fn junit_gets_a_case_for_each_task_and_host() {
    for recording in recordings() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("junit.xml");
        play(&events(&recording), JUnit::new(file.clone()).untimed());
        snapshot(&recording, "junit", &std::fs::read_to_string(file).unwrap());
    }
}

#[test]
fn five_seconds_of_silence_are_broken() {
    let paper = Paper::default();
    let mut terminal = Terminal::new(Style::default(), Streams { out: Box::new(Paper::default()), err: Box::new(paper.clone()) });
    let lines = [
        r#"{"event":"play_started","name":"all","hosts":["web1"]}"#,
        r#"{"event":"task_started","task":{"id":1,"name":"install","module":"apt","place":null,"no_log":false}}"#,
        r#"{"event":"host_started","host":"web1","task":1}"#,
        r#"{"event":"host_started","host":"web2","task":1}"#,
        r#"{"event":"says","host":"web1","line":"Unpacking docker.io\u001b[1m"}"#,
    ];
    lines.iter().for_each(|line| terminal.see(&serde_json::from_str(line).unwrap()));
    std::thread::sleep(std::time::Duration::from_millis(5600));
    assert_eq!(paper.text(), "waiting: web1: install (5 s): Unpacking docker.io [1m, and 1 more host\n");
}
