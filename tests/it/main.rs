//! What a user sees, tested from outside: one binary, one file a topic.

#[path = "../model/mod.rs"]
mod model;
mod balancer;
mod terraform;
