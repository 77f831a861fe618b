//! `dnf5`: `dnf` under the name of its fifth version, with the same arguments.

use super::{Module, dnf};

pub(super) const MODULE: Module = Module { name: "dnf5", ..dnf::MODULE };
