//! `systemd_service`: the newer name of `systemd`.

use super::{Module, systemd};

pub(super) const MODULE: Module = Module { name: "systemd_service", ..systemd::MODULE };
