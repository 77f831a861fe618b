//! An app's book on a host: a directory with `lock`, `state.json` and `history.jsonl`.
//!
//! `state.json` says what is true now and is replaced as a whole; `history.jsonl` only grows, and each of its lines carries the hash of the one
//! before. Both belong to the user that the rollout runs as and nobody else reads them; nothing that is secret is ever put in.

use crate::modules::clock::Clock;
use crate::modules::touch::Write;
use crate::modules::{Act, Attrs, Change, Content, Failure, Look};
use crate::value::{Map, Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const STATE: &str = "state.json";
const HISTORY: &str = "history.jsonl";
const LOCK: &str = "lock";
/// A request from another terminal; whoever carries the rollout out reads it at its safe points.
const WISH: &str = "wish.json";

/// Where an app's book is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Book {
    pub(crate) app: String,
    pub(crate) dir: String,
}

/// What is true of an app on this host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub(crate) app: String,
    /// The newest rollout that this host has heard of; what an older one asks for is refused.
    pub(crate) generation: i64,
    /// The run that has this generation.
    pub(crate) run: String,
    /// Who has the lock, or had it when everything ended.
    pub(crate) holder: Option<Holder>,
    pub(crate) phase: Value,
    pub(crate) release: Value,
    /// The release before it.
    pub(crate) former: Value,
    pub(crate) current: Value,
    pub(crate) parked: Value,
    /// What the rollout wants every host to know of it.
    pub(crate) rollout: Value,
    /// Seconds since 1970.
    pub(crate) updated: f64,
    /// The last line of the history when this was written.
    pub(crate) head: Head,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Holder {
    pub(crate) who: String,
    /// The machine that the control side runs on.
    pub(crate) from: String,
    pub(crate) run: String,
    /// Seconds since 1970.
    pub(crate) since: f64,
    pub(crate) step: String,
    /// The host program.
    pub(crate) pid: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Head {
    pub(crate) count: usize,
    pub(crate) hash: String,
}

/// Every line, and where the chain is broken.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) text: String,
    pub(crate) entries: Vec<Map>,
    pub(crate) head: Head,
    pub(crate) broken: Option<Break>,
}

/// The first line that cannot be believed, counted from 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Break {
    pub(crate) line: usize,
    pub(crate) why: &'static str,
}

impl Book {
    pub(crate) fn of(app: &str, look: &dyn Look) -> Result<Book, Failure> {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        if app.is_empty() || app.len() > 128 || app.starts_with('.') || !app.chars().all(is_plain) {
            return Err(Failure::new(format!("`{app}` is no name for an app: letters, digits, `.`, `_` and `-` are")));
        }
        Ok(Book { app: app.to_owned(), dir: format!("{}/{app}", base(look)?) })
    }

    pub(crate) fn lock(&self) -> String {
        self.path(LOCK)
    }

    pub(crate) fn wish(&self) -> String {
        self.path(WISH)
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }

    /// Nothing recorded is an empty state.
    pub(crate) fn state(&self, look: &dyn Look) -> Result<State, Failure> {
        let path = self.path(STATE);
        let text = look.text(&path).map_err(|error| Failure::io(format_args!("cannot read {path}"), &error))?;
        let Some(text) = text else { return Ok(State { app: self.app.clone(), ..State::default() }) };
        serde_json::from_str(&text).map_err(|error| {
            Failure::new(format!("{path} cannot be read: {error}")).with("corrupt", true).with("path", path.as_str())
        })
    }

    pub(crate) fn history(&self, look: &dyn Look) -> Result<History, Failure> {
        let path = self.path(HISTORY);
        let text = look.text(&path).map_err(|error| Failure::io(format_args!("cannot read {path}"), &error))?;
        Ok(History::read(text.unwrap_or_default()))
    }

    /// The newest generation that is known here, also where one of the two files is gone.
    pub(crate) fn generation(&self, state: &State, look: &dyn Look) -> i64 {
        let last = self.history(look).ok().and_then(|history| history.entries.last()?.get("generation")?.as_int());
        state.generation.max(last.unwrap_or(0))
    }

    /// The directories that are missing. Only the owner may look into the last one.
    pub(crate) fn folders(&self, look: &dyn Look) -> Vec<Change> {
        let starts = self.dir.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).chain([self.dir.len()]);
        let missing = starts.map(|end| &self.dir[..end]).filter(|dir| !look.exists(dir));
        let make = |dir: &str| {
            let mode = if dir == self.dir { 0o700 } else { 0o755 };
            Change::step(dir, Act::MakeDir { path: dir.to_owned(), attrs: Attrs { mode: Some(mode), ..Attrs::default() } })
        };
        missing.map(make).collect()
    }

    pub(crate) fn keep(&self, state: &State) -> Result<Write, Failure> {
        let text = serde_json::to_string_pretty(state).map_err(|error| Failure::new(format!("the state: {error}")))?;
        Ok(self.write(STATE, text + "\n"))
    }

    pub(crate) fn keep_history(&self, history: &History) -> Write {
        self.write(HISTORY, history.text.clone())
    }

    pub(crate) fn keep_wish(&self, wish: &Value) -> Write {
        self.write(WISH, wish.to_json() + "\n")
    }

    fn write(&self, name: &str, text: String) -> Write {
        let attrs = Attrs { mode: Some(0o600), ..Attrs::default() };
        Write { attrs, ..Write::new(self.path(name), Content::Bytes(text.into_bytes())) }
    }
}

/// Root's books are the machine's, anybody else's are at home.
fn base(look: &dyn Look) -> Result<String, Failure> {
    if let Some(dir) = look.env("ROLL_STATE_DIR").filter(|dir| dir.starts_with('/')) {
        return Ok(dir.trim_end_matches('/').to_owned());
    }
    if look.uid() == 0 {
        return Ok("/var/lib/roll".to_owned());
    }
    let home = home(look).ok_or_else(|| Failure::new("this user has no home directory to keep the record in"))?;
    Ok(format!("{}/.local/state/roll", home.trim_end_matches('/')))
}

/// The account's own, whatever the environment of a task says.
fn home(look: &dyn Look) -> Option<String> {
    let uid = look.uid().to_string();
    let accounts = look.text("/etc/passwd").ok().flatten().unwrap_or_default();
    let mut rows = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let own = rows.find(|row| row.get(2) == Some(&uid.as_str())).and_then(|row| row.get(5).map(|home| (*home).to_owned()));
    own.or_else(|| look.env("HOME")).filter(|home| home.starts_with('/'))
}

impl State {
    pub(crate) fn value(&self) -> Value {
        serde_json::to_value(self).ok().and_then(|value| Value::from_json(&value.to_string()).ok()).unwrap_or_default()
    }
}

impl Holder {
    pub(crate) fn value(&self) -> Value {
        let entries = [
            ("who", Value::from(&self.who)),
            ("from", Value::from(&self.from)),
            ("run", Value::from(&self.run)),
            ("since", Value::from(self.since)),
            ("step", Value::from(&self.step)),
            ("pid", Value::from(i64::from(self.pid))),
        ];
        entries.into_iter().collect()
    }

    pub(crate) fn shown(&self) -> String {
        format!("{} on {} (run {})", self.who, self.from, self.run)
    }
}

impl History {
    fn read(text: String) -> History {
        let mut history = History { text, ..History::default() };
        for (at, line) in history.text.lines().enumerate() {
            match link(line, &history.head) {
                Ok((entry, hash)) => {
                    history.entries.push(entry);
                    history.head = Head { count: at + 1, hash };
                }
                Err(why) => {
                    history.broken = Some(Break { line: at + 1, why });
                    break;
                }
            }
        }
        history
    }

    /// Adds an entry to the end of the chain.
    pub(crate) fn add(&mut self, mut entry: Map) {
        entry.insert("n".into(), Value::Int(i64::try_from(self.text.lines().count() + 1).unwrap_or(i64::MAX)));
        entry.insert("prev".into(), self.head.hash.as_str().into());
        let bare = Value::map(entry.clone()).to_json();
        let hash = sealed(&bare);
        let open = bare.strip_suffix('}').unwrap_or(&bare);
        let line = format!("{open},\"hash\":\"{hash}\"}}\n");
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        self.text.push_str(&line);
        entry.insert("hash".into(), hash.as_str().into());
        self.entries.push(entry);
        self.head = Head { count: self.head.count + 1, hash };
    }

    /// Whether the history still has what a state was written after.
    pub(crate) fn breaks_with(&self, state: &State) -> Option<Break> {
        let known = &state.head;
        if self.broken.is_some() || known.count == 0 {
            return self.broken.clone();
        }
        let there = self.entries.get(known.count - 1).and_then(|entry| entry.get("hash")).and_then(Value::as_str);
        match there {
            Some(hash) if hash == known.hash => None,
            Some(_) => Some(Break { line: known.count, why: "it is not the line that the state was written after" }),
            None => Some(Break { line: self.head.count + 1, why: "lines are missing at the end" }),
        }
    }
}

fn sealed(bare: &str) -> String {
    Sha256::digest(bare).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One line of the chain: its entry and its hash, if it follows `head`.
fn link(line: &str, head: &Head) -> Result<(Map, String), &'static str> {
    const TAIL: usize = r#","hash":""}"#.len() + 64;
    let split = line.len().checked_sub(TAIL).filter(|at| line.is_char_boundary(*at)).ok_or("it is no entry")?;
    let (body, tail) = line.split_at(split);
    let hash = tail.strip_prefix(r#","hash":""#).and_then(|rest| rest.strip_suffix(r#""}"#)).ok_or("it has no hash")?;
    if sealed(&format!("{body}}}")) != hash {
        return Err("its contents do not have its hash");
    }
    let entry = Value::from_json(line).ok().and_then(|value| value.as_map().cloned()).ok_or("it is no entry")?;
    if entry.get("prev").and_then(Value::as_str) != Some(head.hash.as_str()) {
        return Err("it does not follow the line before it");
    }
    Ok((entry, hash.to_owned()))
}

/// Now, to the second, as people and machines read it.
pub(crate) fn time_of(look: &dyn Look) -> String {
    Clock::utc(look.now()).format("%Y-%m-%dT%H:%M:%SZ")
}

/// What a stale rollout is told.
pub(crate) fn fenced(book: &Book, generation: i64, known: i64, by: Option<&Holder>) -> Failure {
    let by = by.map(|holder| format!(": {}", holder.shown())).unwrap_or_default();
    let msg =
        format!("rollout {generation} of `{}` may change nothing on this host any more; {known} is the newest{by}", book.app);
    Failure::new(msg).with("fenced", true).with("generation", known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(event: &str) -> Map {
        Map::from_iter([("event".into(), Value::from(event)), ("deep".into(), Map::from_iter([("a".into(), 1.into())]).into())])
    }

    fn three() -> History {
        let mut history = History::default();
        ["started", "switched", "done"].into_iter().for_each(|event| history.add(entry(event)));
        history
    }

    #[test]
    fn a_chain_that_was_written_is_believed() {
        let read = History::read(three().text);
        assert_eq!((read.entries.len(), read.broken.clone(), read.head.count), (3, None, 3));
        assert_eq!(read.head, three().head);
        let state = State { head: read.head.clone(), ..State::default() };
        assert_eq!(read.breaks_with(&state), None);
    }

    #[test]
    fn a_line_that_ends_in_braces_is_sealed_whole() {
        let mut history = History::default();
        history.add(Map::from_iter([("deep".into(), Map::from_iter([("a".into(), 1.into())]).into())]));
        assert_eq!(History::read(history.text).broken, None);
    }

    #[test]
    fn what_was_changed_taken_out_or_cut_off_is_found() {
        let text = three().text;
        let lines: Vec<&str> = text.lines().collect();
        let broken = |text: String| History::read(text).broken.map(|broken| (broken.line, broken.why));
        assert_eq!(broken(text.replace("switched", "reverted")), Some((2, "its contents do not have its hash")));
        assert_eq!(broken([lines[0], lines[2]].join("\n")), Some((2, "it does not follow the line before it")));
        assert_eq!(broken(text.replace(&lines[2][lines[2].len() - 40..], "")), Some((3, "it has no hash")));
        assert_eq!(broken("é".repeat(60)), Some((1, "it is no entry")));
        let state = State { head: three().head, ..State::default() };
        let cut = History::read(lines[..2].join("\n")).breaks_with(&state).unwrap();
        assert_eq!((cut.line, cut.why), (3, "lines are missing at the end"));
    }

    #[test]
    fn an_entry_after_a_torn_line_begins_a_line_of_its_own() {
        let mut history = History::read(three().text.trim_end().to_owned());
        history.add(entry("again"));
        assert_eq!(History::read(history.text).entries.len(), 4);
    }
}
