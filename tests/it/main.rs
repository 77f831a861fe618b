//! What a user sees, tested from outside: one binary, one file a topic.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod balancer;
mod connection;
mod docker;
mod inventory;
#[path = "../model/mod.rs"]
mod model;
mod modules;
mod order;
mod remote;
mod template;
mod cli;
mod errors;
mod report;
mod roll;
mod terraform;
mod lab;
