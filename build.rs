//! A release build of `roll` carries the host programs: this builds the same package a second time, static and without the control
//! side, for every machine type whose standard library is installed. All other builds carry nothing; `roll` then looks beside itself.
//!
//! Writes `embedded.rs`: a list of (machine type, program, name by content, program as xz, program as gzip, size of the program).

use std::error::Error;
use std::fs;
use std::path::PathBuf;

/// What the host programs are made of. Nothing else makes them be built again.
const SOURCES: &[&str] = &[
    "build.rs",
    "Cargo.toml",
    "Cargo.lock",
    "src/value",
    "src/wire.rs",
    "src/modules",
    "src/remote",
    "src/remote_main.rs",
    "src/remote_rare_main.rs",
    "src/remote_data_main.rs",
];

fn main() -> Result<(), Box<dyn Error>> {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    let out = PathBuf::from(variable("OUT_DIR")?);
    // The second build is without `control` and ends here.
    #[cfg(feature = "control")]
    let rows = if variable("PROFILE")? == "release" { host::rows(&out)? } else { String::new() };
    #[cfg(not(feature = "control"))]
    let rows = "";
    fs::write(out.join("embedded.rs"), format!("&[{rows}]\n"))?;
    Ok(())
}

fn variable(name: &str) -> Result<String, String> {
    println!("cargo::rerun-if-env-changed={name}");
    std::env::var(name).map_err(|_| format!("cargo does not say `{name}`"))
}

#[cfg(feature = "control")]
mod host {
    use super::variable;
    use flate2::{Compression, GzBuilder};
    use liblzma::stream::{Check, Filters, LzmaOptions, PRESET_EXTREME, Stream};
    use liblzma::write::XzEncoder;
    use std::error::Error;
    use std::fs;
    use std::hash::{DefaultHasher, Hash, Hasher};
    use std::io::Write;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    const MACHINES: &[&str] = &["x86_64", "aarch64"];
    const PROGRAMS: &[&str] = &["roll-remote", "roll-remote-rare", "roll-remote-data"];
    /// Static, and without the tables that would let it be loaded anywhere in memory: they are a twentieth of it.
    /// Nothing is inlined that is longer than the call. The sums are the short ones; those that the processor computes itself stay
    /// as they are.
    const FLAGS: &[&str] = &[
        "-Ctarget-feature=+crt-static",
        "-Crelocation-model=static",
        "-Cllvm-args=-inline-threshold=0",
        "--cfg=sha2_backend_soft=\"compact\"",
    ];
    /// Leaves out the tables for unwinding, a tenth of the program: a panic ends it, and without symbols no trace could be read.
    /// What the C runtime's own start files bring is marked by them and has to stay. Parts of the program with different rights are
    /// not padded to whole pages of the file (`noseparate-code`).
    const LINKING: &str = "SECTIONS { /DISCARD/ : { *(EXCLUDE_FILE(*crtbegin*.o *crtend*.o *crt1.o) .eh_frame) \
                           *(.gcc_except_table .gcc_except_table.*) } } INSERT AFTER .rodata;\n";
    /// How far back xz looks for repetitions, and what the host needs in memory to unpack: more than the program is long.
    const WINDOW: u32 = 4 << 20;

    pub(crate) fn rows(out: &Path) -> Result<String, Box<dyn Error>> {
        let own = variable("CARGO_CFG_TARGET_ARCH")?;
        let mut rows = String::new();
        for machine in MACHINES {
            let target = format!("{machine}-unknown-linux-gnu");
            if !is_installed(&target)? || *machine != own && linker(machine).is_none() {
                continue;
            }
            let built = build(&target, *machine != own, out)?;
            for program in PROGRAMS {
                rows.push_str(&row(machine, program, &built.join(program), out)?);
            }
        }
        Ok(rows)
    }

    fn is_installed(target: &str) -> Result<bool, Box<dyn Error>> {
        let asked = Command::new(variable("RUSTC")?).args(["--print", "sysroot"]).output()?;
        let root = PathBuf::from(String::from_utf8(asked.stdout)?.trim());
        Ok(root.join("lib/rustlib").join(target).join("lib").is_dir())
    }

    /// The cross linker, unless cargo has been told another one.
    fn linker(machine: &str) -> Option<String> {
        let key = format!("CARGO_TARGET_{}_UNKNOWN_LINUX_GNU_LINKER", machine.to_uppercase());
        if let Ok(told) = variable(&key) {
            return Some(told);
        }
        let name = format!("{machine}-linux-gnu-gcc");
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).any(|dir| dir.join(&name).is_file()).then_some(name)
    }

    /// Answers with the directory of the programs.
    fn build(target: &str, is_foreign: bool, out: &Path) -> Result<PathBuf, Box<dyn Error>> {
        let directory = out.join("host");
        let mut cargo = Command::new(variable("CARGO")?);
        cargo
            .args(["build", "--profile", "host", "--no-default-features", "--target", target])
            .args(PROGRAMS.iter().flat_map(|program| ["--bin", program]))
            .args(["--config", &format!("target.{target}.rustflags={:?}", flags(target, out)?)])
            .arg("--target-dir")
            .arg(&directory);
        if is_foreign && let Some(linker) = target.split('-').next().and_then(linker) {
            cargo.args(["--config", &format!("target.{target}.linker=\"{linker}\"")]);
        }
        // These would win over what is said above.
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_BUILD_RUSTFLAGS"] {
            cargo.env_remove(name);
        }
        if !cargo.status()?.success() {
            return Err(format!("the host programs cannot be built for {target}").into());
        }
        Ok(directory.join(target).join("host"))
    }

    fn flags(target: &str, out: &Path) -> Result<Vec<String>, Box<dyn Error>> {
        let script = out.join("host.ld");
        fs::write(&script, LINKING)?;
        // The linker that Rust brings for this machine type has functions of the same code share it; others do not know the word.
        let more = if target.starts_with("x86_64") { ",--icf=all" } else { "" };
        let linking = [
            format!("-Clink-arg=-Wl,--no-eh-frame-hdr,-z,noseparate-code,--build-id=none{more}"),
            format!("-Clink-arg=-Wl,-T,{}", script.display()),
        ];
        // Where a source lies is part of every message about a bug in it; the program must not tell where it was built.
        let sources = cargo_home().map(|home| format!("--remap-path-prefix={}=cargo", home.display()));
        Ok(FLAGS.iter().map(|&flag| flag.to_owned()).chain(linking).chain(sources).collect())
    }

    fn cargo_home() -> Option<PathBuf> {
        std::env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")))
    }

    /// One line of the list.
    fn row(machine: &str, program: &str, built: &Path, out: &Path) -> Result<String, Box<dyn Error>> {
        let bytes = fs::read(built)?;
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let name = format!("roll-remote-{:016x}", hasher.finish());
        let file = |ending: &str| out.join(format!("{program}-{machine}.{ending}"));
        fs::write(file("xz"), xz(machine, &bytes)?)?;
        fs::write(file("gz"), gzip(&bytes)?)?;
        Ok(format!(
            "({machine:?}, {program:?}, {name:?}, include_bytes!({:?}).as_slice(), include_bytes!({:?}).as_slice(), {}),",
            file("xz"),
            file("gz"),
            bytes.len()
        ))
    }

    /// As small as any `xz` of a host can unpack it: the filter for jumps is as old as the format, the one for aarch64 is not.
    fn xz(machine: &str, bytes: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
        let mut options = LzmaOptions::new_preset(9 | PRESET_EXTREME)?;
        options.dict_size(WINDOW.max(u32::try_from(bytes.len())?)).literal_context_bits(4).position_bits(0);
        let mut filters = Filters::new();
        if machine == "x86_64" {
            filters.x86();
        }
        filters.lzma2(&options);
        let mut packer = XzEncoder::new_stream(Vec::new(), Stream::new_stream_encoder(&filters, Check::Crc32)?);
        packer.write_all(bytes)?;
        Ok(packer.finish()?)
    }

    /// As `gzip -9` packs it, without a time.
    fn gzip(bytes: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
        let mut packer = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        packer.write_all(bytes)?;
        Ok(packer.finish()?)
    }
}
