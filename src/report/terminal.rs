//! What people see: the lines of Ansible's default output, to the letter, with diagnostics beside them on standard error.

use super::delta;
use super::diagnostic;
use super::paint::{Ink, Paint, width};
use super::repr::label;
use super::result::{ResultFormat, Shown, squeezed};
use super::rollout::Board;
use super::screen::{Screen, Streams, Window};
use crate::diag::{Diagnostic, Sources};
use crate::event::{Event, Outcome, Reporter, Rollout, Stats, Task};
use crate::value::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two looks at the clock.
const TICK: Duration = Duration::from_millis(200);
/// Ansible's width where there is no terminal.
const COLUMNS_MIN: usize = 79;
const STARS_MIN: usize = 3;

/// What the command line decided about the output.
#[derive(Clone, Debug, Default)]
pub struct Style {
    pub paint: Paint,
    /// For standard error.
    pub error_paint: Paint,
    pub verbosity: u8,
    /// Hosts that were passed over are not shown, nor tasks that were for all of them.
    pub hides_skipped: bool,
    /// The same for hosts on which nothing changed.
    pub hides_ok: bool,
    pub results: ResultFormat,
    /// Standard output is a terminal of this size.
    pub window: Option<Window>,
    pub sources: Sources,
}

/// The usual reporter.
pub struct Terminal {
    page: Arc<Mutex<Page>>,
    /// Dropped with the reporter: the clock then stops.
    _clock: Sender<()>,
}

/// Everything the next line depends on.
struct Page {
    style: Style,
    screen: Screen,
    tasks: HashMap<u64, Task>,
    /// The task whose lines come now.
    banner: Option<Task>,
    /// Its banner is not printed yet: the first line below it does that.
    is_waiting: bool,
    is_handler: bool,
    /// Starts of that task: hosts do not all begin at once.
    starts: HashSet<u64>,
    /// Hosts that began below the banner.
    begun: HashSet<String>,
    /// Per host: diffs and item lines that its end decides about.
    hosts: HashMap<String, Pending>,
    /// Shown below the current banner already.
    explained: Vec<Diagnostic>,
    board: Board,
}

#[derive(Default)]
struct Pending {
    diffs: Vec<Value>,
    has_items: bool,
}

impl Terminal {
    pub fn new(style: Style, streams: Streams) -> Terminal {
        let page = Arc::new(Mutex::new(Page::new(style, streams)));
        let (clock, stop) = channel::<()>();
        let shared = Arc::downgrade(&page);
        std::thread::spawn(move || {
            while stop.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let Some(page) = shared.upgrade() else { return };
                locked(&page).screen.tick(Instant::now());
            }
        });
        Terminal { page, _clock: clock }
    }
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Terminal")
    }
}

impl Reporter for Terminal {
    fn see(&mut self, event: &Event) {
        locked(&self.page).see(event);
    }
}

fn locked(page: &Mutex<Page>) -> MutexGuard<'_, Page> {
    page.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Page {
    fn new(style: Style, streams: Streams) -> Page {
        let screen = Screen::new(streams, style.window, Instant::now());
        Page {
            style,
            screen,
            tasks: HashMap::new(),
            banner: None,
            is_waiting: false,
            is_handler: false,
            starts: HashSet::new(),
            begun: HashSet::new(),
            hosts: HashMap::new(),
            explained: Vec::new(),
            board: Board::default(),
        }
    }

    fn see(&mut self, event: &Event) {
        match event {
            Event::RunStarted { .. } => {}
            Event::PlaybookStarted { path, plays } => self.playbook(path, *plays),
            Event::PlayStarted { name, .. } => self.play(name),
            Event::PlaySkipped { name, reason } => {
                self.play(name);
                self.out(Ink::Skipped, &format!("skipping: {reason}"));
            }
            Event::TaskStarted { task } | Event::HandlerStarted { task } => {
                let is_handler = matches!(event, Event::HandlerStarted { .. });
                self.task(task, is_handler);
            }
            Event::HostStarted { host, task } => self.begin(host, *task),
            Event::ItemEnded { host, task, label, outcome, result } => self.item(host, *task, label, *outcome, result),
            Event::Retrying { host, task, left, .. } => self.retrying(host, *task, *left),
            Event::HostEnded { host, task, outcome, result } => self.host(host, *task, *outcome, result),
            Event::Included { what, hosts, label: item } => {
                let item = item.as_ref().map_or_else(String::new, |item| format!(" => (item={})", label(item)));
                self.out(Ink::Skipped, &format!("included: {what} for {}{item}", hosts.join(", ")));
            }
            Event::Says { host, line } => self.says(host, line),
            Event::Told { line } => self.screen.out(line),
            Event::Noted { line } => {
                if self.style.verbosity > 1 {
                    self.out(Ink::Verbose, line);
                }
            }
            Event::Asked { question } => self.screen.hold(question),
            Event::Diff { host, diff } => self.hosts.entry(host.clone()).or_default().diffs.push(diff.clone()),
            Event::Rollout(rollout) => self.rollout(rollout),
            Event::Warned { diagnostic } | Event::Explained { diagnostic, .. } => self.explain(diagnostic),
            Event::MetaRan { what, .. } => {
                if self.style.verbosity > 1 && !what.is_empty() {
                    self.out(Ink::Verbose, &format!("META: {what}"));
                }
            }
            Event::Interrupted { again } => self.interrupted(*again),
            Event::Recap { hosts, .. } => self.recap(hosts),
            Event::CustomStats { stats } => self.custom(stats),
        }
    }

    fn out(&mut self, ink: Ink, text: &str) {
        self.show_head();
        let text = self.style.paint.ink(ink, text);
        self.screen.out(&text);
    }

    /// `PLAY [name] *****`, filled up to the width.
    fn banner(&mut self, text: &str) {
        let columns = self.style.window.map_or(0, |window| window.columns.saturating_sub(1)).max(COLUMNS_MIN);
        let stars = columns.saturating_sub(width(text)).max(STARS_MIN);
        self.screen.out(&format!("\n{text} {}", "*".repeat(stars)));
    }

    fn playbook(&mut self, path: &str, plays: usize) {
        if self.style.verbosity > 1 {
            let name = path.rsplit('/').next().unwrap_or(path);
            self.banner(&format!("PLAYBOOK: {name}"));
            self.out(Ink::Verbose, &format!("{plays} plays in {path}"));
        }
    }

    fn play(&mut self, name: &str) {
        self.tasks.clear();
        self.starts.clear();
        self.banner = None;
        self.is_waiting = false;
        self.explained.clear();
        let name = name.trim();
        self.banner(&if name.is_empty() { "PLAY".to_owned() } else { format!("PLAY [{name}]") });
        self.screen.set_summary(&format!("PLAY [{name}]"));
    }

    /// A task that starts again is the same one for more hosts, until a host shows that it is not (see `begin`).
    fn task(&mut self, task: &Task, is_handler: bool) {
        self.tasks.insert(task.id, task.clone());
        // A `meta` has one heading a host.
        let is_same = self.is_handler == is_handler
            && task.module != "meta"
            && self.banner.as_ref().is_some_and(|last| Task { id: task.id, ..last.clone() } == *task);
        if is_same {
            self.starts.insert(task.id);
        } else {
            self.is_handler = is_handler;
            self.head(task);
        }
    }

    fn head(&mut self, task: &Task) {
        self.banner = Some(task.clone());
        self.starts = HashSet::from([task.id]);
        self.begun.clear();
        self.explained.clear();
        self.is_waiting = true;
        self.screen.set_summary(&self.title(task));
        if !self.style.hides_skipped && !self.style.hides_ok {
            self.show_head();
        }
    }

    fn title(&self, task: &Task) -> String {
        let word = if self.is_handler { "RUNNING HANDLER" } else { "TASK" };
        format!("{word} [{}]", task.name)
    }

    fn show_head(&mut self) {
        let Some(task) = self.banner.clone().filter(|_| std::mem::take(&mut self.is_waiting)) else { return };
        self.banner(&self.title(&task));
        if let Some(place) = task.place.as_ref().filter(|_| self.style.verbosity > 1) {
            let file = std::path::absolute(&place.file).unwrap_or_else(|_| place.file.clone().into());
            let file: std::path::PathBuf = file.components().collect();
            self.out(Ink::Retry, &format!("task path: {}:{}", file.display(), place.line));
        }
    }

    fn begin(&mut self, host: &str, id: u64) {
        let task = self.tasks.get(&id).cloned().unwrap_or_default();
        if self.starts.contains(&id) && self.begun.contains(host) {
            self.head(&task);
        }
        self.begun.insert(host.to_owned());
        self.hosts.insert(host.to_owned(), Pending::default());
        self.screen.begin(host, &task.name, Instant::now());
    }

    /// The banner again, where lines of another task came between.
    fn under(&mut self, id: u64) {
        if self.starts.contains(&id) {
            return;
        }
        if let Some(task) = self.tasks.get(&id).cloned() {
            self.head(&task);
        }
    }

    fn module(&self, id: u64) -> String {
        self.tasks.get(&id).map(|task| task.module.clone()).unwrap_or_default()
    }

    fn item(&mut self, host: &str, id: u64, item: &Value, outcome: Outcome, result: &Map) {
        self.under(id);
        self.hosts.entry(host.to_owned()).or_default().has_items = true;
        self.show_diffs(host);
        if self.is_hidden(outcome) {
            return;
        }
        let module = self.module(id);
        let shown = Shown { module: &module, result, verbosity: self.style.verbosity, format: self.style.results };
        let name = named(host, result);
        let item = format!("(item={})", label(item));
        let (ink, line) = match outcome {
            Outcome::Ok => (Ink::Ok, format!("ok: [{name}] => {item}{}", shown.tail())),
            Outcome::Changed => (Ink::Changed, format!("changed: [{name}] => {item}{}", shown.tail())),
            Outcome::Skipped => (Ink::Skipped, format!("skipping: [{name}] => {item} {}", shown.tail())),
            Outcome::Failed | Outcome::Ignored | Outcome::Unreachable => {
                (Ink::Failed, format!("failed: [{name}] {item}{}", shown.forced_tail()))
            }
        };
        self.out(ink, &line);
    }

    fn is_hidden(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Skipped => self.style.hides_skipped,
            Outcome::Ok => self.style.hides_ok,
            _ => false,
        }
    }

    fn retrying(&mut self, host: &str, id: u64, left: u64) {
        self.under(id);
        let name = self.tasks.get(&id).map(|task| task.name.clone()).unwrap_or_default();
        let name = name.split_once(" : ").map_or(name.as_str(), |(_, name)| name);
        self.out(Ink::Retry, &format!("FAILED - RETRYING: [{host}]: {name} ({left} retries left)."));
        self.screen.say(host, &format!("{left} retries left"), Instant::now());
    }

    fn host(&mut self, host: &str, id: u64, outcome: Outcome, result: &Map) {
        self.screen.end(host, Instant::now());
        self.under(id);
        self.show_diffs(host);
        let has_items = self.hosts.remove(host).is_some_and(|pending| pending.has_items);
        if self.is_hidden(outcome) {
            return;
        }
        let module = self.module(id);
        let shown = Shown { module: &module, result, verbosity: self.style.verbosity, format: self.style.results };
        let name = named(host, result);
        let line = match outcome {
            Outcome::Ok if !has_items => Some((Ink::Ok, format!("ok: [{name}]{}", shown.tail()))),
            Outcome::Changed if !has_items => Some((Ink::Changed, format!("changed: [{name}]{}", shown.tail()))),
            Outcome::Skipped if has_items => Some((Ink::Skipped, format!("skipping: [{name}]"))),
            Outcome::Skipped => Some((Ink::Skipped, format!("skipping: [{name}]{}", shown.tail()))),
            Outcome::Ignored if result.get("unreachable").and_then(Value::to_bool) == Some(true) => {
                Some((Ink::Unreachable, format!("fatal: [{name}]: UNREACHABLE!{}", shown.forced_tail())))
            }
            Outcome::Failed | Outcome::Ignored if !has_items => {
                Some((Ink::Failed, format!("fatal: [{name}]: FAILED!{}", shown.forced_tail())))
            }
            Outcome::Unreachable => Some((Ink::Unreachable, format!("fatal: [{name}]: UNREACHABLE!{}", shown.forced_tail()))),
            Outcome::Ok | Outcome::Changed | Outcome::Failed | Outcome::Ignored => None,
        };
        if let Some((ink, line)) = line {
            self.out(ink, &line);
        }
        if outcome == Outcome::Ignored {
            self.out(Ink::Skipped, "...ignoring");
        }
    }

    fn show_diffs(&mut self, host: &str) {
        let diffs = self.hosts.get_mut(host).map(|pending| std::mem::take(&mut pending.diffs)).unwrap_or_default();
        for diff in diffs {
            let text = delta::shown(&diff, self.style.paint);
            if !text.is_empty() {
                self.show_head();
                self.screen.out(text.strip_suffix('\n').unwrap_or(&text));
            }
        }
    }

    fn says(&mut self, host: &str, line: &str) {
        self.screen.say(host, line, Instant::now());
        if self.style.verbosity > 2 {
            self.screen.err(&format!("<{host}> {line}"));
        }
    }

    /// Each once below one banner: many hosts often have the same trouble.
    fn explain(&mut self, found: &Diagnostic) {
        if self.explained.contains(found) {
            return;
        }
        self.explained.push(found.clone());
        let text = diagnostic::render(std::slice::from_ref(found), &self.style.sources, self.style.error_paint.color);
        self.screen.err(text.trim_end_matches('\n'));
    }

    fn interrupted(&mut self, again: bool) {
        let text = if again {
            "interrupted again: stopping at once"
        } else {
            "interrupted: what has begun is finished, then it stops; once more stops at once"
        };
        let text = self.style.error_paint.ink(Ink::Warning, text);
        self.screen.err(&text);
    }

    fn rollout(&mut self, rollout: &Rollout) {
        let now = Instant::now();
        match rollout {
            Rollout::Started { app, release, .. } => self.banner(&format!("ROLLOUT [{app} : {release}]")),
            Rollout::Ended { .. } => self.banner("ROLLOUT RECAP"),
            Rollout::Phase { host, phase, why } => self.screen.phase(host, phase, why, now),
            Rollout::HostDone { host, .. } => self.screen.end_phase(host, now),
            Rollout::HostFailed { host, diagnostic, .. } => {
                self.screen.end_phase(host, now);
                self.explain(diagnostic);
            }
            Rollout::Health { .. } | Rollout::Reverting { .. } => {}
        }
        for line in self.board.lines(rollout, self.style.paint, self.style.verbosity) {
            self.screen.out(&line);
        }
    }

    fn recap(&mut self, hosts: &[(String, Stats)]) {
        self.screen.settle();
        self.banner("PLAY RECAP");
        for (host, stats) in hosts {
            let line = recap_line(host, stats, self.style.paint);
            self.screen.out(&line);
        }
        self.screen.out("");
    }
}

impl Page {
    /// Hosts first, then what was counted for the whole run.
    fn custom(&mut self, stats: &[(Option<String>, Map)]) {
        self.banner("CUSTOM STATS:");
        for (host, values) in stats.iter().filter_map(|(host, values)| Some((host.as_ref()?, values))) {
            self.screen.out(&format!("\t{host}: {}", squeezed(&Value::map(values.clone()))));
        }
        for (_, values) in stats.iter().filter(|(host, _)| host.is_none()) {
            self.screen.out(&format!("\n\tRUN: {}", squeezed(&Value::map(values.clone()))));
        }
        self.screen.out("");
    }
}

/// `web1`, or `web1 -> db1(10.0.0.7)` where a task was delegated.
fn named(host: &str, result: &Map) -> String {
    let Some(vars) = result.get("_ansible_delegated_vars") else { return host.to_owned() };
    let text = |name: &str| vars.get(name).map(|value| value.to_text().to_string());
    let Some(delegate) = text("ansible_delegated_host") else { return host.to_owned() };
    match text("ansible_host").filter(|address| *address != delegate) {
        Some(address) => format!("{host} -> {delegate}({address})"),
        None => format!("{host} -> {delegate}"),
    }
}

fn recap_line(host: &str, stats: &Stats, paint: Paint) -> String {
    let host_ink = match stats {
        Stats { failed, unreachable, .. } if failed + unreachable > 0 => Ink::Failed,
        Stats { changed, .. } if *changed > 0 => Ink::Changed,
        _ => Ink::Ok,
    };
    let field = |name: &str, count: u32, ink: Ink| {
        let text = format!("{name}={count:<4}");
        if count == 0 { text } else { paint.ink(ink, &text) }
    };
    let fields = [
        field("ok", stats.ok, Ink::Ok),
        field("changed", stats.changed, Ink::Changed),
        field("unreachable", stats.unreachable, Ink::Unreachable),
        field("failed", stats.failed, Ink::Failed),
        field("skipped", stats.skipped, Ink::Skipped),
        field("rescued", stats.rescued, Ink::Ok),
        field("ignored", stats.ignored, Ink::Warning),
    ];
    let padding = " ".repeat(26_usize.saturating_sub(width(host)));
    format!("{}{padding} : {}", paint.ink(host_ink, host), fields.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recap_line_is_ansibles() {
        let stats = Stats { ok: 25, changed: 11, failed: 1, skipped: 2, rescued: 1, ignored: 3, ..Stats::default() };
        let line = "h1                         : ok=25   changed=11   unreachable=0    failed=1    skipped=2    rescued=1    ignored=3   ";
        assert_eq!(recap_line("h1", &stats, Paint::default()), line);
        let colored = recap_line("h1", &stats, Paint { color: true });
        assert!(colored.starts_with("\x1b[0;31mh1\x1b[0m                         : \x1b[0;32mok=25  \x1b[0m \x1b[0;33mchanged=11  \x1b[0m unreachable=0    \x1b[0;31mfailed=1   \x1b[0m"), "{colored:?}");
    }
}
