//! The host program with the modules for databases, keys and certificates.

use std::process::ExitCode;

fn main() -> ExitCode {
    roll::remote::main(roll::modules::DATA)
}
