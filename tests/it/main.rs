//! What a user sees, tested from outside: one binary, one file a topic.

mod remote;
mod inventory;
mod connection;
#[path = "../model/mod.rs"]
mod model;
mod balancer;
mod modules;
mod terraform;
mod template;
