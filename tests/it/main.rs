//! What a user sees, tested from outside: one binary, one file a topic.

mod remote;
mod errors;
mod inventory;
mod connection;
mod terraform;
