//! The way to a host's internal modules (`_quiet`, `_park` …): as the play reaches its hosts, without a task of the user's.

use crate::actions::{Bodies, Hands, Problem};
use crate::diag::Span;
use crate::engine::Run;
use crate::engine::frame::{Frame, view};
use crate::engine::hands::TaskHands;
use crate::engine::plays::PlayRun;
use crate::engine::work::Work;
use crate::modules;
use crate::playbook::{Context, Task};
use crate::value::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A task as if the play had one that calls `module` without arguments.
pub(super) fn task(play: &PlayRun, module: &str) -> Option<Arc<Task>> {
    let found = modules::find(module)?;
    let context = Context { parent: Some(play.play.context.clone()), ..Context::default() };
    Some(Arc::new(Task::made(module, found, Map::new(), context, Span::NOWHERE, play.playbook.clone())))
}

/// Runs an internal module on a host of the inventory.
pub(super) async fn module(
    run: &Arc<Run>,
    play: &Arc<PlayRun>,
    host: &str,
    name: &str,
    args: &[(&str, Value)],
) -> Result<Map, Problem> {
    let task = task(play, name).ok_or_else(|| Problem::new(format!("the host program has no `{name}`")))?;
    let work = Work {
        run: run.clone(),
        play: play.clone(),
        host: host.to_owned(),
        task: task.clone(),
        id: 0,
        for_all: Vec::new(),
        is_passed_over: false,
        is_idle_loop: AtomicBool::default(),
    };
    let frame = Frame::new(run, play, host, view(run, play, host, &task));
    let hands = TaskHands::new(&work, &frame)?;
    let args = args.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| ((*key).into(), value.clone())).collect();
    hands.module(name, args, Bodies::default()).await
}
