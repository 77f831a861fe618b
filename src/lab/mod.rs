//! Disposable machines on the local Docker engine, for `roll rehearse`, `roll lab` and the tests that need something real.
//!
//! The main type is [`Lab`]: web hosts that boot systemd and know neither Docker nor Python, a HAProxy that stands for the
//! load balancer, Redis, PostgreSQL, and a registry that serves what Dockerfiles name. [`rehearse`] deploys to it, puts load on
//! it, and gives a [`Report`] of what a client saw.
//!
//! A machine of the lab is treated exactly as one in production: `roll` runs as a child process with ordinary arguments, and
//! reads the lab through the same JSON that `terraform output -json` prints. Nothing here may reach into the rooms that do the
//! work, or a rehearsal would prove less than it says.
//!
//! Everything made carries the label `roll.lab=<id>`, so [`Lab::down`] needs nothing but the id: it works after a crash, after
//! Ctrl-C, and twice. This room prints nothing; it speaks through a [`Voice`], at least every five seconds.
//!
//! Start reading at `machines.rs` (what a lab is), then `rehearsal.rs` (the scenario). `engine.rs` finds Docker, `flags.rs` how a
//! container boots systemd there, `image.rs` and `recipe.rs` what is built. `crashes.rs` and `faults.rs` make trouble instead, `soak.rs` does the same
//! again and again; what they need (a run that can be followed and signalled, what is true of the hosts) is in `trial.rs`, and what clients see in `clients.rs`.

mod authority;
mod clients;
mod crashes;
mod elb;
mod engine;
mod failure;
mod faults;
mod flags;
mod http;
mod image;
mod load;
mod machines;
mod outputs;
mod process;
mod provision;
mod recipe;
mod rehearsal;
mod soak;
mod stand_in;
mod state;
mod trial;
mod voice;
mod watch;

pub(crate) use clients::ask;
pub(crate) use crashes::{Points, crashes};
pub(crate) use elb::Double;
pub(crate) use engine::Engine;
pub(crate) use failure::LabError;
pub(crate) use faults::{FAULTS, Fault, faults};
pub(crate) use machines::Balancer;
pub(crate) use machines::{Lab, LabId, Machine, Spec};
pub(crate) use rehearsal::{Plan, Report, Rollout, rehearse};
pub(crate) use soak::soak;
pub(crate) use voice::{Progress, Voice};
