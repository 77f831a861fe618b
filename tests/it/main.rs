//! What a user sees, tested from outside: one binary, one file a topic.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod fake_host;
mod modules;
mod remote;
mod inventory;
mod connection;
#[path = "../model/mod.rs"]
mod model;
mod balancer;
mod terraform;
mod template;
