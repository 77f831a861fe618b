//! A running command's input and output, the same for an SSH channel and for a child process.

use super::ssh::Seen;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use std::process::ExitStatus;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::process::Child;
use tokio::sync::mpsc;

/// What a command writes to.
pub(super) type Input = Box<dyn AsyncWrite + Send + Unpin>;

pub(super) struct Pipe {
    source: Source,
    input: Option<Input>,
}

/// What comes out of a command.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    Out(Vec<u8>),
    Err(Vec<u8>),
    /// As a shell has it: 128 + n for signal n.
    Exit(i32),
    /// The server would not run it.
    Refused,
}

enum Source {
    Channel { reading: ChannelReadHalf, closing: Option<ChannelWriteHalf<Msg>>, seen: Arc<Seen> },
    Child(mpsc::Receiver<Piece>),
}

impl Pipe {
    pub(super) fn of_channel(channel: Channel<Msg>, seen: Arc<Seen>) -> Pipe {
        let (reading, closing) = channel.split();
        let input: Input = Box::new(Box::pin(closing.make_writer()));
        Pipe { source: Source::Channel { reading, closing: Some(closing), seen }, input: Some(input) }
    }

    /// Something that a test plays.
    #[cfg(test)]
    pub(super) fn of_parts(pieces: mpsc::Receiver<Piece>, input: Input) -> Pipe {
        Pipe { source: Source::Child(pieces), input: Some(input) }
    }

    /// The child's three streams must be pipes.
    pub(super) fn of_child(mut child: Child) -> Pipe {
        let (pieces, receiver) = mpsc::channel(64);
        let input = child.stdin.take().map(|stdin| Box::new(stdin) as Input);
        let output = child.stdout.take().map(|stdout| tokio::spawn(pump(stdout, pieces.clone(), Piece::Out)));
        let errors = child.stderr.take().map(|stderr| tokio::spawn(pump(stderr, pieces.clone(), Piece::Err)));
        tokio::spawn(async move {
            let status = tokio::select! {
                status = child.wait() => status,
                // Nobody listens any more.
                () = pieces.closed() => {
                    _ = child.start_kill();
                    return;
                }
            };
            for pump in [output, errors].into_iter().flatten() {
                _ = pump.await;
            }
            if let Ok(status) = status {
                _ = pieces.send(Piece::Exit(code(status))).await;
            }
        });
        Pipe { source: Source::Child(receiver), input }
    }

    /// The next piece; `None` when there will be no more.
    pub(super) async fn next(&mut self) -> Option<Piece> {
        match &mut self.source {
            Source::Child(pieces) => pieces.recv().await,
            Source::Channel { reading, .. } => loop {
                match reading.wait().await? {
                    ChannelMsg::Data { data } => return Some(Piece::Out(data.to_vec())),
                    ChannelMsg::ExtendedData { data, .. } => return Some(Piece::Err(data.to_vec())),
                    ChannelMsg::ExitStatus { exit_status } => {
                        return Some(Piece::Exit(i32::try_from(exit_status).unwrap_or(255)));
                    }
                    ChannelMsg::ExitSignal { signal_name, .. } => return Some(Piece::Exit(128 + number(&signal_name))),
                    ChannelMsg::Failure => return Some(Piece::Refused),
                    _ => {}
                }
            },
        }
    }

    pub(super) fn take_input(&mut self) -> Option<Input> {
        self.input.take()
    }

    pub(super) fn put_input(&mut self, input: Input) {
        self.input = Some(input);
    }

    /// Why it ended, when the connection below it did.
    pub(super) fn reason(&self) -> Option<String> {
        match &self.source {
            Source::Channel { seen, .. } => seen.reason(),
            Source::Child(_) => None,
        }
    }
}

/// A channel does not close by being forgotten: the server would keep it.
impl Drop for Pipe {
    fn drop(&mut self) {
        if let Source::Channel { closing, .. } = &mut self.source
            && let (Some(closing), Ok(runtime)) = (closing.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(async move { closing.close().await });
        }
    }
}

async fn pump(mut from: impl AsyncRead + Unpin, to: mpsc::Sender<Piece>, piece: fn(Vec<u8>) -> Piece) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(size @ 1..) = from.read(&mut buffer).await {
        if to.send(piece(buffer[..size].to_vec())).await.is_err() {
            return;
        }
    }
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(255)
}

fn number(signal: &Sig) -> i32 {
    match signal {
        Sig::HUP => 1,
        Sig::INT => 2,
        Sig::QUIT => 3,
        Sig::ILL => 4,
        Sig::ABRT => 6,
        Sig::FPE => 8,
        Sig::KILL => 9,
        Sig::USR1 => 10,
        Sig::SEGV => 11,
        Sig::PIPE => 13,
        Sig::ALRM => 14,
        _ => 15,
    }
}
