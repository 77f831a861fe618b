//! The API of AWS, as lookups, modules and inventories ask it.
//!
//! Main types: [`Access`], who asks and where, and [`Session`], what was made of it once and is kept for the run: credentials (the
//! SDK's chain: what the playbook says, the environment, `~/.aws`, a web identity, the role of this machine), the region, the clients.
//! One file a service; each answers with plain values. What goes wrong is told apart once, in [`AwsError`], by what the reader can
//! do about it. EC2's own SDK has a million lines, so its three calls, and the one to ECR, are signed and read here (`answer`).
//!
//! Keys, tokens and what the services keep secret are never in an error or a `Debug`. Only calls that are asked for are made: an
//! unused lookup costs nothing. Start reading at [`Session`], then `parameters.rs`.

mod access;
mod answer;
mod failure;
pub(crate) mod instances;
pub(crate) mod objects;
pub(crate) mod parameters;
pub(crate) mod registry;
pub(crate) mod secrets;
mod session;
mod shape;
pub(crate) mod targets;

pub use access::Access;
pub(crate) use access::option_names;
pub use failure::AwsError;
pub(crate) use failure::chain;
pub(crate) use session::Session;
