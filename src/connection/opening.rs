//! From a started command to a host program that said hello: one command line, one dialogue.
//!
//! The command is POSIX shell on one line, without newline, `!`, backslash or single quote in it, so that any login shell
//! hands it on unharmed. It looks for the program in the user's cache and becomes it; if it is not there it says so, takes it
//! from standard input, and becomes it. Whatever a login shell prints before is skipped: every line that counts begins with
//! a random token. Files are only run when the user owns both them and their directory.

use super::escalation::{Answer, Escalation, quoted};
use super::pipe::{Input, Piece, Pipe};
use super::programs::{MACHINES, Packing, Program, Programs};
use super::remote::Frames;
use super::{Become, ConnectError, Denial, Stage};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// What a login shell may print before the program starts.
const NOISE_MAX: usize = 64 << 10;
/// How long nothing may happen. Slow user directories behind `sudo` need their time.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// A packet's worth: larger writes run into trouble where keys are renewed.
const PIECE: usize = 32 << 10;

/// One opening dialogue.
#[derive(Debug)]
pub(super) struct Opening<'a> {
    host: &'a str,
    token: String,
    escalation: Option<(Escalation<'a>, &'a Become)>,
    out: Vec<u8>,
    err: Vec<u8>,
    code: Option<i32>,
    /// Whether questions come on standard output too.
    is_terminal: bool,
}

impl<'a> Opening<'a> {
    pub(super) fn new(host: &'a str, wanted: Option<&'a Become>) -> Opening<'a> {
        // On a terminal the question comes where the answer does: they must differ.
        let escalation = wanted.map(|wanted| (Escalation::new(wanted, &token()), wanted));
        Opening { host, token: token(), escalation, out: Vec::new(), err: Vec::new(), code: None, is_terminal: false }
    }

    /// The command line that ends in the host program.
    pub(super) fn program_line(&self, programs: &Programs) -> String {
        self.line(&script(&self.token, programs))
    }

    /// A command line for `command` as it is, after a line with the token when another user runs it.
    pub(super) fn command_line(&self, command: &str) -> String {
        match &self.escalation {
            None => command.to_owned(),
            Some(_) => self.line(&format!("echo; echo \"{} go\"; {command}", self.token)),
        }
    }

    fn line(&self, script: &str) -> String {
        match &self.escalation {
            None => format!("exec /bin/sh -c {}", quoted(script)),
            Some((escalation, _)) => escalation.line(script),
        }
    }

    /// Goes through the dialogue until the program's first bytes.
    pub(super) async fn run(mut self, mut pipe: Pipe, programs: &Programs) -> Result<Frames, ConnectError> {
        loop {
            let word = self.word(&mut pipe).await?;
            match word.split_once(' ').unwrap_or((&word, "")) {
                ("go", _) => return Ok(Frames::new(pipe, std::mem::take(&mut self.out))),
                ("need", what) => {
                    let (machine, tool) = what.split_once(' ').unwrap_or((what, ""));
                    match programs.get(machine).and_then(|program| program.packing(tool)) {
                        Some(packing) => self.deliver(&mut pipe, packing).await?,
                        None => return Err(self.no_program(machine, programs)),
                    }
                }
                ("machine", machine) => return Err(self.no_program(machine, programs)),
                ("nowhere", _) => {
                    let reason = "no directory of this user lets programs run (mounted noexec, or not writable): tried ~/.cache, \
                                  /run/user, /var/tmp, /tmp and /dev/shm";
                    return Err(ConnectError::CannotRun { host: self.host.to_owned(), reason: reason.to_owned() });
                }
                _ => {
                    let reason = format!("it could not be stored: {}", self.said());
                    return Err(ConnectError::CannotRun { host: self.host.to_owned(), reason });
                }
            }
        }
    }

    /// Goes through the password dialogue of a command line; answers with what the command printed so far.
    pub(super) async fn run_command(mut self, pipe: &mut Pipe, is_terminal: bool) -> Result<Vec<u8>, ConnectError> {
        self.is_terminal = is_terminal;
        if self.escalation.is_some() {
            self.word(pipe).await?;
        }
        Ok(self.out)
    }

    async fn deliver(&mut self, pipe: &mut Pipe, packing: &Packing) -> Result<(), ConnectError> {
        let Some(mut input) = pipe.take_input() else { return Ok(()) };
        let send = async {
            for piece in packing.bytes.chunks(PIECE) {
                input.write_all(piece).await?;
            }
            input.flush().await
        };
        // A host that cannot store it says so, or hangs up, before all of it is sent.
        tokio::select! {
            sent = send => if sent.is_ok() { pipe.put_input(input) },
            answer = self.fill(pipe) => answer?,
        }
        Ok(())
    }

    /// Waits for the next line with the token; answers with the rest of the line.
    async fn word(&mut self, pipe: &mut Pipe) -> Result<String, ConnectError> {
        loop {
            if let Some(word) = self.take_word() {
                return Ok(word);
            }
            if self.out.len() > NOISE_MAX {
                return Err(ConnectError::Garbage { host: self.host.to_owned(), bytes: first(&self.out) });
            }
            self.step(pipe).await?;
        }
    }

    /// Takes in output until there is a whole word.
    async fn fill(&mut self, pipe: &mut Pipe) -> Result<(), ConnectError> {
        while self.word_range().is_none() {
            self.step(pipe).await?;
        }
        Ok(())
    }

    async fn step(&mut self, pipe: &mut Pipe) -> Result<(), ConnectError> {
        let late = |_| ConnectError::Timeout {
            host: self.host.to_owned(),
            address: self.host.to_owned(),
            after: SILENCE_MAX,
            stage: Stage::Opening,
        };
        let piece = tokio::time::timeout(SILENCE_MAX, pipe.next()).await.map_err(late)?;
        match piece {
            Some(Piece::Out(bytes)) => {
                self.out.extend(&bytes);
                if self.is_terminal && self.word_range().is_none() {
                    self.hear(pipe, &bytes).await?;
                }
            }
            Some(Piece::Err(bytes)) => {
                self.err.extend(&bytes);
                self.err.drain(..self.err.len().saturating_sub(NOISE_MAX));
                self.hear(pipe, &bytes).await?;
            }
            Some(Piece::Exit(code)) => self.code = Some(code),
            Some(Piece::Refused) => return Err(self.channel("the server does not run commands for this user")),
            None => return Err(self.ending(pipe)),
        }
        Ok(())
    }

    async fn hear(&mut self, pipe: &mut Pipe, bytes: &[u8]) -> Result<(), ConnectError> {
        let Some((escalation, _)) = &mut self.escalation else { return Ok(()) };
        match escalation.hear(&String::from_utf8_lossy(bytes)) {
            Answer::Nothing => Ok(()),
            Answer::GiveUp(denial) => Err(self.denied(denial)),
            Answer::Type(password) => {
                let Some(mut input) = pipe.take_input() else { return Ok(()) };
                // If it hung up meanwhile, the end of its output says why.
                if type_line(&mut input, password.as_str()).await.is_ok() {
                    pipe.put_input(input);
                }
                Ok(())
            }
        }
    }

    fn take_word(&mut self) -> Option<String> {
        let (from, to) = self.word_range()?;
        let word = String::from_utf8_lossy(&self.out[from..to]).trim().to_owned();
        self.out.drain(..=to);
        Some(word)
    }

    fn word_range(&self) -> Option<(usize, usize)> {
        let start = find(&self.out, self.token.as_bytes())? + self.token.len();
        let length = self.out[start..].iter().position(|byte| *byte == b'\n')?;
        Some((start, start + length))
    }

    /// The output ended before the program began.
    fn ending(&self, pipe: &Pipe) -> ConnectError {
        if let Some(reason) = pipe.reason() {
            return self.channel(&reason);
        }
        if let Some((escalation, _)) = &self.escalation {
            return self.denied(escalation.denial(&self.said(), self.code));
        }
        let code = self.code.map(|code| format!(" with code {code}")).unwrap_or_default();
        self.channel(&format!("the login shell ended{code}: {}", self.said()))
    }

    fn denied(&self, denial: Denial) -> ConnectError {
        let (method, user) = match &self.escalation {
            Some((_, wanted)) => (wanted.method.name(), wanted.user.clone()),
            None => ("", String::new()),
        };
        ConnectError::Become { host: self.host.to_owned(), method, user, denial }
    }

    fn no_program(&self, machine: &str, programs: &Programs) -> ConnectError {
        ConnectError::Architecture {
            host: self.host.to_owned(),
            machine: machine.to_owned(),
            have: programs.each().map(|program| program.machine.to_owned()).collect(),
        }
    }

    fn channel(&self, reason: &str) -> ConnectError {
        ConnectError::Channel { host: self.host.to_owned(), reason: reason.to_owned() }
    }

    /// The last thing it said, on standard error if anything is there.
    fn said(&self) -> String {
        let text = if self.err.is_empty() { &self.out } else { &self.err };
        String::from_utf8_lossy(&text[text.len().saturating_sub(1000)..]).trim().to_owned()
    }
}

async fn type_line(input: &mut Input, text: &str) -> std::io::Result<()> {
    input.write_all(text.as_bytes()).await?;
    input.write_all(b"\n").await?;
    input.flush().await
}

fn token() -> String {
    random::<16>().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> [u8; N] {
    use russh::keys::ssh_key::rand_core::Rng as _;
    let mut bytes = [0; N];
    russh::keys::key::safe_rng().fill_bytes(&mut bytes);
    bytes
}

/// What is shown of something that should not be there.
pub(super) fn first(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len().min(200)].to_vec()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// See the room's doc. `t` token, `a` machine, `n` name, `z` bytes unpacked, `k` how to unpack, `s` bytes sent, `c` cache, `u` user id,
/// `f` the directory chosen, `g` becomes the program in a directory if it is there.
fn script(token: &str, programs: &Programs) -> String {
    let rows: String = programs.each().map(row).collect();
    format!(
        "t={token}; a=$(uname -m); case \"$a\" in {rows}*) echo; echo \"$t machine $a\"; exit 0;; esac; \
         g() {{ if [ -L \"$1\" ]; then return; fi; \
         if [ -O \"$1\" ] && [ -f \"$1/$n\" ] && [ -O \"$1/$n\" ] && [ -x \"$1/$n\" ]; then \
         echo; echo \"$t go\"; exec \"$1/$n\"; fi; }}; \
         c=$XDG_CACHE_HOME; if [ -O \"$c\" ]; then :; elif [ -O \"$HOME\" ]; then c=$HOME/.cache; else c=/dev/null; fi; \
         g \"$c/roll\"; u=$(id -u); f=; \
         set -- \"$c/roll\" \"/run/user/$u/roll\" \"/var/tmp/roll-$u\" \"/tmp/roll-$u\" \"/dev/shm/roll-$u\"; \
         for d in \"$@\"; do g \"$d\"; done; \
         for d in \"$@\"; do if [ -L \"$d\" ]; then continue; fi; \
         (umask 077; mkdir -p \"$d\") 2>/dev/null; if [ -O \"$d\" ]; then :; else continue; fi; \
         if (umask 077; echo : >\"$d/.try$$\" && chmod 700 \"$d/.try$$\" && \"$d/.try$$\") 2>/dev/null; then f=$d; fi; \
         rm -f \"$d/.try$$\"; if [ -n \"$f\" ]; then break; fi; done; \
         if [ -z \"$f\" ]; then echo; echo \"$t nowhere\"; exit 0; fi; \
         echo; echo \"$t need $a ${{k%% *}}\"; p=$f/.$n.$$; \
         if (umask 077; head -c $s | $k >\"$p\") && [ $(wc -c <\"$p\") -eq $z ] && chmod 700 \"$p\" && mv -f \"$p\" \"$f/$n\"; then \
         find \"$f\" -name \"roll-remote-*\" -mtime +30 -atime +30 -exec rm -f {{}} + 2>/dev/null; g \"$f\"; fi; \
         rm -f \"$p\"; echo; echo \"$t broken\""
    )
}

/// What the script knows of one program: of the packings the first that the host has a tool for, else the last.
fn row(program: &Program) -> String {
    let names = MACHINES.iter().filter(|(machine, _)| *machine == program.machine);
    let names: Vec<&str> = names.flat_map(|(machine, others)| std::iter::once(*machine).chain(others.iter().copied())).collect();
    let mut choice = String::new();
    for (place, Packing { tool, bytes }) in program.packings.iter().enumerate() {
        let take = format!("k=\"{}\" s={}", tool.command(), bytes.len());
        if place + 1 == program.packings.len() {
            choice += &take;
            choice += &"; fi".repeat(place);
        } else {
            choice += &format!("if command -v {} >/dev/null 2>&1; then {take}; else ", tool.name());
        }
    }
    format!("{}) n={} z={}; {choice};; ", names.join("|"), program.name, program.size)
}

#[cfg(test)]
mod tests {
    use super::super::programs::Tool;
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    /// A stand-in for the host program: says one line and ends. No two have the same bytes, and so the same name.
    fn stand_in(directory: &Path) -> Programs {
        let file = directory.join("stand-in");
        std::fs::write(&file, format!("#!/bin/sh\n# {}\necho started $0\n", directory.display())).unwrap();
        Programs::of_file(&file)
    }

    async fn open(home: &Path, before: &str, programs: &Programs) -> Result<String, ConnectError> {
        let opening = Opening::new("web", None);
        let line = format!("export HOME={}; unset XDG_CACHE_HOME; {before} {}", home.display(), opening.program_line(programs));
        let frames = opening.run(super::super::local::exec("web", &line, None)?, programs).await?;
        Ok(frames.rest_as_text().await)
    }

    #[test]
    fn no_login_shell_stumbles_over_the_script() {
        let home = tempfile::tempdir().unwrap();
        let line = Opening::new("web", None).program_line(&stand_in(home.path()));
        let (head, script) = line.split_at("exec /bin/sh -c '".len());
        assert_eq!(head, "exec /bin/sh -c '");
        assert!(!script.trim_end_matches('\'').contains(['\n', '!', '\\', '\'']), "{script}");
    }

    #[tokio::test]
    async fn the_program_is_delivered_once_and_privately() {
        let home = tempfile::tempdir().unwrap();
        let programs = stand_in(home.path());
        let said = open(home.path(), "echo noise;", &programs).await.unwrap();
        let name = programs.each().next().unwrap().name.clone();
        let stored = home.path().join(".cache/roll").join(&name);
        assert_eq!(said, format!("started {}\n", stored.display()));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&stored), mode(stored.parent().unwrap())), (0o700, 0o700));
        assert_eq!(std::fs::read_dir(stored.parent().unwrap()).unwrap().count(), 1);
        // The second time it is there: what lies in the cache is what runs.
        std::fs::write(&stored, "#!/bin/sh\necho kept\n").unwrap();
        assert_eq!(open(home.path(), "", &programs).await.unwrap(), "kept\n");
    }

    #[tokio::test]
    async fn a_packed_program_is_unpacked_by_the_host() {
        let home = tempfile::tempdir().unwrap();
        let programs = stand_in(home.path());
        for tools in [&[Tool::Xz, Tool::Gzip][..], &[Tool::Gzip], &[Tool::Xz]] {
            let said = open(home.path(), "", &programs.packed(tools)).await.unwrap();
            assert!(said.starts_with("started "), "{tools:?}: {said}");
            std::fs::remove_dir_all(home.path().join(".cache")).unwrap();
        }
    }

    /// A directory with what the script needs, and nothing to unpack with but what is named.
    fn tools(home: &Path, more: &[&str]) -> String {
        let tools = home.join("tools");
        std::fs::create_dir(&tools).unwrap();
        for tool in ["uname", "id", "mkdir", "chmod", "rm", "head", "wc", "mv"].iter().chain(more) {
            std::os::unix::fs::symlink(Path::new("/bin").join(tool), tools.join(tool)).unwrap();
        }
        format!("export PATH={};", tools.display())
    }

    #[tokio::test]
    async fn a_host_without_xz_gets_what_gzip_unpacks() {
        let home = tempfile::tempdir().unwrap();
        let programs = stand_in(home.path()).packed(&[Tool::Xz, Tool::Gzip]);
        let said = open(home.path(), &tools(home.path(), &["gzip"]), &programs).await.unwrap();
        assert!(said.starts_with("started "), "{said}");
    }

    #[tokio::test]
    async fn a_host_without_either_says_so() {
        let home = tempfile::tempdir().unwrap();
        let programs = stand_in(home.path()).packed(&[Tool::Xz, Tool::Gzip]);
        let failure = open(home.path(), &tools(home.path(), &[]), &programs).await.unwrap_err();
        let ConnectError::CannotRun { reason, .. } = failure else { panic!("{failure:?}") };
        assert!(reason.contains("gzip") && reason.contains("not found"), "{reason}");
        let left = std::fs::read_dir(home.path().join(".cache/roll")).unwrap().count();
        assert_eq!(left, 0, "half a program was left behind");
    }

    #[tokio::test]
    async fn any_login_shell_and_any_sh_will_do() {
        let home = tempfile::tempdir().unwrap();
        let programs = stand_in(home.path());
        for shell in
            ["/bin/sh", "/bin/bash", "/bin/dash", "/bin/ksh", "/bin/zsh", "/usr/bin/tcsh", "/usr/bin/fish", "/bin/busybox"]
        {
            if !Path::new(shell).exists() {
                continue;
            }
            for outer in [false, true] {
                let opening = Opening::new("web", None);
                let mut line = opening.program_line(&programs);
                let shell = if shell.ends_with("busybox") { "/bin/busybox sh" } else { shell };
                let is_posix = !shell.ends_with("csh") && !shell.ends_with("fish");
                match (outer, is_posix) {
                    (true, _) => line = format!("exec {shell} -c {}", quoted(&line)),
                    (false, true) => line = line.replace("exec /bin/sh", &format!("exec {shell}")),
                    (false, false) => continue,
                }
                let line = format!("export HOME={}; unset XDG_CACHE_HOME; {line}", home.path().display());
                let frames = opening.run(super::super::local::exec("web", &line, None).unwrap(), &programs).await;
                let said = frames.unwrap_or_else(|failure| panic!("{shell}: {failure:?}")).rest_as_text().await;
                assert!(said.contains("/.cache/roll/"), "{shell}: {said}");
                std::fs::remove_dir_all(home.path().join(".cache")).unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_used_is_passed_over() {
        let home = tempfile::tempdir().unwrap();
        let programs = stand_in(home.path());
        std::fs::write(home.path().join(".cache"), "not a directory").unwrap();
        let said = open(home.path(), "", &programs).await.unwrap();
        let file = said.trim().strip_prefix("started ").unwrap();
        assert!(!file.starts_with(home.path().to_str().unwrap()), "{said}");
        std::fs::remove_file(file).unwrap();
    }

    #[tokio::test]
    async fn a_machine_without_a_program_is_named() {
        let home = tempfile::tempdir().unwrap();
        let failure = open(home.path(), "", &Programs::default()).await.unwrap_err();
        let ConnectError::Architecture { machine, .. } = failure else { panic!("{failure:?}") };
        assert_eq!(machine, std::env::consts::ARCH);
    }

    #[tokio::test]
    async fn endless_noise_is_cut_off() {
        let home = tempfile::tempdir().unwrap();
        let failure = open(home.path(), "exec yes;", &stand_in(home.path())).await.unwrap_err();
        let ConnectError::Garbage { bytes, .. } = failure else { panic!("{failure:?}") };
        assert_eq!(bytes.len(), 200);
    }
}
