//! What a user sees, tested from outside: one binary, one file a topic.

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
mod lab;
