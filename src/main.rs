//! `roll`: see `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    roll::cli::main()
}
