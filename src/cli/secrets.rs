//! The secrets that vaults are opened with: from flags, settings, files, programs and the terminal.

use super::args::VaultArgs;
use super::config::{Config, expanded};
use super::password;
use crate::diag::{Diagnostic, Opener, Sources};
use crate::value::Text;
use crate::vault::{DEFAULT_ID, Ring, Secret};
use std::path::PathBuf;
use std::sync::Arc;

/// Where the password of an id comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: String,
    origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Prompt,
    File(PathBuf),
}

impl Identity {
    /// `label@source`, or a source alone.
    pub(super) fn read(word: &str, config: &Config) -> Identity {
        let (label, source) = word.split_once('@').unwrap_or(("", word));
        let id = if label.is_empty() { default_id(config) } else { label.to_owned() };
        let origin = match source {
            "prompt" | "prompt_ask_vault_pass" => Origin::Prompt,
            path => Origin::File(expanded(path, std::env::home_dir().as_deref())),
        };
        Identity { id, origin }
    }

    pub(super) fn of_file(path: PathBuf, config: &Config) -> Identity {
        Identity { id: default_id(config), origin: Origin::File(path) }
    }

    pub(super) fn of_prompt(config: &Config) -> Identity {
        Identity { id: default_id(config), origin: Origin::Prompt }
    }

    /// A new password is typed twice.
    pub(super) fn secret(&self, is_new: bool) -> Result<Secret, Diagnostic> {
        let password = match &self.origin {
            Origin::File(path) => password::of_vault(path, &self.id)?,
            Origin::Prompt => self.typed(is_new)?,
        };
        if password.is_empty() {
            return Err(Diagnostic::error("no-password", format!("the vault password of `{}` is empty", self.id)));
        }
        Ok(Secret { id: self.id.clone(), password })
    }

    fn typed(&self, is_new: bool) -> Result<Text, Diagnostic> {
        let of = if self.id == DEFAULT_ID { String::new() } else { format!(" ({})", self.id) };
        if !is_new {
            return password::ask(&format!("Vault password{of}: "));
        }
        let password = password::ask(&format!("New Vault password{of}: "))?;
        let again = password::ask(&format!("Confirm New Vault password{of}: "))?;
        if password != again {
            return Err(Diagnostic::error("no-password", "the two passwords differ"));
        }
        Ok(password)
    }
}

fn default_id(config: &Config) -> String {
    config.text("vault_identity").unwrap_or(DEFAULT_ID).to_owned()
}

/// What flags and settings name, in the order in which it is tried.
pub(super) fn identities(args: &VaultArgs, config: &Config) -> Vec<Identity> {
    let named = config.texts("vault_identity_list").into_iter().chain(args.vault_id.iter().cloned());
    let mut all: Vec<Identity> = named.map(|word| Identity::read(&word, config)).collect();
    let home = std::env::home_dir();
    let files = args.vault_password_file.iter().map(|path| expanded(&path.to_string_lossy(), home.as_deref()));
    all.extend(files.chain(config.path("vault_password_file")).map(|path| Identity::of_file(path, config)));
    let is_asked = args.ask_vault_password || (all.is_empty() && config.is("ask_vault_pass"));
    if is_asked {
        all.push(Identity::of_prompt(config));
    }
    all
}

/// All secrets that can be had. One that cannot is a warning where another one can.
pub(super) fn ring(identities: &[Identity], config: &Config, is_new: bool) -> Result<(Ring, Vec<Diagnostic>), Diagnostic> {
    let mut secrets = Vec::new();
    let mut warnings = Vec::new();
    for identity in identities {
        match identity.secret(is_new) {
            Ok(secret) => secrets.push(secret),
            Err(diagnostic) if identity.origin == Origin::Prompt => return Err(diagnostic),
            Err(diagnostic) => warnings.push(diagnostic),
        }
    }
    if secrets.is_empty() && !warnings.is_empty() {
        return Err(warnings.swap_remove(0));
    }
    warnings.iter_mut().for_each(|warning| warning.severity = crate::diag::Severity::Warning);
    Ok((Ring::new(secrets, config.is("vault_id_match")), warnings))
}

/// From now on vaults are opened with what flags and settings name.
pub(super) fn open_vaults(args: &VaultArgs, config: &Config, sources: &Sources) -> Vec<Diagnostic> {
    match ring(&identities(args, config), config, false) {
        Ok((ring, warnings)) => {
            sources.open_with(Arc::new(Keys(ring)));
            warnings
        }
        Err(diagnostic) => vec![diagnostic],
    }
}

#[derive(Debug)]
struct Keys(Ring);

impl Opener for Keys {
    fn open(&self, vault: &str) -> Result<Vec<u8>, String> {
        self.0.open(vault).map_err(|problem| problem.to_string())
    }

    fn open_text(&self, vault: &str) -> Result<Text, String> {
        self.0.open_text(vault).map_err(|problem| problem.to_string())
    }

    fn has_opened(&self, text: &str) -> bool {
        self.0.has_opened(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_id_is_a_label_and_a_source() {
        let config = Config::default();
        let read = |word: &str| Identity::read(word, &config);
        assert_eq!(read("dev@pw.txt"), Identity { id: "dev".into(), origin: Origin::File("pw.txt".into()) });
        assert_eq!(read("pw.txt"), Identity { id: "default".into(), origin: Origin::File("pw.txt".into()) });
        assert_eq!(read("dev@prompt"), Identity { id: "dev".into(), origin: Origin::Prompt });
        assert_eq!(read("a@b@c"), Identity { id: "a".into(), origin: Origin::File("b@c".into()) });
    }

    #[test]
    fn one_password_that_cannot_be_had_does_not_stand_in_the_way_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pw");
        std::fs::write(&file, "  secret \n").unwrap();
        let args = VaultArgs { vault_id: vec!["x@/nope/none".into(), format!("y@{}", file.display())], ..VaultArgs::default() };
        let config = Config::default();
        let (ring, warnings) = ring(&identities(&args, &config), &config, false).unwrap();
        assert_eq!((ring.ids(), warnings.len()), (vec!["y".to_owned()], 1));
        assert_eq!(ring.to_close_with(None).unwrap().password.as_str(), "secret");
        let none = VaultArgs { vault_id: vec!["x@/nope/none".into()], ..VaultArgs::default() };
        assert!(super::ring(&identities(&none, &config), &config, false).is_err());
    }
}
