//! `yum`: the older name of `dnf`, with the same arguments.

use super::{Module, dnf};

pub(super) const MODULE: Module = Module { name: "yum", ..dnf::MODULE };
