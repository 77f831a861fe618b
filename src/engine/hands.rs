//! What actions may use, for one task on one host: rendering, files, and the host itself.

use super::frame::Frame;
use super::work::Work;
use super::{operator, reach, said, target};
use crate::actions::{self, Bodies, Body, Hands, Problem, Reach, Shell};
use crate::connection::{self, Become, Blobs, ConnectError, Denial, Remote, Stdin, Target};
use crate::diag::{Diagnostic, Explain};
use crate::event::Event;
use crate::modules::{Args, Failure, Set};
use crate::template;
use crate::value::{Map, Value};
use crate::wire::{Reply, Request};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

/// Hands for one try of one task.
pub(crate) struct TaskHands<'a> {
    work: &'a Work,
    frame: &'a Frame<'a>,
    /// The host that does it: the task's own, or the one it is delegated to.
    target: Target,
    escalation: Option<Become>,
    environment: Vec<(String, String)>,
    is_check: bool,
    is_diff: bool,
    /// A difference would show what `no_log` hides.
    is_silent: bool,
    seconds_max: Option<u64>,
    /// The name of the job that the task becomes, if nobody waits for it.
    background: Option<String>,
}

impl<'a> TaskHands<'a> {
    pub(crate) fn new(work: &'a Work, frame: &'a Frame<'a>) -> Result<TaskHands<'a>, Problem> {
        let task = &work.task;
        let boolean = |name: &str, default: bool| {
            frame.keyword(task, name).map(|value| value.and_then(|value| value.to_bool()).unwrap_or(default))
        };
        let delegate = delegate(work, frame)?;
        let there = delegate.as_ref().map(|host| frame.of_delegate(host, &work.play, task));
        let reached = there.as_ref().unwrap_or(frame);
        let host = delegate.as_deref().unwrap_or(&work.host);
        Ok(TaskHands {
            work,
            frame,
            target: target::target(&work.run, reached, host, task)?,
            escalation: target::escalation(&work.run, reached, task)?,
            environment: environment(work, frame)?,
            is_check: boolean("check_mode", work.run.options.check)?,
            is_diff: boolean("diff", work.run.options.diff)?,
            is_silent: boolean("no_log", false)?,
            seconds_max: work.seconds_max(frame),
            background: None,
        })
    }

    /// The same hands, for a task that goes on in the background.
    pub(crate) fn leaving(self, job: &str) -> TaskHands<'a> {
        TaskHands { background: Some(job.to_owned()), ..self }
    }

    async fn remote(&self, set: Set) -> Result<Remote, Problem> {
        self.work.run.connections.host(&self.target, self.escalation.as_ref(), set).await.map_err(|error| unreachable(&error))
    }

    fn request(&self, name: &str, args: Map) -> Request {
        Request {
            id: 0,
            module: name.to_owned(),
            args,
            check: self.is_check,
            diff: self.is_diff,
            environment: self.environment.clone(),
            timeout: self.seconds_max,
            idle_loop: self.work.is_idle_loop.load(Ordering::Relaxed).then_some(self.work.id),
            background: self.background.clone(),
            lease: super::locked(&self.work.run.leases).get(&self.target.name).cloned(),
        }
    }

    /// Ends every connection to the host.
    pub(crate) async fn part(&self) {
        self.work.run.connections.reset(&self.target).await;
    }

    async fn ask_host(&self, name: &str, args: Map, blobs: &dyn Blobs) -> Result<Map, Problem> {
        let remote = self.remote(Set::with(name)).await?;
        let say = |line: &str| self.say(line);
        let answer = remote.run(self.request(name, args), blobs, say);
        match self.work.run.calls.make(&self.target.name, name, answer).await.map_err(|error| unreachable(&error))? {
            Reply::Ok { mut values } => {
                actions::add_lines(&mut values);
                self.show_diff(&values);
                Ok(values)
            }
            Reply::Failed { mut values } => {
                actions::add_lines(&mut values);
                let msg = values.get("msg").map(|msg| msg.to_text().to_string()).unwrap_or_default();
                Err(Failure { msg, values }.into())
            }
        }
    }

    /// Facts about the environment are about the one that tasks get.
    fn add_environment(&self, values: &mut Map) {
        let Some(Value::Map(facts)) = values.get_mut("ansible_facts") else { return };
        if let Some(Value::Map(env)) = Arc::make_mut(facts).get_mut("ansible_env") {
            let own = self.environment.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
            Arc::make_mut(env).extend(own);
        }
    }

    fn show_diff(&self, values: &Map) {
        let is_change = |diff: &&Value| diff.get("before").is_none() || diff.get("before") != diff.get("after");
        if let Some(diff) = values.get("diff").filter(is_change).filter(|_| self.is_diff && !self.is_silent) {
            self.work.run.emitter.emit(&Event::Diff { host: self.work.host.clone(), diff: diff.clone() });
        }
    }
}

/// Begins as Ansible's message does, which people search for.
fn not_found(name: &str, places: &[PathBuf]) -> Problem {
    let looked: Vec<String> =
        places.iter().map(|place| template::resolved(place, Path::new(name)).display().to_string()).collect();
    let looked = if looked.is_empty() { String::new() } else { format!(": looked for {}", looked.join(", ")) };
    Problem::new(format!("Could not find or access '{name}' on the Ansible Controller{looked}"))
}

/// Where it is delegated to, if anywhere.
pub(crate) fn delegate(work: &Work, frame: &Frame<'_>) -> Result<Option<String>, Problem> {
    let Some(written) = work.task.keyword("delegate_to") else { return Ok(None) };
    let host = frame.argument(&written.value)?.map(|value| value.to_text().to_string());
    Ok(host.filter(|host| !host.is_empty() && *host != work.host))
}

/// Environment of the play, the blocks and the task, the inner ones over the outer ones.
fn environment(work: &Work, frame: &Frame<'_>) -> Result<Vec<(String, String)>, Problem> {
    let mut all: indexmap::IndexMap<String, String> = indexmap::IndexMap::new();
    for written in work.task.context.gathered("environment") {
        let rendered = match frame.render(&written.value) {
            // It may need what facts will tell.
            Err(_) if matches!(work.task.module(), "setup" | "gather_facts") => what_is_known(frame, &written.value),
            rendered => rendered.map_err(|problem| said::in_keyword(problem, "environment"))?,
        };
        let maps: Vec<Value> = rendered.as_list().map_or_else(|| vec![rendered.clone()], <[Value]>::to_vec);
        for map in maps {
            match map {
                Value::Map(map) => {
                    all.extend(map.iter().map(|(key, value)| (key.to_string(), value.to_text().as_str().to_owned())));
                }
                Value::Null => {}
                other if other.to_text().is_empty() => {}
                other => return Err(Problem::new(format!("`environment` takes a mapping, not a {}", other.kind()))),
            }
        }
    }
    Ok(all.into_iter().collect())
}

fn what_is_known(frame: &Frame<'_>, written: &Value) -> Value {
    match written {
        Value::Map(map) => {
            let known = map.iter().filter_map(|(key, value)| Some((key.clone(), frame.render(value).ok()?)));
            Value::map(known.collect())
        }
        Value::List(items) => items.iter().map(|item| what_is_known(frame, item)).collect(),
        _ => Value::Null,
    }
}

/// A host that cannot be reached, in the words of its diagnostic. A user that one may not become is a failure only.
pub(crate) fn unreachable(error: &ConnectError) -> Problem {
    let diagnostic = error.explain();
    let (msg, is_unreachable) = match error {
        ConnectError::Become { method, denial, .. } => (denied(method, denial, &diagnostic), false),
        ConnectError::Architecture { .. } | ConnectError::CannotRun { .. } | ConnectError::NoBody { .. } => {
            (diagnostic.title.clone(), true)
        }
        _ => (format!("Failed to connect to the host via ssh: {}", diagnostic.title), true),
    };
    Problem { failure: Failure::new(msg), diagnostic: Some(Box::new(diagnostic)), is_unreachable }
}

fn denied(method: &str, denial: &Denial, diagnostic: &Diagnostic) -> String {
    match denial {
        Denial::WrongPassword => format!("Incorrect {method} password"),
        Denial::NeedsPassword => format!("Missing {method} password"),
        _ => diagnostic.title.clone(),
    }
}

impl Hands for TaskHands<'_> {
    fn expression(&self, text: &str) -> Result<Value, Problem> {
        self.frame.expression(text)
    }

    fn condition(&self, condition: &Value) -> Result<bool, Problem> {
        self.frame.conditions(condition, self.work.task.span).map(|failed| failed.is_none())
    }

    fn template(&self, text: &str, path: &Path, options: &Args) -> Result<String, Problem> {
        self.frame.render_file(text, path, options)
    }

    fn render(&self, value: &Value) -> Result<Value, Problem> {
        self.frame.render(value)
    }

    fn find(&self, folder: &str, name: &str) -> Result<PathBuf, Problem> {
        let places = self.work.task.search(folder, &self.work.play.play.dir);
        let path = Path::new(name);
        if path.is_absolute() {
            return if path.exists() { Ok(path.to_owned()) } else { Err(not_found(name, &[])) };
        }
        let expanded = target::expanded(name);
        let found = places.iter().map(|place| template::resolved(place, &expanded)).find(|path| path.exists());
        found.ok_or_else(|| not_found(name, &places))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, Problem> {
        let unreadable = |why: String| Problem::new(format!("cannot read `{}`: {why}", path.display()));
        let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        self.work.run.sources.open(bytes).map(|opened| opened.bytes).map_err(unreadable)
    }

    fn variables(&self, path: &Path) -> Result<Map, Problem> {
        let mut reader = super::locked(&self.work.run.reader);
        let map = reader.variables(path, self.work.task.span);
        let found = reader.take_diagnostics();
        drop(reader);
        match (map, found.into_iter().find(crate::diag::Diagnostic::is_error)) {
            (Some(map), None) => Ok(map),
            (_, Some(diagnostic)) => Err(Problem {
                failure: Failure::new(diagnostic.title.clone()),
                diagnostic: Some(Box::new(diagnostic)),
                is_unreachable: false,
            }),
            (None, None) => Err(Problem::new(format!("cannot read `{}`", path.display()))),
        }
    }

    fn verbosity(&self) -> u8 {
        self.work.run.options.verbosity
    }

    fn is_check(&self) -> bool {
        self.is_check
    }

    fn is_native(&self) -> bool {
        self.work.run.options.is_native
    }

    fn is_diff(&self) -> bool {
        self.is_diff
    }

    async fn module(&self, name: &str, args: Map, bodies: Bodies) -> Result<Map, Problem> {
        let mut values = self.ask_host(name, args, &Sending { bodies }).await?;
        if name == "setup" {
            self.add_environment(&mut values);
        }
        Ok(values)
    }

    async fn shell(&self, line: &str, stdin: Option<Vec<u8>>) -> Result<Shell, Problem> {
        let stdin = stdin.as_deref().map_or(Stdin::Nothing, Stdin::Bytes);
        let run = &self.work.run;
        let line = with_environment(line, &self.environment);
        let output = run
            .connections
            .exec(&self.target, self.escalation.as_ref(), &line, stdin, false)
            .await
            .map_err(|error| unreachable(&error))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Shell { code: output.code, stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }

    async fn shell_here(&self, line: &str) -> Result<Shell, Problem> {
        let line = with_environment(line, &self.environment);
        let here = Target::local("localhost");
        let output = self.work.run.connections.exec(&here, None, &line, Stdin::Nothing, false).await;
        let output = output.map_err(|error| unreachable(&error))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Shell { code: output.code, stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }

    fn reach(&self) -> Result<Option<Reach>, Problem> {
        let task = &self.work.task;
        let own = target::target(&self.work.run, self.frame, &self.work.host, task)?;
        let escalation = target::escalation(&self.work.run, self.frame, task)?;
        reach::of(&own, escalation.as_ref())
    }

    fn delegate_of_task(&self) -> Result<Option<String>, Problem> {
        let Some(written) = self.work.task.keyword("delegate_to") else { return Ok(None) };
        let host = self.frame.argument(&written.value)?.map(|value| value.to_text().to_string());
        Ok(host.filter(|host| !host.is_empty()))
    }

    async fn fetch(&self, src: &str, have: Option<&str>, dest: &Path) -> Result<Map, Problem> {
        let receiving = Receiving { dest: dest.to_owned() };
        let args = Map::from_iter([("src".into(), Value::from(src)), ("_have".into(), have.map(str::to_owned).into())]);
        self.ask_host("_fetch", args, &receiving).await
    }

    async fn knock(&self, timeout: Duration) -> Result<(), Problem> {
        self.work.run.connections.reset(&self.target).await;
        let target = Target { timeout: Some(timeout), retries: 0, ..self.target.clone() };
        let answer =
            tokio::time::timeout(timeout * 2, self.work.run.connections.host(&target, self.escalation.as_ref(), Set::Common))
                .await;
        match answer {
            Ok(remote) => remote.map(drop).map_err(|error| unreachable(&error)),
            Err(_) => Err(Problem::new(format!("no answer within {} s", timeout.as_secs() * 2))),
        }
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn ask(&self, prompt: &str, echo: bool) -> Result<Option<String>, Problem> {
        if !self.work.run.options.is_interactive {
            return Ok(None);
        }
        self.work.run.emitter.emit(&Event::Asked { question: prompt.to_owned() });
        let answer = operator::line(echo).await;
        answer.map(Some).map_err(|error| Problem::new(format!("cannot read the answer: {error}")))
    }

    fn say(&self, line: &str) {
        self.work.run.emitter.emit(&Event::Says { host: self.work.host.clone(), line: line.to_owned() });
    }

    fn tell(&self, line: &str) {
        self.work.run.emitter.emit(&Event::Told { line: line.to_owned() });
    }

    fn host(&self) -> &str {
        &self.work.host
    }

    fn hide(&self, value: &Value) {
        self.work.run.emitter.hide(value);
    }

    fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    fn is_local(&self) -> bool {
        self.target.kind == connection::Kind::Local
    }
}

fn with_environment(line: &str, environment: &[(String, String)]) -> String {
    let words = environment.iter().map(|(name, value)| format!("{name}={} ", shell_words::quote(value)));
    words.collect::<String>() + line
}

/// Bodies that go to the host.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) bodies: Bodies,
}

impl Blobs for Sending {
    fn open(&self, hash: &str) -> io::Result<connection::Body> {
        match self.bodies.get(hash) {
            Some(Body::Bytes(bytes)) => {
                let bytes = Arc::clone(bytes);
                Ok(connection::Body { size: bytes.len() as u64, reader: Box::new(io::Cursor::new(Shared(bytes))) })
            }
            Some(Body::File(path)) => {
                let file = std::fs::File::open(path)?;
                let (size, modified) = (file.metadata()?.len(), file.metadata()?.modified()?);
                Ok(connection::Body { size, reader: Box::new(Steady { file, left: size, modified }) })
            }
            None => Err(io::Error::new(io::ErrorKind::NotFound, "the host asks for a body that was not promised")),
        }
    }

    fn keep(&self, _hash: &str, _size: u64) -> io::Result<Box<dyn io::Write + Send>> {
        Err(io::Error::other("the host sends a file that nobody asked for"))
    }
}

/// A file that nobody may write to while it is read.
struct Steady {
    file: std::fs::File,
    left: u64,
    modified: SystemTime,
}

impl io::Read for Steady {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let size = self.file.read(piece)?;
        self.left = self.left.saturating_sub(size as u64);
        if self.left == 0 && self.file.metadata()?.modified()? != self.modified {
            return Err(io::Error::other("the file changed while it was sent"));
        }
        Ok(size)
    }
}

struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A body that comes from the host.
struct Receiving {
    dest: PathBuf,
}

impl Blobs for Receiving {
    fn open(&self, _hash: &str) -> io::Result<connection::Body> {
        Err(io::Error::other("the host asks for a body while it should send one"))
    }

    fn keep(&self, _hash: &str, _size: u64) -> io::Result<Box<dyn io::Write + Send>> {
        Ok(Box::new(std::fs::File::create(&self.dest)?))
    }
}
