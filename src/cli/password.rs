//! Passwords: from the terminal, without showing them, or from a file.

use crate::diag::Diagnostic;
use crate::value::Text;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const END_OF_TEXT: u8 = 3;
const END_OF_INPUT: u8 = 4;
const KILL_LINE: u8 = 21;
const BYTES_MAX: usize = 4096;

/// Asks on the terminal; where there is none, reads a line of standard input.
pub(super) fn ask(prompt: &str) -> Result<Text, Diagnostic> {
    let answer = match File::options().read(true).write(true).open("/dev/tty") {
        Ok(terminal) => hidden(&terminal, prompt),
        Err(_) => line_of(&mut io::stdin().lock()),
    };
    answer.map(Text::secret).map_err(|error| Diagnostic::error("no-password", format!("no password could be read: {error}")))
}

/// What a file holds, or what it prints where it is a program; `-` is standard input.
pub(super) fn of_file(path: &Path) -> Result<Text, Diagnostic> {
    let content = if path == Path::new("-") {
        line_of(&mut io::stdin().lock())
    } else if is_program(path) {
        output_of(path, &[])
    } else {
        std::fs::read_to_string(path)
    };
    match content.map(|content| content.trim_end_matches(['\n', '\r']).to_owned()) {
        Ok(content) if content.is_empty() => {
            Err(Diagnostic::error("no-password", format!("password file `{}` is empty", path.display())))
        }
        Ok(content) => Ok(Text::secret(content)),
        Err(error) => {
            Err(Diagnostic::error("no-password", format!("password file `{}` cannot be read: {}", path.display(), plain(&error))))
        }
    }
}

/// The password of a vault: what a file holds or a program prints. A program whose name ends with `-client` is told the id.
pub(super) fn of_vault(path: &Path, id: &str) -> Result<Text, Diagnostic> {
    let is_client = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("-client"));
    let words = ["--vault-id", id];
    let content =
        if is_program(path) { output_of(path, if is_client { &words } else { &[] }) } else { std::fs::read_to_string(path) };
    content.map(|content| Text::secret(content.trim())).map_err(|error| {
        let title = format!("vault password file `{}` cannot be read: {}", path.display(), plain(&error));
        Diagnostic::error("no-password", title)
    })
}

/// Asks for what is no secret.
pub(super) fn ask_openly(prompt: &str) -> Result<String, Diagnostic> {
    super::terminal::complain(prompt);
    let answer = line_of(&mut io::stdin().lock());
    answer.map_err(|error| Diagnostic::error("no-password", format!("no answer could be read: {error}")))
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Without the number behind it.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

fn output_of(program: &Path, args: &[&str]) -> io::Result<String> {
    let program = std::path::absolute(program)?;
    let output = std::process::Command::new(program)
        .args(args)
        .stdin(std::process::Stdio::inherit())
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("it ended with {}", output.status)));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}

/// The terminal as it was, whatever happens.
struct Restored<'a> {
    terminal: &'a File,
    before: Termios,
}

impl Drop for Restored<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

fn hidden(terminal: &File, prompt: &str) -> io::Result<String> {
    let mut writer = terminal;
    writer.write_all(prompt.as_bytes())?;
    let before = tcgetattr(terminal)?;
    let mut raw = before.clone();
    // Ctrl-C is read as a byte: the terminal must not be left without echo.
    raw.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
    raw.special_codes[SpecialCodeIndex::VMIN] = 1;
    raw.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(terminal, OptionalActions::Flush, &raw)?;
    let restored = Restored { terminal, before };
    let typed = typed(&mut { terminal });
    drop(restored);
    writer.write_all(b"\n")?;
    typed
}

fn typed(terminal: &mut impl Read) -> io::Result<String> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut byte = [0];
    while bytes.len() < BYTES_MAX {
        if terminal.read(&mut byte)? == 0 {
            break;
        }
        match byte[0] {
            b'\n' | b'\r' => break,
            END_OF_INPUT if bytes.is_empty() => return Err(io::Error::other("nothing was typed")),
            END_OF_INPUT => break,
            END_OF_TEXT => return Err(io::Error::other("cancelled")),
            KILL_LINE => bytes.clear(),
            8 | 127 => erase(&mut bytes),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// The last character, however many bytes it has.
fn erase(bytes: &mut Vec<u8>) {
    while bytes.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
}

fn line_of(input: &mut impl io::BufRead) -> io::Result<String> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_edited_and_can_be_cancelled() {
        let typed = |bytes: &[u8]| typed(&mut { bytes }).map_err(|error| error.to_string());
        assert_eq!(typed(b"secret\nmore"), Ok("secret".into()));
        assert_eq!(typed("se\u{e9}\u{7f}cret\r".as_bytes()), Ok("secret".into()));
        assert_eq!(typed(b"wrong\x15right\n"), Ok("right".into()));
        assert_eq!(typed(b"half\x03"), Err("cancelled".into()));
    }

    #[test]
    fn a_file_is_read_without_its_newline_and_a_program_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pw");
        std::fs::write(&file, "hunter2\n").unwrap();
        assert_eq!(of_file(&file).unwrap().as_str(), "hunter2");
        assert!(of_file(&file).unwrap().is_secret());
        std::fs::write(&file, "#!/bin/sh\necho from a program\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(of_file(&file).unwrap().as_str(), "from a program");
        assert_eq!(of_file(&dir.path().join("none")).unwrap_err().code, "no-password");
    }
}
