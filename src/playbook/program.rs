//! A play's tasks as a flat list of steps with jump targets.

use super::task::{Block, Item, Task};
use std::sync::Arc;

/// Steps for one part of a play. Positions are indices into `steps`; blocks and tasks are numbered.
#[derive(Debug, Default, Clone)]
pub struct Program {
    pub steps: Vec<Step>,
    pub blocks: Vec<BlockInfo>,
    pub tasks: Vec<Arc<Task>>,
}

/// One step, without anything but numbers, so that `strategy` can be enumerated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Step {
    pub kind: StepKind,
    /// The block it stands in, and in which part of it.
    pub home: Option<(usize, Part)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepKind {
    Task {
        task: usize,
        once: bool,
        fatal: bool,
    },
    /// Ends of a block's parts.
    EndBody(usize),
    EndRescue(usize),
    EndAlways(usize),
    /// Run what was notified.
    Flush,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    Body,
    Rescue,
    Always,
}

/// A block's shape. Where its parts begin is found by its markers, because steps move when includes are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockInfo {
    pub home: Option<(usize, Part)>,
    pub has_rescue: bool,
    pub has_always: bool,
}

impl Program {
    /// Adds `items` inside `home`.
    pub fn add(&mut self, items: &[Item], home: Option<(usize, Part)>) {
        for item in items {
            match item {
                Item::Task(task) => self.add_task(task, home),
                Item::Block(block) => self.add_block(block, home),
            }
        }
    }

    pub fn add_task(&mut self, task: &Arc<Task>, home: Option<(usize, Part)>) {
        let says = |name| task.keyword(name).and_then(|written| written.value.to_bool()).unwrap_or(false);
        let kind = StepKind::Task {
            task: self.tasks.len(),
            once: says("run_once") || task.is_for_all(),
            fatal: says("any_errors_fatal"),
        };
        self.tasks.push(task.clone());
        self.steps.push(Step { kind, home });
    }

    pub fn add_flush(&mut self) {
        self.steps.push(Step { kind: StepKind::Flush, home: None });
    }

    /// The same steps for a program that has this many tasks and blocks already; what stands in no block gets `home`.
    #[must_use]
    pub fn behind(mut self, tasks: usize, blocks: usize, home: Option<(usize, Part)>) -> Program {
        let moved = |inner: Option<(usize, Part)>| inner.map_or(home, |(block, part)| Some((block + blocks, part)));
        for step in &mut self.steps {
            step.home = moved(step.home);
            match &mut step.kind {
                StepKind::Task { task, .. } => *task += tasks,
                StepKind::EndBody(block) | StepKind::EndRescue(block) | StepKind::EndAlways(block) => *block += blocks,
                StepKind::Flush => {}
            }
        }
        for block in &mut self.blocks {
            block.home = moved(block.home);
        }
        self
    }

    /// A block that can catch nothing is no block for the steps: only its tasks matter.
    fn add_block(&mut self, block: &Block, home: Option<(usize, Part)>) {
        if block.rescue.is_empty() && block.always.is_empty() {
            return self.add(&block.body, home);
        }
        let id = self.blocks.len();
        self.blocks.push(BlockInfo { home, has_rescue: !block.rescue.is_empty(), has_always: !block.always.is_empty() });
        let parts = [
            (&block.body, Part::Body, StepKind::EndBody(id)),
            (&block.rescue, Part::Rescue, StepKind::EndRescue(id)),
            (&block.always, Part::Always, StepKind::EndAlways(id)),
        ];
        for (items, part, end) in parts {
            self.add(items, Some((id, part)));
            self.steps.push(Step { kind: end, home: Some((id, part)) });
        }
    }
}
