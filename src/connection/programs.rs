//! The host programs that can be delivered: those built into this one and those that lie beside it.

use crate::modules::Set;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// At most one for each machine type, as `uname -m` has it, and set of modules.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    all: Arc<Vec<Program>>,
}

/// One static program.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) machine: &'static str,
    set: Set,
    /// `roll-remote-` and a hash of its bytes: a host that has the name has the program.
    pub(super) name: String,
    /// The smallest first; the last is for a host that has nothing to unpack the others with.
    pub(super) packings: Vec<Packing>,
    /// Bytes once unpacked.
    pub(super) size: u64,
}

/// What may be sent for a program.
#[derive(Clone, Debug)]
pub(super) struct Packing {
    pub(super) tool: Tool,
    pub(super) bytes: Cow<'static, [u8]>,
}

/// What unpacks it on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    Xz,
    Gzip,
    /// Nothing is packed.
    Cat,
}

/// Machine types and their other names.
pub(super) const MACHINES: &[(&str, &[&str])] = &[("x86_64", &["amd64"]), ("aarch64", &["arm64"])];

type Embedded = (&'static str, &'static str, &'static str, &'static [u8], &'static [u8], u64);

/// Machine type, program, its name by content, it as xz and as gzip, and its size; empty except in release builds.
static EMBEDDED: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

impl Programs {
    /// What is embedded, then `roll-remote` (this machine's type) and `roll-remote-<machine>` beside the executable, each with its other
    /// sets beside it. `ROLL_REMOTE` names another file for this machine's type.
    pub fn find() -> Programs {
        let mut all = Vec::new();
        let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
        for (machine, _) in MACHINES {
            let is_own = *machine == std::env::consts::ARCH;
            let named = std::env::var_os("ROLL_REMOTE").map(PathBuf::from).filter(|_| is_own);
            for set in Set::ALL {
                let own = beside.iter().map(|directory| directory.join(file(set))).filter(|_| is_own);
                let other = beside.iter().map(|directory| directory.join(format!("{}-{machine}", file(set))));
                let mut files = own.chain(other);
                let program = named
                    .as_deref()
                    .and_then(|named| Program::read(machine, set, &sibling(named, set)))
                    .or_else(|| Program::embedded(machine, set))
                    .or_else(|| files.find_map(|file| Program::read(machine, set, &file)));
                all.extend(program);
            }
        }
        Programs { all: Arc::new(all) }
    }

    /// One file as the program for this machine's type, and those that lie beside it for its other sets.
    pub fn of_file(file: &Path) -> Programs {
        let machine = MACHINES.iter().map(|(machine, _)| *machine).find(|machine| *machine == std::env::consts::ARCH);
        let read = |set| machine.and_then(|machine| Program::read(machine, set, &sibling(file, set)));
        Programs { all: Arc::new(Set::ALL.into_iter().filter_map(read).collect()) }
    }

    /// Those with one set of modules.
    pub(super) fn with(&self, set: Set) -> Programs {
        Programs { all: Arc::new(self.all.iter().filter(|program| program.set == set).cloned().collect()) }
    }

    /// The same, packed as these tools pack.
    #[cfg(test)]
    pub(super) fn packed(&self, tools: &[Tool]) -> Programs {
        let pack = |program: &Program| {
            let packings = tools.iter().map(|tool| Packing { tool: *tool, bytes: tool.pack(&program.packings[0].bytes).into() });
            Program { packings: packings.collect(), ..program.clone() }
        };
        Programs { all: Arc::new(self.all.iter().map(pack).collect()) }
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &Program> {
        self.all.iter()
    }

    /// For a machine type under any of its names.
    pub(super) fn get(&self, machine: &str) -> Option<&Program> {
        let (machine, _) = MACHINES.iter().find(|(name, others)| *name == machine || others.contains(&machine))?;
        self.all.iter().find(|program| program.machine == *machine)
    }
}

impl Program {
    fn embedded(machine: &'static str, set: Set) -> Option<Program> {
        let (_, _, name, xz, gzip, size) =
            EMBEDDED.iter().find(|(known, program, ..)| *known == machine && *program == file(set))?;
        let packing = |tool, bytes| Packing { tool, bytes: Cow::Borrowed(bytes) };
        let packings = vec![packing(Tool::Xz, xz), packing(Tool::Gzip, gzip)];
        Some(Program { machine, set, name: (*name).to_owned(), packings, size: *size })
    }

    fn read(machine: &'static str, set: Set, file: &Path) -> Option<Program> {
        let bytes = std::fs::read(file).ok()?;
        let start = *Sha256::digest(&bytes).first_chunk()?;
        let size = u64::try_from(bytes.len()).ok()?;
        let name = format!("roll-remote-{:016x}", u64::from_be_bytes(start));
        Some(Program { machine, set, name, packings: vec![Packing { tool: Tool::Cat, bytes: Cow::Owned(bytes) }], size })
    }

    /// For the tool that the host says it has.
    pub(super) fn packing(&self, tool: &str) -> Option<&Packing> {
        self.packings.iter().find(|packing| packing.tool.name() == tool)
    }
}

/// What the program with a set of modules is called.
fn file(set: Set) -> String {
    format!("roll-remote{}", set.suffix())
}

/// The program with another set, beside the one with the common modules.
fn sibling(common: &Path, set: Set) -> PathBuf {
    let mut name = common.as_os_str().to_owned();
    name.push(set.suffix());
    name.into()
}

impl Tool {
    pub(super) fn name(self) -> &'static str {
        match self {
            Tool::Xz => "xz",
            Tool::Gzip => "gzip",
            Tool::Cat => "cat",
        }
    }

    /// Reads what is packed, writes what it was.
    pub(super) fn command(self) -> &'static str {
        match self {
            Tool::Xz => "xz -dc",
            Tool::Gzip => "gzip -dc",
            Tool::Cat => "cat",
        }
    }

    #[cfg(test)]
    fn pack(self, bytes: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let mut command = Command::new(self.name());
        let mut child = command.arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        child.wait_with_output().unwrap().stdout
    }
}
