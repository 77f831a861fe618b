//! Who holds a package manager's locks: read from `/proc/locks`, so that waiting needs no process and can say for whom.

use super::{Failure, Look};
use std::time::Duration;

/// The files that a package manager locks while it works.
pub(super) struct Locks {
    pub(super) program: &'static str,
    pub(super) files: &'static [&'static str],
    /// What may be done about waiting too short.
    pub(super) hint: &'static str,
}

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// Seconds between two lines for those who wait.
const SAY_EVERY: f64 = 5.0;

/// A lock that is held.
pub(super) struct Holder {
    pub(super) lock: &'static str,
    pub(super) who: String,
}

/// Waits until nobody holds a lock; answers whether it had to.
pub(super) fn wait(look: &dyn Look, locks: &Locks, seconds: i64) -> Result<bool, Failure> {
    wait_for(look, locks.program, locks.hint, seconds, || holder(look, locks))
}

/// The same for locks of any kind.
pub(super) fn wait_for(
    look: &dyn Look,
    program: &str,
    hint: &str,
    seconds: i64,
    holder: impl Fn() -> Option<Holder>,
) -> Result<bool, Failure> {
    let start = look.now();
    let mut said = f64::NEG_INFINITY;
    while let Some(Holder { lock, who }) = holder() {
        let waited = look.now() - start;
        if waited >= seconds as f64 {
            return Err(Failure::new(format!(
                "Failed to lock {program} for exclusive operation: {lock} is held by {who} after {seconds} s{hint}"
            )));
        }
        if waited - said >= SAY_EVERY {
            look.say(&format!("waiting for {lock}, held by {who}"));
            said = waited;
        }
        look.sleep(PAUSE);
    }
    Ok(look.now() - start > 0.0 && said > f64::NEG_INFINITY)
}

/// The first lock that somebody holds, and who.
fn holder(look: &dyn Look, locks: &Locks) -> Option<Holder> {
    let table = look.text("/proc/locks").ok().flatten()?;
    locks.files.iter().find_map(|lock| {
        let stat = look.stat(lock, true).ok().flatten()?;
        let pid = table.lines().find_map(|line| held(line, stat.dev, stat.inode))?;
        Some(Holder { lock, who: called(look, pid) })
    })
}

/// The process of a line such as `1: POSIX  ADVISORY  WRITE 812 08:01:1234 0 EOF`, if it is about that file and not a waiter (`->`).
fn held(line: &str, dev: u64, inode: u64) -> Option<&str> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, "POSIX" | "FLOCK" | "OFDLCK", _, _, pid, file, ..] = fields.as_slice() else { return None };
    let mut file = file.split(':');
    let major = u64::from_str_radix(file.next()?, 16).ok()?;
    let minor = u64::from_str_radix(file.next()?, 16).ok()?;
    let is_same = file.next()?.parse() == Ok(inode) && (major, minor) == (dev >> 8 & 0xfff, dev & 0xff | dev >> 12 & 0xf_ff00);
    is_same.then_some(*pid)
}

pub(super) fn called(look: &dyn Look, pid: &str) -> String {
    let name = look.text(&format!("/proc/{pid}/comm")).ok().flatten();
    name.map_or_else(|| format!("process {pid}"), |name| format!("{} ({pid})", name.trim()))
}

#[cfg(test)]
mod tests {
    use super::held;

    #[test]
    fn only_a_holder_of_that_very_file_counts() {
        let line = "1: POSIX  ADVISORY  WRITE 173 00:27:844866 0 EOF";
        assert_eq!(held(line, 39, 844_866), Some("173"));
        assert_eq!(held(line, 40, 844_866), None);
        assert_eq!(held("1: -> POSIX  ADVISORY  WRITE 9 00:27:844866 0 EOF", 39, 844_866), None);
        assert_eq!(held("", 0, 0), None);
    }
}
