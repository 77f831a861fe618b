//! The loop: hello, then one request after the other.

use super::line::Line;
use super::{Modules, job, run};
use crate::wire::FromHost;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

/// How long a task may take to notice that nobody listens any more. Locks are held until then, and others wait for them.
const LEAVING_MAX: Duration = Duration::from_millis(700);

/// Serves one control side until it is gone. Requests are carried out strictly in order; what is not begun by the end never is.
pub fn serve(modules: Modules, input: impl Read + Send + 'static, output: impl Write + Send + 'static) -> io::Result<()> {
    let line = Arc::new(Line::new(modules, output));
    line.send(&hello());
    let listening = Arc::clone(&line);
    std::thread::Builder::new().name("listen".to_owned()).spawn(move || listening.listen(input))?;
    let working = Arc::clone(&line);
    std::thread::Builder::new().name("work".to_owned()).spawn(move || {
        work(&working);
        working.rest();
    })?;
    let silence = line.watch();
    // A task that hangs in the system must not keep the program alive.
    line.await_rest(LEAVING_MAX);
    if let Some(silence) = silence {
        line.locks.fence(&line, silence);
    }
    Ok(())
}

fn work(line: &Arc<Line>) {
    while let Some(request) = line.next_request() {
        let reply = match &request.background {
            Some(name) => job::start(&request, name),
            None => run::run(line, &request),
        };
        // What was killed half-way has no answer: a control side that was only asleep would take it for the task's own.
        if line.is_gone() {
            return;
        }
        line.send(&FromHost::Done { id: request.id, reply });
    }
}

fn hello() -> FromHost {
    let uid = rustix::process::geteuid().as_raw();
    let account = account(uid);
    let field = |at: usize| account.as_ref().and_then(|fields| fields.get(at).cloned());
    FromHost::Hello {
        user: field(0).or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| uid.to_string()),
        uid,
        home: field(5).or_else(|| std::env::var("HOME").ok()).unwrap_or_else(|| "/".to_owned()),
        pid: std::process::id(),
    }
}

/// This user's line of the account file, if accounts are local.
fn account(uid: u32) -> Option<Vec<String>> {
    let size = std::fs::metadata("/etc/passwd").ok()?.size();
    let text = (size < 16 << 20).then(|| std::fs::read_to_string("/etc/passwd").ok())??;
    text.lines()
        .map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>())
        .find(|fields| fields.get(2).is_some_and(|field| *field == uid.to_string()))
}
