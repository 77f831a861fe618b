//! Numbers everything that is asked of a host or of the balancer's API, and ends the program at one of these moments.
//!
//! Only the lab asks for that (`ROLL_CALLS`, `ROLL_CRASH_AT`): to show that whoever comes after a controller that died anywhere can finish,
//! or go back. It ends as a machine does that loses its power: nothing is told, nothing is put away.

use std::convert::Infallible;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

/// A call that takes longer is under way by then.
const MEANWHILE: Duration = Duration::from_millis(40);

/// The moment at which the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    pub call: u64,
    pub moment: Moment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing was sent yet.
    Before,
    /// It was sent, and the answer is awaited.
    During,
    /// The answer is here, and nothing was made of it yet.
    After,
}

impl FromStr for Crash {
    type Err = ();

    /// `12:before`
    fn from_str(text: &str) -> Result<Crash, ()> {
        let (call, moment) = text.split_once(':').ok_or(())?;
        let moment = match moment {
            "before" => Moment::Before,
            "during" => Moment::During,
            "after" => Moment::After,
            _ => return Err(()),
        };
        Ok(Crash { call: call.parse().map_err(drop)?, moment })
    }
}

/// What is asked for of that.
#[derive(Clone, Debug, Default)]
pub struct Calling {
    /// Where every call is listed.
    pub list: Option<PathBuf>,
    pub crash: Option<Crash>,
}

#[derive(Debug, Default)]
pub(crate) struct Calls {
    crash: Option<Crash>,
    list: Option<Mutex<List>>,
}

#[derive(Debug)]
struct List {
    file: Option<File>,
    number: u64,
}

impl Calls {
    pub(crate) fn new(calling: &Calling) -> Calls {
        let is_listed = calling.list.is_some() || calling.crash.is_some();
        let file = calling.list.as_ref().and_then(|path| File::create(path).ok());
        Calls { crash: calling.crash, list: is_listed.then(|| Mutex::new(List { file, number: 0 })) }
    }

    /// Makes one call.
    pub(crate) async fn make<T>(&self, whom: &str, what: &str, call: impl Future<Output = T>) -> T {
        let Some(number) = self.number(whom, what) else { return call.await };
        let moment = self.crash.filter(|crash| crash.call == number).map(|crash| crash.moment);
        match moment {
            Some(Moment::Before) => die().await,
            Some(Moment::During) => {
                drop(tokio::time::timeout(MEANWHILE, call).await);
                die().await
            }
            Some(Moment::After) => {
                drop(call.await);
                die().await
            }
            None => call.await,
        }
    }

    fn number(&self, whom: &str, what: &str) -> Option<u64> {
        let mut list = super::locked(self.list.as_ref()?);
        list.number += 1;
        let number = list.number;
        if let Some(file) = &mut list.file {
            // A list that cannot be written is seen to be too short.
            drop(writeln!(file, "{number} {whom} {what}"));
        }
        Some(number)
    }
}

async fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    match std::future::pending::<Infallible>().await {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_named_by_number_and_word() {
        assert_eq!("12:during".parse(), Ok(Crash { call: 12, moment: Moment::During }));
        for wrong in ["12", "before", "x:before", "12:soon", ""] {
            assert_eq!(wrong.parse::<Crash>(), Err(()), "{wrong}");
        }
    }

    #[tokio::test]
    async fn calls_are_numbered_where_somebody_wants_that() {
        let list = tempfile::NamedTempFile::new().unwrap();
        let calls = Calls::new(&Calling { list: Some(list.path().to_owned()), crash: None });
        assert_eq!(calls.make("web1", "ping", async { 7 }).await, 7);
        calls.make("lb", "_haproxy", async {}).await;
        assert_eq!(std::fs::read_to_string(list.path()).unwrap(), "1 web1 ping\n2 lb _haproxy\n");
        assert_eq!(Calls::default().number("web1", "ping"), None);
    }
}
