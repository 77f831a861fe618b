//! `roll vault`: vaults made, opened and changed, with the flags and the files of `ansible-vault`.

mod args;
mod files;
mod private;

pub(super) use args::VaultCommand;

use super::config::Config;
use super::exit::Exit;
use super::secrets::{self, Identity};
use super::{password, terminal};
use crate::diag::{Diagnostic, Sources};
use crate::vault::{self, Envelope, Problem, Ring, Secret, is_vault};
use args::{FileArgs, KeyArgs, StringArgs};
use files::Place;
use std::io::IsTerminal as _;
use std::path::Path;

pub(super) fn run(command: &VaultCommand) -> Exit {
    let sources = Sources::default();
    let config = Config::of_process(&sources);
    let (_, paint) = terminal::paints(false, &config);
    let job = Job { config: &config, sources: &sources };
    let done = match command {
        VaultCommand::Create { keys, encrypt, skip_tty_check, file } => job.create(keys, encrypt.id(), *skip_tty_check, file),
        VaultCommand::Decrypt(args) => job.decrypt(args),
        VaultCommand::Edit { keys, encrypt, files } => job.edit(keys, encrypt.id(), files),
        VaultCommand::Encrypt { args, encrypt } => job.encrypt(args, encrypt.id()),
        VaultCommand::EncryptString { args, encrypt } => job.encrypt_string(args, encrypt.id()),
        VaultCommand::Rekey { keys, encrypt, new, files } => {
            let identity = match (&new.new_vault_id, &new.new_vault_password_file) {
                (Some(id), _) => Identity::read(id, &config),
                (None, Some(file)) => Identity::of_file(file.clone(), &config),
                (None, None) => Identity::of_prompt(&config),
            };
            job.rekey(keys, encrypt.id(), &identity, files)
        }
        VaultCommand::View { keys, files } => job.view(keys, files),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(diagnostic) => {
            terminal::explain(&[diagnostic], &sources, paint, "");
            Exit::Prevented
        }
    }
}

struct Job<'a> {
    config: &'a Config,
    sources: &'a Sources,
}

type Done = Result<(), Diagnostic>;

impl Job<'_> {
    fn create(&self, keys: &KeyArgs, id: Option<&str>, skip_tty_check: bool, file: &Path) -> Done {
        if file.exists() {
            let error = Diagnostic::error("vault-file-exists", format!("`{}` exists", file.display()));
            return Err(error.help(format!("`roll vault edit {}` changes it", file.display())));
        }
        if !std::io::stdout().is_terminal() && !skip_tty_check {
            return Err(Diagnostic::error("no-terminal", "there is no terminal for an editor")
                .help("with `--skip-tty-check` the editor is started anyway"));
        }
        let (secret, id) = self.closing(keys, id)?;
        let plain = private::edited(b"")?;
        Place::File(file.to_owned()).write(self.close(&plain, &secret, &id)?.as_bytes())
    }

    fn edit(&self, keys: &KeyArgs, id: Option<&str>, files: &[std::path::PathBuf]) -> Done {
        let ring = self.ring(keys, false)?;
        for file in files {
            let place = Place::File(file.clone());
            let text = place.vault()?;
            let plain = opened(&ring, &text, &place)?;
            let edited = private::edited(&plain)?;
            if edited == plain && id.is_none() {
                continue;
            }
            let secret = match id {
                Some(_) => ring.to_close_with(id).map_err(explained)?.clone(),
                None => self.secret_of(&ring, &text)?,
            };
            let id = id.unwrap_or(&secret.id).to_owned();
            place.write(self.close(&edited, &secret, &id)?.as_bytes())?;
        }
        Ok(())
    }

    /// The secret that the vault says, else the only one.
    fn secret_of(&self, ring: &Ring, text: &str) -> Result<Secret, Diagnostic> {
        let id = Envelope::read(text).map_err(explained)?.id;
        let named = ring.to_close_with(Some(id.as_deref().unwrap_or(vault::DEFAULT_ID)));
        named.or_else(|_| ring.to_close_with(None)).cloned().map_err(explained)
    }

    fn view(&self, keys: &KeyArgs, files: &[std::path::PathBuf]) -> Done {
        let ring = self.ring(keys, false)?;
        for file in files {
            let place = Place::of(file);
            let plain = opened(&ring, &place.vault()?, &place)?;
            private::page(&plain)?;
        }
        Ok(())
    }

    fn encrypt(&self, args: &FileArgs, id: Option<&str>) -> Done {
        let (secret, id) = self.closing(&args.keys, id)?;
        for (from, to) in args.places()? {
            let plain = from.read()?;
            if is_vault(&plain) {
                return Err(Diagnostic::error("vault-already", format!("{from} is encrypted already")));
            }
            to.write(self.close(&plain, &secret, &id)?.as_bytes())?;
        }
        say("Encryption successful");
        Ok(())
    }

    fn decrypt(&self, args: &FileArgs) -> Done {
        let ring = self.ring(&args.keys, false)?;
        for (from, to) in args.places()? {
            to.write(&opened(&ring, &from.vault()?, &from)?)?;
        }
        say("Decryption successful");
        Ok(())
    }

    fn rekey(&self, keys: &KeyArgs, id: Option<&str>, new: &Identity, files: &[std::path::PathBuf]) -> Done {
        let ring = self.ring(keys, false)?;
        let mut plains = Vec::new();
        for file in files {
            let place = Place::File(file.clone());
            plains.push((opened(&ring, &place.vault()?, &place)?, place));
        }
        let secret = new.secret(true)?;
        let id = id.unwrap_or(&secret.id);
        for (plain, place) in plains {
            place.write(self.close(&plain, &secret, id)?.as_bytes())?;
        }
        terminal::complain("Rekey successful\n");
        Ok(())
    }

    fn encrypt_string(&self, args: &StringArgs, id: Option<&str>) -> Done {
        let (secret, id) = self.closing(&args.keys, id)?;
        let mut names = args.name.iter();
        let mut out = String::new();
        for plain in args.strings()? {
            let name = plain.name.clone().or_else(|| names.next().cloned());
            out.push_str(&as_yaml(name.as_deref(), &self.close(plain.text.as_bytes(), &secret, &id)?));
        }
        match &args.output {
            Some(output) => Place::of(output).write(out.as_bytes()),
            None => Place::Stream.write(out.as_bytes()),
        }
    }

    /// What to encrypt with and under which id.
    fn closing(&self, keys: &KeyArgs, id: Option<&str>) -> Result<(Secret, String), Diagnostic> {
        let id = id.or_else(|| self.config.text("vault_encrypt_identity"));
        let ring = self.ring(keys, true)?;
        let secret = ring.to_close_with(id).map_err(explained)?;
        Ok((secret.clone(), secret.id.clone()))
    }

    /// Where nothing says what the password is, it is asked for.
    fn ring(&self, keys: &KeyArgs, is_new: bool) -> Result<Ring, Diagnostic> {
        let mut identities = secrets::identities(&keys.vault, self.config);
        if identities.is_empty() {
            identities.push(Identity::of_prompt(self.config));
        }
        let (ring, warnings) = secrets::ring(&identities, self.config, is_new)?;
        let (_, paint) = terminal::paints(false, self.config);
        terminal::warn(&warnings, self.sources, paint);
        Ok(ring)
    }

    fn close(&self, plain: &[u8], secret: &Secret, id: &str) -> Result<String, Diagnostic> {
        let salt = self.config.text("vault_encrypt_salt").map(str::as_bytes);
        vault::close(plain, &secret.password, id, salt).map_err(explained)
    }
}

fn opened(ring: &Ring, text: &str, place: &Place) -> Result<Vec<u8>, Diagnostic> {
    ring.open(text).map_err(|problem| explained(problem).note(format!("it was read from {place}")))
}

fn explained(problem: Problem) -> Diagnostic {
    match problem {
        Problem::NoSuchId { .. } | Problem::ManyIds { .. } => Diagnostic::error("vault-id", problem.to_string()),
        other => Diagnostic::error("closed-vault", other.to_string()),
    }
}

/// Not where the answer is read by a program.
fn say(text: &str) {
    if std::io::stdout().is_terminal() {
        terminal::complain(&format!("{text}\n"));
    }
}

/// A value of a playbook.
fn as_yaml(name: Option<&str>, vault: &str) -> String {
    let mut out = name.map_or_else(String::new, |name| format!("{name}: "));
    out.push_str("!vault |\n");
    for line in vault.lines() {
        out.push_str("          ");
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// A text that is to be encrypted.
struct Plain {
    name: Option<String>,
    text: String,
}

impl StringArgs {
    /// From a prompt, from standard input, and from the command line, in this order.
    fn strings(&self) -> Result<Vec<Plain>, Diagnostic> {
        let mut plains = Vec::new();
        if self.prompt {
            plains.push(self.asked()?);
        }
        let reads_input = self.strings.iter().any(|text| text == "-") || self.stdin_name.is_some();
        if reads_input {
            let text = String::from_utf8(Place::Stream.read()?)
                .map_err(|_| Diagnostic::error("closed-vault", "what was read from standard input is no text"))?;
            plains.push(Plain { name: self.stdin_name.clone(), text });
        }
        let words = self.strings.iter().filter(|text| *text != "-");
        plains.extend(words.map(|text| Plain { name: None, text: text.clone() }));
        if plains.is_empty() {
            plains.push(self.asked()?);
        }
        Ok(plains)
    }

    fn asked(&self) -> Result<Plain, Diagnostic> {
        let name = if self.name.is_empty() { Some(password::ask_openly("Variable name (enter for no name): ")?) } else { None };
        let text = if self.show_input {
            password::ask_openly("String to encrypt: ")?
        } else {
            let text = password::ask("String to encrypt (hidden): ")?;
            if text != password::ask("Confirm String to encrypt (hidden): ")? {
                return Err(Diagnostic::error("no-password", "the two answers differ"));
            }
            text.as_str().to_owned()
        };
        if text.is_empty() {
            return Err(Diagnostic::error("no-password", "the text to encrypt is empty"));
        }
        Ok(Plain { name: name.filter(|name| !name.is_empty()), text })
    }
}
