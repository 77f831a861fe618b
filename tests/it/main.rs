//! What a user sees, tested from outside: one binary, one file a topic.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod balancer;
mod cli;
mod connection;
mod docker;
mod doctor;
mod doors;
mod errors;
mod hostile;
mod inventory;
mod lab;
mod lock;
mod lookups;
#[path = "../model/mod.rs"]
mod model;
mod modules;
mod order;
mod plays;
mod remote;
mod report;
mod roll;
mod rollouts;
mod tables;
mod template;
mod terraform;
mod vault;
