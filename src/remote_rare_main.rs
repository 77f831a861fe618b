//! The host program with the modules that few playbooks use.

use std::process::ExitCode;

fn main() -> ExitCode {
    roll::remote::main(roll::modules::RARE)
}
