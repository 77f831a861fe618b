//! A double of an Application Load Balancer: its API (the part that a rollout uses), and the rules by which it sends requests.
//!
//! The main type is [`Double`]. Clients speak its API as they speak AWS's: the Query form in, XML out, signed requests. What it decides
//! shows in a real data plane, an HAProxy that only forwards: who is checked, who is healthy, who gets requests is decided here
//! (`world.rs`) and given to its admin socket (`plane.rs`).
//!
//! The rules are those of AWS's documentation, not of a live load balancer, which nobody has compared it with: `initial` until one
//! passed check; `draining` to the end of the delay, also when nothing is under way; an IP target cannot come back before; two ports of
//! an instance are two targets; the nodes follow the API with a lag; with too few healthy targets all of them get requests; zones stand
//! alone without cross-zone balancing. `knobs.rs` makes the weather: lag, throttling, errors, silence, stale answers, expired credentials.
//!
//! Start reading at `world.rs`, then `actions.rs` (the API over it). `double.rs` is the process around them.

mod actions;
mod checks;
mod config;
mod double;
mod knobs;
mod plane;
mod query;
mod server;
mod world;
mod xml;

pub(super) use config::{Config, Group, Instance, Plane, group_arn};
pub(crate) use double::Double;
