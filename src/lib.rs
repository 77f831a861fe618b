#![doc = include_str!("ARCHITECTURE.md")]

// Floor 0: both sides.
pub mod modules;
pub mod value;
pub mod wire;
// Floor 1: the host.
pub mod remote;
// Floor 2: words.
#[cfg(feature = "control")]
pub mod diag;
#[cfg(feature = "control")]
pub mod event;
// Floor 3: the model.
#[cfg(feature = "control")]
pub mod yaml;
#[cfg(feature = "control")]
pub mod template;
