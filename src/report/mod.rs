//! What people and programs see of a run.
//!
//! Sees only events, diagnostics and values, never hosts, connections or playbooks; one file a reporter. Diagnostics are rendered
//! here too, and nowhere else, because only here is known whether there is colour. Nothing in here decides anything: leaving
//! this room out changes no run. Text that may come from a host is written without its control characters. Start reading at
//! [`diagnostic`].

pub mod diagnostic;
