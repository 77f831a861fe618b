//! The host program: talks to the control side over its standard input and output.

use std::process::ExitCode;

fn main() -> ExitCode {
    let is_job = std::env::args().nth(1).is_some_and(|word| word == roll::remote::JOB);
    let ended = if is_job { roll::remote::job() } else { roll::remote::serve(std::io::stdin(), std::io::stdout()) };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
