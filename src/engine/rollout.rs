//! Carries out what the rollout core decides.

use super::plays::{PlayEnd, PlayRun};
use super::{Ending, Run, Signal};
use std::sync::Arc;
use tokio::sync::mpsc;

pub(super) async fn play(_run: &Arc<Run>, _play: &Arc<PlayRun>, _signals: &mut mpsc::Receiver<Signal>) -> PlayEnd {
    PlayEnd { ending: Ending::Refused, go_on: false }
}
