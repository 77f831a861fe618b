#![doc = include_str!("ARCHITECTURE.md")]

// Floor 0: both sides.
pub mod value;
pub mod wire;
pub mod modules;

// Floor 1: the host.
pub mod remote;

// Floor 2: words.
#[cfg(feature = "control")]
pub mod diag;
#[cfg(feature = "control")]
pub mod event;

// Floor 3: the model.
#[cfg(feature = "control")]
pub mod vault;
#[cfg(feature = "control")]
pub mod https;
#[cfg(feature = "control")]
pub mod aws;
#[cfg(feature = "control")]
pub mod yaml;
#[cfg(feature = "control")]
pub mod template;
#[cfg(feature = "control")]
pub mod inventory;
#[cfg(feature = "control")]
pub mod playbook;
#[cfg(feature = "control")]
pub mod vars;

// Floor 4: decisions.
#[cfg(feature = "control")]
pub mod strategy;
#[cfg(feature = "control")]
pub mod rollout;

// Floor 5: hands.
#[cfg(feature = "control")]
pub mod actions;
#[cfg(feature = "control")]
pub mod connection;
#[cfg(feature = "control")]
pub mod balancer;
#[cfg(feature = "control")]
pub mod report;

// Floor 6: the driver.
#[cfg(feature = "control")]
pub mod engine;

// Floor 7: the door.
#[cfg(feature = "control")]
pub mod lab;
#[cfg(feature = "control")]
pub mod cli;
