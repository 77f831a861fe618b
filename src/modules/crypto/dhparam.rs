//! `openssl_dhparam`: parameters for the Diffie-Hellman exchange.

use super::openssl::{Openssl, words};
use super::target::{self, Target};
use crate::modules::attrs::FILE_ARGS;
use crate::modules::{Arg, Args, Done, Failure, Kind, Look, Module, Plan};
use crate::value::Map;

pub(in crate::modules) const MODULE: Module = Module {
    name: "openssl_dhparam",
    collection: "community.crypto",
    summary: "makes parameters for Diffie-Hellman",
    args: &[ARGS, super::TARGET_ARGS, FILE_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[Arg::new("size", Kind::Int, "bits").default("4096")];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let target = Target::of(args, look, 0o644)?;
    if args.str("state") == Some("absent") {
        return Ok(target.absent());
    }
    let openssl = Openssl::on(look)?;
    let bits = args.int("size").unwrap_or(4096).to_string();
    let is_settled = target.found.is_some() && {
        let output = openssl.ask(&words!["dhparam", "-in", target.path, "-check", "-text", "-noout"], None)?;
        output.is_success() && output.stdout_text().contains(&format!("({bits} bit)"))
    };
    let mut plan = target.settle(is_settled, |openssl| {
        openssl.look.say(&format!("making parameters of {bits} bits, which takes minutes"));
        openssl.must("cannot make the parameters", &words!["dhparam", bits.as_str()], None)
    })?;
    plan.set("size", args.int("size"));
    Ok(plan)
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    target::finish(args, values, done, look, "dhparams")
}
