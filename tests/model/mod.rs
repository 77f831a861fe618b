//! The decision cores, enumerated: every order of answers, failures, lost answers and interrupts in a small world.

mod explore;
mod rollout;
mod strategy;
mod world;
