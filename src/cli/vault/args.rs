//! What can be typed after `roll vault`.

use super::files::Place;
use crate::cli::args::VaultArgs;
use crate::diag::Diagnostic;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum VaultCommand {
    /// Write a new encrypted file in an editor
    Create {
        #[command(flatten)]
        keys: KeyArgs,
        #[command(flatten)]
        encrypt: EncryptArgs,
        /// Start the editor where there is no terminal, too
        #[arg(long)]
        skip_tty_check: bool,
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Replace encrypted files by what is in them
    Decrypt(FileArgs),
    /// Change encrypted files in an editor
    Edit {
        #[command(flatten)]
        keys: KeyArgs,
        #[command(flatten)]
        encrypt: EncryptArgs,
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Encrypt files
    Encrypt {
        #[command(flatten)]
        args: FileArgs,
        #[command(flatten)]
        encrypt: EncryptArgs,
    },
    /// Encrypt values for a playbook
    #[command(name = "encrypt_string", visible_alias = "encrypt-string")]
    EncryptString {
        #[command(flatten)]
        args: StringArgs,
        #[command(flatten)]
        encrypt: EncryptArgs,
    },
    /// Give encrypted files another password
    Rekey {
        #[command(flatten)]
        keys: KeyArgs,
        #[command(flatten)]
        encrypt: EncryptArgs,
        #[command(flatten)]
        new: NewArgs,
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Show what is in encrypted files
    View {
        #[command(flatten)]
        keys: KeyArgs,
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
}

#[derive(Debug, Clone, Default, Args)]
pub(in crate::cli) struct KeyArgs {
    #[command(flatten)]
    pub(super) vault: VaultArgs,
    /// Accepted
    #[arg(short, long, action = clap::ArgAction::Count, hide = true)]
    verbose: u8,
}

#[derive(Debug, Clone, Default, Args)]
pub(in crate::cli) struct EncryptArgs {
    /// The vault id to encrypt with, where several are given
    #[arg(long, value_name = "ID")]
    encrypt_vault_id: Option<String>,
}

impl EncryptArgs {
    pub(super) fn id(&self) -> Option<&str> {
        self.encrypt_vault_id.as_deref()
    }
}

#[derive(Debug, Clone, Default, Args)]
pub(in crate::cli) struct NewArgs {
    /// The new vault id: LABEL@SOURCE
    #[arg(long, value_name = "ID", conflicts_with = "new_vault_password_file")]
    pub(super) new_vault_id: Option<String>,
    /// The file of the new password
    #[arg(long, value_name = "FILE")]
    pub(super) new_vault_password_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Default, Args)]
pub(in crate::cli) struct FileArgs {
    #[command(flatten)]
    pub(super) keys: KeyArgs,
    /// Where to write instead; - is standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Files; - or none is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl FileArgs {
    /// What to read and where to write.
    pub(super) fn places(&self) -> Result<Vec<(Place, Place)>, Diagnostic> {
        if self.output.is_some() && self.files.len() > 1 {
            return Err(Diagnostic::error("vault-output", "with `--output` there can be one file only"));
        }
        let to = |from: &Place| self.output.as_ref().map_or_else(|| from.clone(), |output| Place::of(output));
        let mut from: Vec<Place> = self.files.iter().map(|file| Place::of(file)).collect();
        if from.is_empty() {
            from.push(Place::Stream);
        }
        Ok(from.into_iter().map(|from| (from.clone(), to(&from))).collect())
    }
}

#[derive(Debug, Clone, Default, Args)]
pub(in crate::cli) struct StringArgs {
    #[command(flatten)]
    pub(super) keys: KeyArgs,
    /// Where to write instead; - is standard output
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Ask for the text
    #[arg(short, long)]
    pub(super) prompt: bool,
    /// Show what is typed
    #[arg(long)]
    pub(super) show_input: bool,
    /// The name of the variable; may be repeated
    #[arg(short, long, value_name = "NAME")]
    pub(super) name: Vec<String>,
    /// The name of the variable whose value is read from standard input
    #[arg(long, value_name = "NAME")]
    pub(super) stdin_name: Option<String>,
    /// Texts to encrypt; others can see them in the list of processes, so better use - or --prompt
    #[arg(value_name = "TEXT")]
    pub(super) strings: Vec<String>,
}
