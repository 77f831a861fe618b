//! Become: the words before a command that make it another user's, and the password dialogue on its standard error.
//!
//! A password is written to the command's standard input, and only after the prompt was seen: never in an argument, and
//! never to something that did not ask for it.

use super::{Become, Denial, Method};
use crate::value::Text;

/// One dialogue with `sudo` or `su`.
#[derive(Debug)]
pub(super) struct Escalation<'a> {
    wanted: &'a Become,
    /// What `sudo` is told to ask with; no other program says it by chance.
    mark: String,
    prompts: usize,
    heard: String,
}

/// What to do about what was heard.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Nothing,
    Type(Text),
    /// It asks again, or asks and there is no password.
    GiveUp(Denial),
}

impl<'a> Escalation<'a> {
    pub(super) fn new(wanted: &'a Become, token: &str) -> Escalation<'a> {
        Escalation { wanted, mark: format!("[roll {token}] password:"), prompts: 0, heard: String::new() }
    }

    /// The line for the login shell that runs `script` with `/bin/sh` as the other user.
    pub(super) fn line(&self, script: &str) -> String {
        let exe = self.wanted.exe.as_deref().unwrap_or(self.wanted.method.name());
        let mut words = vec!["exec".to_owned(), quoted(exe)];
        let user = quoted(&self.wanted.user);
        match self.wanted.method {
            Method::Sudo => {
                words.extend(self.sudo_flags());
                words.extend(["-u".to_owned(), user, "/bin/sh".to_owned(), "-c".to_owned(), quoted(script)]);
            }
            Method::Su => {
                words.extend(self.wanted.flags.iter().flatten().map(|flag| quoted(flag)));
                words.extend(["-s", "/bin/sh", "-c"].map(str::to_owned));
                words.extend([quoted(script), user]);
            }
        }
        words.join(" ")
    }

    /// With a password `sudo` reads it from standard input; without one it must not ask.
    fn sudo_flags(&self) -> Vec<String> {
        let mut flags: Vec<String> = match &self.wanted.flags {
            None => Vec::new(),
            Some(flags) => {
                flags.iter().filter(|flag| !matches!(flag.as_str(), "-n" | "-S" | "-H")).map(|flag| quoted(flag)).collect()
            }
        };
        flags.push("-H".to_owned());
        match self.wanted.password {
            Some(_) => flags.extend(["-S".to_owned(), "-p".to_owned(), quoted(&self.mark)]),
            None => flags.push("-n".to_owned()),
        }
        flags
    }

    /// Takes in what came on standard error before the command began.
    pub(super) fn hear(&mut self, text: &str) -> Answer {
        self.heard.push_str(text);
        let Some(end) = self.prompt_end() else { return Answer::Nothing };
        self.heard.drain(..end);
        self.prompts += 1;
        match (&self.wanted.password, self.prompts) {
            (Some(password), 1) => Answer::Type(password.clone()),
            (Some(_), _) => Answer::GiveUp(Denial::WrongPassword),
            (None, _) => Answer::GiveUp(Denial::NeedsPassword),
        }
    }

    /// `su` asks in its user's language, but always ends with a colon and waits.
    fn prompt_end(&self) -> Option<usize> {
        match self.wanted.method {
            Method::Sudo => self.heard.find(&self.mark).map(|at| at + self.mark.len()),
            Method::Su => self.heard.trim_end_matches(' ').ends_with([':', '：']).then_some(self.heard.len()),
        }
    }

    /// Why the command never began, from what was said.
    pub(super) fn denial(&self, said: &str, code: Option<i32>) -> Denial {
        let said = said.replace(&self.mark, "");
        let has = |part: &str| said.contains(part);
        let message = said.trim().to_owned();
        if has("incorrect password") || has("Sorry, try again") || has("Authentication failure") {
            return if self.wanted.password.is_some() { Denial::WrongPassword } else { Denial::NeedsPassword };
        }
        if has("not in the sudoers") || has("not allowed to") || has("may not run sudo") || has("Permission denied") {
            return Denial::NotAllowed { message };
        }
        if has("must have a tty") || has("must be run from a terminal") {
            return Denial::NeedsTerminal;
        }
        if has("password is required") || has("no password was provided") || has("no askpass") {
            return Denial::NeedsPassword;
        }
        if has("unknown user") || has("does not exist") || has("Unknown id") {
            return Denial::NoSuchUser;
        }
        if code == Some(127) || has("not found") {
            return Denial::NoSuchProgram;
        }
        Denial::Other { message }
    }
}

/// One word for any shell: sh, csh and fish read it alike as long as there is no newline, `!` or backslash in it.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@%+=,".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sudo(password: Option<&str>) -> Become {
        Become { user: "app".into(), password: password.map(Text::secret), ..Become::default() }
    }

    #[test]
    fn a_password_is_no_argument() {
        let wanted = sudo(Some("hunter2"));
        let line = Escalation::new(&wanted, "t0").line("echo it's");
        assert_eq!(line, "exec sudo -H -S -p '[roll t0] password:' -u app /bin/sh -c 'echo it'\\''s'");
        assert_eq!(Escalation::new(&sudo(None), "t0").line("id"), "exec sudo -H -n -u app /bin/sh -c id");
    }

    #[test]
    fn su_takes_its_own_flags() {
        let wanted = Become { method: Method::Su, flags: Some(vec!["-l".into()]), ..sudo(None) };
        assert_eq!(Escalation::new(&wanted, "t").line("id"), "exec su -l -s /bin/sh -c id app");
    }

    #[test]
    fn the_password_is_typed_once() {
        let wanted = sudo(Some("hunter2"));
        let mut dialogue = Escalation::new(&wanted, "t0");
        assert_eq!(dialogue.hear("We trust you have received the usual lecture. password:\n[roll t"), Answer::Nothing);
        assert_eq!(dialogue.hear("0] password:"), Answer::Type(Text::secret("hunter2")));
        assert_eq!(dialogue.hear("Sorry, try again.\n[roll t0] password:"), Answer::GiveUp(Denial::WrongPassword));
    }

    #[test]
    fn what_sudo_says_becomes_a_reason() {
        let wanted = sudo(None);
        let denial = |said: &str, code| Escalation::new(&wanted, "t").denial(said, code);
        assert_eq!(denial("sudo: a password is required\n", Some(1)), Denial::NeedsPassword);
        assert!(matches!(denial("ada is not in the sudoers file.", Some(1)), Denial::NotAllowed { .. }));
        assert_eq!(denial("sudo: unknown user nobody2", Some(1)), Denial::NoSuchUser);
        assert_eq!(denial("sh: 1: exec: sudo: not found", Some(127)), Denial::NoSuchProgram);
        assert_eq!(denial("sudo: sorry, you must have a tty to run sudo", Some(1)), Denial::NeedsTerminal);
    }
}
