//! The host's side of a connection: the programs `roll-remote`, `roll-remote-rare` and `roll-remote-data`, which differ in their
//! modules only.
//!
//! Main function: [`main`], which comes to [`serve`]. That says hello, then carries requests out strictly in order: `run` takes one task from its arguments
//! to its reply through [`Host`], which is the real `Look` and `Touch`. A second thread keeps reading meanwhile, so that file
//! bodies arrive while a task waits for them, and so that the end of the connection kills what is running: nothing goes on
//! behind a control side that is gone. Rollouts lock an app here (`lock.rs`): the lock lives no longer than this program, and a rollout
//! that is not the newest changes nothing.
//!
//! It is a static program and must never call libc's name services (`getpwnam`, `getaddrinfo`, `std::env::home_dir`): on a host
//! they load libraries that do not fit and crash. Account files and `getent` are read instead. Start reading at `serve.rs`.

mod admin;
mod blobs;
mod converse;
mod door;
mod exec;
mod host;
mod http;
mod idle;
mod job;
mod line;
mod lock;
mod run;
mod serve;
mod sums;
mod tls;
mod touch;
mod write;

pub use serve::serve;

use crate::modules::Module;
use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::os::fd::AsFd;
use std::process::ExitCode;

/// Several frames of a file at once.
const STREAM: usize = 128 << 10;

/// What a program can do.
type Modules = &'static [&'static Module];

/// A host program with these modules, whole.
pub fn main(modules: Modules) -> ExitCode {
    let is_job = std::env::args().nth(1).is_some_and(|word| word == job::WORD);
    let ended = if is_job { job::work(modules) } else { serve_here(modules) };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Over standard input and output, past the standard library's buffers: those are small, and look for the ends of lines.
fn serve_here(modules: Modules) -> io::Result<()> {
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    serve(modules, BufReader::with_capacity(STREAM, input), BufWriter::with_capacity(STREAM, output))
}
