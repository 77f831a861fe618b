//! What a user sees, tested from outside: one binary, one file a topic.

mod remote;
mod inventory;
mod connection;
#[path = "../model/mod.rs"]
mod model;
mod balancer;
mod terraform;
mod template;
mod cli;
mod errors;
mod report;
mod roll;
mod order;
