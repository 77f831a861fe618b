//! Playbooks: text in, plays out, with every static error found on the way.
//!
//! [`Reader`] reads a playbook with all it imports (tasks, roles, playbooks) into [`Play`]s: blocks and tasks with the keywords
//! around them ([`Context`]), module names resolved and arguments checked against the modules' rows. [`Program`] is the same as a
//! flat list of steps with jump targets, which `strategy` walks. Everything wrong is collected as diagnostics; nothing here
//! runs a task, asks a host or prints. The keyword table is [`keyword::KEYWORDS`]. Start reading at [`Reader::playbook`].

mod collections;
mod elsewhere;
pub mod keyword;
mod kv;
mod program;
mod reader;
mod roles;
mod rollout;
mod routes;
mod section;
pub mod task;
mod validation;

pub(crate) use kv::{scalar, unquoted};
pub use program::{BlockInfo, Part, Program, Step, StepKind};
pub use reader::{DIAGNOSTICS_MAX, Reader, Render};
pub use roles::Parts;
pub use rollout::{BalancerSpec, CompareSpec, Floor, OnFailure, ProbeSpec, RolloutSpec, SETTINGS, Start};
pub use routes::Target;
pub(crate) use section::WHOLE;
pub use task::{Action, ActionKind, Block, Context, Item, Play, Prompt, Role, RoleIdentity, RoleInstance, RoleUse, Task};

/// The version of ansible-core whose language this is.
pub const LANGUAGE: &str = "2.19.4";
