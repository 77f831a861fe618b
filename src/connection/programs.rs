//! The host programs that can be delivered: those built into this one and those that lie beside it.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// At most one for each machine type, as `uname -m` has it.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    all: Arc<Vec<Program>>,
}

/// One static program.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) machine: &'static str,
    /// `roll-remote-` and a hash of its bytes: a host that has the name has the program.
    pub(super) name: String,
    /// What is sent.
    pub(super) bytes: Cow<'static, [u8]>,
    pub(super) is_packed: bool,
    /// Bytes once unpacked.
    pub(super) size: u64,
}

/// Machine types and their other names.
pub(super) const MACHINES: &[(&str, &[&str])] = &[("x86_64", &["amd64"]), ("aarch64", &["arm64"])];

/// Machine type, name, gzipped program and its size; empty except in release builds.
static EMBEDDED: &[(&str, &str, &[u8], u64)] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

impl Programs {
    /// What is embedded, then `roll-remote` (this machine's type) and `roll-remote-<machine>` beside the executable.
    /// `ROLL_REMOTE` names another file for this machine's type.
    pub fn find() -> Programs {
        let mut all = Vec::new();
        let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
        for (machine, _) in MACHINES {
            let named = std::env::var_os("ROLL_REMOTE").map(PathBuf::from).filter(|_| *machine == std::env::consts::ARCH);
            let own = beside.iter().map(|directory| directory.join("roll-remote")).filter(|_| *machine == std::env::consts::ARCH);
            let other = beside.iter().map(|directory| directory.join(format!("roll-remote-{machine}")));
            let mut files = own.chain(other);
            let program = named
                .and_then(|file| Program::read(machine, &file))
                .or_else(|| Program::embedded(machine))
                .or_else(|| files.find_map(|file| Program::read(machine, &file)));
            all.extend(program);
        }
        Programs { all: Arc::new(all) }
    }

    /// One file as the program for this machine's type.
    pub fn of_file(file: &Path) -> Programs {
        let machine = MACHINES.iter().map(|(machine, _)| *machine).find(|machine| *machine == std::env::consts::ARCH);
        let program = machine.and_then(|machine| Program::read(machine, file));
        Programs { all: Arc::new(program.into_iter().collect()) }
    }

    /// The same as a release build carries them.
    #[cfg(test)]
    pub(super) fn packed(&self) -> Programs {
        use std::io::Write as _;
        let pack = |program: &Program| {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            packer.write_all(&program.bytes).unwrap();
            Program { bytes: packer.finish().unwrap().into(), is_packed: true, ..program.clone() }
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
    fn embedded(machine: &'static str) -> Option<Program> {
        let (_, name, packed, size) = EMBEDDED.iter().find(|(known, ..)| *known == machine)?;
        Some(Program { machine, name: (*name).to_owned(), bytes: Cow::Borrowed(packed), is_packed: true, size: *size })
    }

    fn read(machine: &'static str, file: &Path) -> Option<Program> {
        let bytes = std::fs::read(file).ok()?;
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let size = u64::try_from(bytes.len()).ok()?;
        let name = format!("roll-remote-{:016x}", hasher.finish());
        Some(Program { machine, name, bytes: Cow::Owned(bytes), is_packed: false, size })
    }
}
