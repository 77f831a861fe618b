//! The host program: talks to the control side over its standard input and output.

use std::process::ExitCode;

fn main() -> ExitCode {
    match roll::remote::serve(std::io::stdin(), std::io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
