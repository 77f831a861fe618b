//! Tasks in the background (`poll: 0`): a process of its own does the work and leaves its result in a file that `async_status` reads.
//!
//! The process is this same program, called with [`WORD`]. It belongs to no session, so that it outlives the connection and the
//! control side. The request reaches it on its standard input: arguments may hold secrets.

use super::line::Line;
use super::{Modules, run};
use crate::modules::async_status;
use crate::value::{Map, Value};
use crate::wire::{Reply, Request};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// The argument that makes the host program a job.
pub(super) const WORD: &str = "job";
/// Longer than anybody means.
const SECONDS_DEFAULT: u64 = 3600;

/// Starts the request in the background, and answers with what is known of it so far.
pub(super) fn start(request: &Request, job: &str) -> Reply {
    match begin(request, job) {
        Ok(file) => {
            let mut values = about(job, &file, false);
            values.insert("changed".into(), true.into());
            Reply::Ok { values }
        }
        Err(error) => {
            let msg = format!("the task could not be put into the background: {error}");
            Reply::Failed { values: Map::from_iter([("msg".into(), msg.into())]) }
        }
    }
}

fn begin(request: &Request, job: &str) -> io::Result<PathBuf> {
    let file = place(request, job)?;
    write(&file, &about(job, &file, false))?;
    let mut child =
        Command::new("/proc/self/exe").arg(WORD).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let json = serde_json::to_vec(request)?;
    child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?.write_all(&json)?;
    // As long as this program lives, somebody has to bury it.
    std::thread::Builder::new().name("reap".to_owned()).spawn(move || drop(child.wait()))?;
    Ok(file)
}

/// The job itself: reads its request, does it, and leaves the result.
pub(super) fn work(modules: Modules) -> io::Result<()> {
    rustix::process::setsid()?;
    let request: Request = serde_json::from_reader(io::stdin())?;
    let Some(job) = request.background.clone() else { return Ok(()) };
    let file = place(&request, &job)?;
    let limit = Duration::from_secs(request.timeout.unwrap_or(SECONDS_DEFAULT));
    let line = Arc::new(Line::new(modules, io::sink()));
    let (done, is_done) = mpsc::channel();
    let working = Arc::clone(&line);
    // Overdue is overdue: what a task has of its own time is not shortened by it.
    let request = Request { timeout: None, background: None, ..request };
    std::thread::Builder::new().name("work".to_owned()).spawn(move || {
        // Nobody waits for it once the time is up.
        let _ = done.send(run::run(&working, &request));
    })?;
    let values = match is_done.recv_timeout(limit) {
        Ok(Reply::Ok { values }) => values,
        Ok(Reply::Failed { values }) => failed(values),
        Err(_) => {
            line.leave();
            failed(Map::from_iter([
                ("msg".into(), Value::from("Timeout exceeded")),
                ("child_pid".into(), i64::from(std::process::id()).into()),
            ]))
        }
    };
    let mut result = values;
    result.extend(about(&job, &file, true));
    write(&file, &result)
}

fn failed(mut values: Map) -> Map {
    values.insert("failed".into(), true.into());
    values
}

fn about(job: &str, file: &Path, is_finished: bool) -> Map {
    Map::from_iter([
        ("ansible_job_id".into(), Value::from(job)),
        ("started".into(), true.into()),
        ("finished".into(), is_finished.into()),
        ("results_file".into(), file.to_string_lossy().into_owned().into()),
    ])
}

/// The file of a job, in a directory that nobody else can read.
fn place(request: &Request, job: &str) -> io::Result<PathBuf> {
    let given = |name: &str| {
        let own = request.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        own.or_else(|| std::env::var(name).ok())
    };
    let folder = PathBuf::from(async_status::folder(given("ANSIBLE_ASYNC_DIR"), given("HOME")));
    if !folder.is_dir() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    }
    if !async_status::is_job(job) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the name of a job"));
    }
    Ok(folder.join(job))
}

/// All at once: who reads it sees the old result or the new one.
fn write(file: &Path, result: &Map) -> io::Result<()> {
    let partial = file.with_extension("partial");
    let mut out = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    serde_json::to_writer(&mut out, result)?;
    out.flush()?;
    std::fs::rename(partial, file)
}
