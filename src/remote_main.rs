//! The host program: talks to the control side over its standard input and output.

use std::process::ExitCode;

fn main() -> ExitCode {
    roll::remote::main(roll::modules::COMMON)
}
