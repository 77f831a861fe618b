//! What a user sees, tested from outside: one binary, one file a topic.

mod balancer;
mod connection;
mod docker;
mod fake_host;
mod inventory;
#[path = "../model/mod.rs"]
mod model;
mod modules;
mod order;
mod remote;
mod system_modules;
mod template;
mod terraform;
