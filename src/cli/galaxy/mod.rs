//! `roll galaxy install -r requirements.yml`: roles and collections from git, archives and a Galaxy server.
//!
//! Main type: [`Requirement`], one thing to install. Nothing here runs a shell: `git` and `tar` get their arguments one by one, and
//! a name that is no name is refused before anything is fetched. Start reading at [`run`].

mod fetch;
mod requirements;
mod server;

use super::args::GalaxyArgs;
use super::config::Config;
use super::exit::Exit;
use super::{job, signals, terminal};
use crate::diag::{Diagnostic, Sources};
use requirements::{Kind, Requirement};
use std::path::{Path, PathBuf};

/// Dependencies of dependencies end here.
const INSTALLS_MAX: usize = 500;
const FILES: [&str; 3] = ["requirements.yml", "requirements.yaml", "collections/requirements.yml"];

/// Where things go, and where they come from.
struct Place {
    roles: PathBuf,
    collections: PathBuf,
    server: Option<String>,
    force: bool,
}

pub(super) fn run(args: &GalaxyArgs) -> Exit {
    let sources = Sources::default();
    let config = Config::of_process(&sources);
    let (_, paint) = terminal::paints(false, &config);
    let (only, names) = match words(&args.words) {
        Ok(words) => words,
        Err(word) => {
            terminal::complain(&format!(
                "error: `{word}` is not known here; `roll galaxy install -r requirements.yml` installs\n"
            ));
            return Exit::Usage;
        }
    };
    let mut found = Vec::new();
    let mut wanted = names.iter().map(|name| Requirement::named(name, only.unwrap_or(Kind::Role))).collect::<Vec<_>>();
    let default = FILES.iter().map(PathBuf::from).find(|file| file.is_file());
    if let Some(file) = args.requirements.clone().or(default.filter(|_| wanted.is_empty())) {
        wanted.extend(requirements::read(&sources, &file, &mut found));
    }
    wanted.retain(|requirement| only.is_none_or(|only| only == requirement.kind));
    if wanted.is_empty() && found.is_empty() {
        found.push(Diagnostic::error("nothing-to-install", "nothing to install was named").help("give a file with `-r`"));
    }
    if found.iter().any(Diagnostic::is_error) {
        terminal::explain(&found, &sources, paint, "nothing was installed");
        return Exit::Refuted;
    }
    terminal::warn(&found, &sources, paint);
    let place = place(args, &config, only);
    let runtime = match signals::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal::complain(&format!("error: no workers could be started: {error}\n"));
            return Exit::Prevented;
        }
    };
    match runtime.block_on(install_all(wanted, &place, args.no_deps, &sources)) {
        Ok(()) => Exit::Done,
        Err(diagnostic) => {
            terminal::explain(&[*diagnostic], &sources, paint, "what was installed before it stays");
            Exit::Prevented
        }
    }
}

/// `install`, `role install NAME`, `collection install NAME`.
fn words(words: &[String]) -> Result<(Option<Kind>, Vec<String>), String> {
    let (only, rest) = match words.first().map(String::as_str) {
        Some("role") => (Some(Kind::Role), &words[1..]),
        Some("collection") => (Some(Kind::Collection), &words[1..]),
        _ => (None, words),
    };
    match rest.split_first() {
        Some((first, names)) if first == "install" => Ok((only, names.to_vec())),
        Some((first, _)) => Err(first.clone()),
        None => Err(words.first().cloned().unwrap_or_default()),
    }
}

fn place(args: &GalaxyArgs, config: &Config, only: Option<Kind>) -> Place {
    let first = |paths: Vec<PathBuf>, other: &str| paths.into_iter().next().unwrap_or_else(|| other.into());
    let given = |kind: Kind| args.roles_path.clone().filter(|_| only.is_none_or(|only| only == kind));
    Place {
        roles: given(Kind::Role).unwrap_or_else(|| first(job::roles_path(config), "roles")),
        collections: given(Kind::Collection).unwrap_or_else(|| first(job::collections_path(config), "collections")),
        server: args.server.clone().or_else(|| config.text("galaxy_server").map(str::to_owned)),
        force: args.force,
    }
}

async fn install_all(
    mut wanted: Vec<Requirement>,
    place: &Place,
    no_deps: bool,
    sources: &Sources,
) -> Result<(), Box<Diagnostic>> {
    let mut seen: Vec<(Kind, String)> = Vec::new();
    while !wanted.is_empty() {
        let requirement = wanted.remove(0);
        let key = (requirement.kind, requirement.name.clone());
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        if seen.len() > INSTALLS_MAX {
            return Err(Box::new(Diagnostic::error(
                "too-many-requirements",
                format!("more than {INSTALLS_MAX} things to install"),
            )));
        }
        let dir = install(&requirement, place).await?;
        if !no_deps && let Some(dir) = dir {
            wanted.extend(requirements::of(sources, &dir, requirement.kind));
        }
    }
    Ok(())
}

/// The directory that it is in now; none where it was there before.
async fn install(requirement: &Requirement, place: &Place) -> Result<Option<PathBuf>, Box<Diagnostic>> {
    let name = requirement.name.as_str();
    if requirement.kind == Kind::Role {
        let target = place.roles.join(requirements::checked(name)?);
        if target.exists() && !place.force {
            terminal::print(&format!("- {name} is already installed, skipping.\n"));
            return Ok(None);
        }
        let made = fetch::fetch(requirement, place.server.as_deref()).await?;
        moved(made.root(), &target)?;
        terminal::print(&format!("- {name} was installed to {}\n", target.display()));
        return Ok(Some(target));
    }
    if let Some(target) = collection_dir(place, name).filter(|dir| dir.exists() && !place.force) {
        terminal::print(&format!("- {name} is already installed in {}, skipping.\n", target.display()));
        return Ok(None);
    }
    let made = fetch::fetch(requirement, place.server.as_deref()).await?;
    let (namespace, short) = fetch::collection_name(made.root()).unwrap_or_else(|| split(name));
    let target = place
        .collections
        .join("ansible_collections")
        .join(requirements::checked(&namespace)?)
        .join(requirements::checked(&short)?);
    moved(made.root(), &target)?;
    terminal::print(&format!("- {namespace}.{short} was installed to {}\n", target.display()));
    Ok(Some(target))
}

fn collection_dir(place: &Place, name: &str) -> Option<PathBuf> {
    let (namespace, short) = name.split_once('.').filter(|(namespace, _)| !namespace.contains('/'))?;
    Some(place.collections.join("ansible_collections").join(namespace).join(short))
}

fn split(name: &str) -> (String, String) {
    let (namespace, short) = name.split_once('.').unwrap_or(("", name));
    (namespace.to_owned(), short.to_owned())
}

/// Takes the place of what was there.
fn moved(from: &Path, to: &Path) -> Result<(), Box<Diagnostic>> {
    let problem =
        |error: std::io::Error| Box::new(Diagnostic::error("not-installed", format!("cannot write `{}`: {error}", to.display())));
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent).map_err(problem)?;
    }
    if to.exists() {
        std::fs::remove_dir_all(to).map_err(problem)?;
    }
    match std::fs::rename(from, to) {
        Ok(()) => Ok(()),
        // Another file system.
        Err(_) => fetch::copied(from, to).map_err(problem),
    }
}
