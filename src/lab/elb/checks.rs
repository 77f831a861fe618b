//! Health checks, as a node makes them.

use std::time::Duration;

use super::world::Checked;
use crate::lab::http;

/// The name that a node's checks carry.
const AGENT: &str = "ELB-HealthChecker/2.0";

/// Only a 200 passes: the matcher that a group has by default.
pub(super) async fn check(address: &str, path: &str, timeout: f64) -> Checked {
    let limit = Duration::try_from_secs_f64(timeout).unwrap_or(Duration::from_secs(5));
    match tokio::time::timeout(limit, http::get_as(address, path, AGENT)).await {
        Err(_) => Checked::Timeout,
        Ok(Err(_)) => Checked::Unreachable,
        Ok(Ok(answer)) if answer.status == 200 => Checked::Passed,
        Ok(Ok(answer)) => Checked::Status(answer.status),
    }
}
