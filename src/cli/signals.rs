//! Ctrl-C and SIGTERM.

use crate::engine::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// More than anybody presses; what comes on top is dropped.
const SIGNALS_MAX: usize = 8;

/// Signals from now on, as the engine takes them.
pub(super) fn receive() -> mpsc::Receiver<Signal> {
    let (sender, receiver) = mpsc::channel(SIGNALS_MAX);
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let Ok(mut stream) = signal(kind) else { continue };
        let sender = sender.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                let _ = sender.try_send(Signal::Interrupt);
            }
        });
    }
    receiver
}

/// The workers of every command that waits for something.
pub(super) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let workers = std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 4));
    tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()
}
