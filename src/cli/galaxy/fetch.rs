//! Bringing a role or a collection here: git, a file, a URL.

use super::requirements::{Kind, Requirement};
use super::server;
use crate::diag::Diagnostic;
use crate::value::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

const TIME_MAX: Duration = Duration::from_secs(300);
/// The largest archive that is taken.
const BYTES_MAX: u64 = 512 * 1024 * 1024;

/// What was brought, in a directory of its own that goes with it.
pub(super) struct Brought {
    dir: PathBuf,
    root: PathBuf,
}

impl Brought {
    pub(super) fn root(&self) -> &Path {
        &self.root
    }
}

impl Drop for Brought {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

pub(super) async fn fetch(requirement: &Requirement, server: Option<&str>) -> Result<Brought, Box<Diagnostic>> {
    let dir = own_dir(&requirement.name)?;
    let mut brought = Brought { root: dir.join("content"), dir };
    if requirement.is_git {
        git(requirement, &brought.root).await?;
        return Ok(brought);
    }
    let source = requirement.source.as_str();
    let archive = match Path::new(source) {
        file if file.is_file() => file.to_owned(),
        _ if source.contains("://") => download(source, &brought.dir).await?,
        _ => download(&server::url(requirement, server).await?, &brought.dir).await?,
    };
    unpack(&archive, &brought.root).await?;
    brought.root = only_dir(&brought.root, requirement.kind).unwrap_or_else(|| brought.root.clone());
    Ok(brought)
}

fn own_dir(name: &str) -> Result<PathBuf, Box<Diagnostic>> {
    use std::os::unix::fs::DirBuilderExt as _;
    let base = std::env::temp_dir();
    for number in 0..100_u32 {
        let dir = base.join(format!("roll-galaxy-{}-{number}", std::process::id()));
        match std::fs::DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(not_fetched(name, &format!("cannot make a directory in {}: {error}", base.display()))),
        }
    }
    Err(not_fetched(name, &format!("no room in {}", base.display())))
}

pub(super) fn not_fetched(name: &str, why: &str) -> Box<Diagnostic> {
    Box::new(Diagnostic::error("not-fetched", format!("`{name}` could not be fetched")).note(why))
}

/// Words that begin with a dash would be flags of `git`.
async fn git(requirement: &Requirement, target: &Path) -> Result<(), Box<Diagnostic>> {
    let name = &requirement.name;
    let version = requirement.version.as_deref();
    if requirement.source.starts_with('-') || version.is_some_and(|version| version.starts_with('-')) {
        return Err(not_fetched(name, "neither its URL nor its version may begin with a dash"));
    }
    let target = target.to_string_lossy().into_owned();
    run("git", &["clone", "--quiet", "--", &requirement.source, &target], name).await?;
    if let Some(version) = version {
        run("git", &["-C", &target, "checkout", "--quiet", version, "--"], name).await?;
    }
    std::fs::remove_dir_all(Path::new(&target).join(".git")).map_err(|error| not_fetched(name, &error.to_string()))
}

async fn run(program: &str, args: &[&str], name: &str) -> Result<(), Box<Diagnostic>> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    command.env("GIT_TERMINAL_PROMPT", "0");
    let output = match tokio::time::timeout(TIME_MAX, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(not_fetched(name, &format!("`{program}` cannot be started: {error}"))),
        Err(_) => return Err(not_fetched(name, &format!("`{program}` took more than {} s", TIME_MAX.as_secs()))),
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(not_fetched(name, said.trim().lines().last().unwrap_or("it failed without a word")))
}

async fn download(url: &str, dir: &Path) -> Result<PathBuf, Box<Diagnostic>> {
    let failed = |why: String| not_fetched(url, &why);
    let mut response = server::get(url).await.map_err(failed)?;
    let file = dir.join("archive.tar.gz");
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(server::plain(&error)))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > BYTES_MAX {
            return Err(failed(format!("it is larger than {} MiB", BYTES_MAX >> 20)));
        }
    }
    std::fs::write(&file, &bytes).map_err(|error| failed(error.to_string()))?;
    Ok(file)
}

/// `tar` itself refuses paths that lead out of the directory.
async fn unpack(archive: &Path, target: &Path) -> Result<(), Box<Diagnostic>> {
    let name = archive.display().to_string();
    std::fs::create_dir_all(target).map_err(|error| not_fetched(&name, &error.to_string()))?;
    let (archive, target) = (archive.to_string_lossy(), target.to_string_lossy());
    run("tar", &["--extract", "--file", &archive, "--directory", &target, "--no-same-owner", "--no-same-permissions"], &name)
        .await
}

/// An archive of a role holds one directory; a collection is at the top.
fn only_dir(root: &Path, kind: Kind) -> Option<PathBuf> {
    if kind == Kind::Collection && root.join("MANIFEST.json").is_file() {
        return None;
    }
    let entries: Vec<PathBuf> = std::fs::read_dir(root).ok()?.flatten().map(|entry| entry.path()).collect();
    match entries.as_slice() {
        [only] if only.is_dir() && !root.join("tasks").exists() => Some(only.clone()),
        _ => None,
    }
}

/// Namespace and name, as the collection itself says.
pub(super) fn collection_name(root: &Path) -> Option<(String, String)> {
    let info = match std::fs::read_to_string(root.join("MANIFEST.json")) {
        Ok(text) => Value::from_json(&text).ok()?.get("collection_info")?.clone(),
        Err(_) => {
            let text = std::fs::read_to_string(root.join("galaxy.yml")).ok()?;
            let reading = crate::yaml::read(&crate::diag::Sources::default(), "galaxy.yml", &text, crate::yaml::Trust::Data);
            reading.document()?.to_value()
        }
    };
    let text = |name: &str| info.get(name).map(|value| value.to_text().to_string());
    Some((text("namespace")?, text("name")?))
}

/// Where renaming cannot reach.
pub(super) fn copied(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copied(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path())?, target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
