//! Where lines go, and what is shown while nothing is said: live lines on a terminal, a line every five seconds elsewhere.

use super::paint::{cut, one_line};
use indexmap::IndexMap;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write;
use std::time::{Duration, Instant};

/// The longest silence of a run that waits for something.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Lines of the terminal that results keep for themselves.
const ROWS_KEPT: usize = 3;
const REDRAWS_PER_SECOND: u8 = 20;

/// Standard output and standard error, or what stands for them in a test.
pub struct Streams {
    pub out: Box<dyn Write + Send>,
    pub err: Box<dyn Write + Send>,
}

/// What is known of the terminal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    pub columns: usize,
    pub rows: usize,
    /// Standard error is the same terminal.
    pub has_errors: bool,
}

/// The two streams, and the hosts that work right now.
pub(super) struct Screen {
    streams: Streams,
    live: Option<Live>,
    working: IndexMap<String, Working>,
    /// What a rollout does with a host, around its tasks.
    phases: IndexMap<String, Working>,
    summary: String,
    /// Somebody is typing: nothing moves.
    is_held: bool,
    done: usize,
    began: Instant,
    silent_since: Instant,
}

/// What a host is at.
struct Working {
    what: String,
    since: Instant,
    said: String,
}

struct Live {
    window: Window,
    all: MultiProgress,
    summary: ProgressBar,
    bars: IndexMap<String, ProgressBar>,
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Streams")
    }
}

impl Streams {
    pub fn standard() -> Streams {
        Streams { out: Box::new(std::io::stdout()), err: Box::new(std::io::stderr()) }
    }
}

impl Screen {
    /// `window`: where standard output is a terminal.
    pub(super) fn new(streams: Streams, window: Option<Window>, now: Instant) -> Screen {
        let live = window.filter(|window| window.rows > ROWS_KEPT).map(Live::new);
        Screen {
            streams,
            live,
            working: IndexMap::new(),
            phases: IndexMap::new(),
            summary: String::new(),
            is_held: false,
            done: 0,
            began: now,
            silent_since: now,
        }
    }

    /// A text for standard output. A closed pipe is nobody's fault: the run goes on.
    pub(super) fn out(&mut self, text: &str) {
        self.silent_since = Instant::now();
        match &self.live {
            Some(live) => drop(live.all.println(text)),
            None => {
                let _ = self.streams.out.write_all(format!("{text}\n").as_bytes());
                let _ = self.streams.out.flush();
            }
        }
    }

    /// A text for standard error.
    pub(super) fn err(&mut self, text: &str) {
        self.silent_since = Instant::now();
        match &self.live {
            Some(live) if live.window.has_errors => drop(live.all.println(text)),
            _ => {
                let _ = self.streams.err.write_all(format!("{text}\n").as_bytes());
                let _ = self.streams.err.flush();
            }
        }
    }

    /// Goes on without live lines.
    pub(super) fn settle(&mut self) {
        self.working.clear();
        self.phases.clear();
        if let Some(live) = self.live.take() {
            let _ = live.all.clear();
            live.all.set_draw_target(ProgressDrawTarget::hidden());
        }
    }

    /// Asks somebody something: until `end` nothing moves below the question.
    pub(super) fn hold(&mut self, question: &str) {
        self.err(question);
        self.is_held = true;
        if let Some(live) = &self.live {
            let _ = live.all.clear();
        }
    }

    pub(super) fn set_summary(&mut self, text: &str) {
        self.summary = text.to_owned();
        self.done = 0;
    }

    pub(super) fn begin(&mut self, host: &str, what: &str, now: Instant) {
        if self.working.is_empty() && self.phases.is_empty() {
            self.silent_since = now;
        }
        self.working.insert(host.to_owned(), Working { what: one_line(what), since: now, said: String::new() });
        self.redraw(now);
    }

    pub(super) fn end(&mut self, host: &str, now: Instant) {
        self.working.shift_remove(host);
        self.is_held = false;
        self.done += 1;
        self.redraw(now);
    }

    pub(super) fn say(&mut self, host: &str, line: &str, now: Instant) {
        if let Some(working) = self.working.get_mut(host).or_else(|| self.phases.get_mut(host)) {
            working.said = one_line(line);
        }
        self.redraw(now);
    }

    pub(super) fn phase(&mut self, host: &str, phase: &str, why: &str, now: Instant) {
        self.phases.insert(host.to_owned(), Working { what: one_line(phase), since: now, said: one_line(why) });
        self.redraw(now);
    }

    pub(super) fn end_phase(&mut self, host: &str, now: Instant) {
        self.phases.shift_remove(host);
        self.redraw(now);
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.live.is_some() {
            return self.redraw(now);
        }
        if self.is_held || now.duration_since(self.silent_since) < SILENCE_MAX {
            return;
        }
        if let Some(line) = self.waiting(now) {
            self.err(&line);
            self.silent_since = now;
        }
    }

    /// `waiting: web1: apt : install docker.io (12 s): Unpacking …, and 2 more hosts`
    fn waiting(&self, now: Instant) -> Option<String> {
        let at_work: Vec<(&String, &Working)> = self.at_work().collect();
        let (host, working) = at_work.first()?;
        let mut line = format!("waiting: {host}: {} ({} s)", working.what, now.duration_since(working.since).as_secs());
        if !working.said.is_empty() {
            line = format!("{line}: {}", cut(&working.said, 120));
        }
        match at_work.len() - 1 {
            0 => {}
            1 => line += ", and 1 more host",
            others => line += &format!(", and {others} more hosts"),
        }
        Some(line)
    }

    /// Hosts with a task, then those between tasks of a rollout; the longest wait first.
    fn at_work(&self) -> impl Iterator<Item = (&String, &Working)> {
        let between = self.phases.iter().filter(|(host, _)| !self.working.contains_key(*host));
        self.working.iter().chain(between)
    }

    fn redraw(&mut self, now: Instant) {
        let Some(live) = self.live.as_ref().filter(|_| !self.is_held) else { return };
        let lines: IndexMap<String, String> =
            self.at_work().take(live.lines_max()).map(|(host, working)| (host.clone(), working.line(host, now))).collect();
        let count = self.at_work().count();
        let seconds = now.duration_since(self.began).as_secs();
        let summary = format!("{} · {count} running, {} done · {}:{:02}", self.summary, self.done, seconds / 60, seconds % 60);
        if let Some(live) = &mut self.live {
            live.show(&lines, &summary);
        }
    }
}

impl Working {
    fn line(&self, host: &str, now: Instant) -> String {
        let seconds = now.duration_since(self.since).as_secs();
        format!("  {host}  {}  {seconds} s  {}", cut(&self.what, 40), self.said)
    }
}

impl Live {
    fn new(window: Window) -> Live {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout_with_hz(REDRAWS_PER_SECOND));
        let summary = all.add(ProgressBar::new_spinner().with_style(style()));
        Live { window, all, summary, bars: IndexMap::new() }
    }

    fn lines_max(&self) -> usize {
        self.window.rows.saturating_sub(ROWS_KEPT)
    }

    /// One line a host above the summary; those that are gone are taken away.
    fn show(&mut self, lines: &IndexMap<String, String>, summary: &str) {
        let all = &self.all;
        self.bars.retain(|host, bar| {
            let is_shown = lines.contains_key(host);
            if !is_shown {
                bar.finish_and_clear();
                all.remove(bar);
            }
            is_shown
        });
        for (host, line) in lines {
            let bar = self
                .bars
                .entry(host.clone())
                .or_insert_with(|| all.insert_before(&self.summary, ProgressBar::new_spinner().with_style(style())));
            bar.set_message(line.clone());
        }
        self.summary.set_message(summary.to_owned());
        self.summary.tick();
    }
}

/// The whole line is the message, cut at the edge of the terminal.
fn style() -> ProgressStyle {
    ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}
