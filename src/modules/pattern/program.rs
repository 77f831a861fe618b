//! Tree → a flat list of instructions.

use super::parse::{Assert, Node, Parsed, Set};

/// Counted repetitions are written out; beyond this they are refused.
const SIZE_MAX: usize = 20_000;

#[derive(Clone, Debug)]
pub(super) enum Step {
    Char {
        c: char,
        ignore_case: bool,
    },
    Any {
        newline: bool,
    },
    Set(Set),
    Assert(Assert),
    Backref {
        group: usize,
        ignore_case: bool,
    },
    /// Tries `first`, then `second`.
    Split {
        first: usize,
        second: usize,
    },
    Jump(usize),
    /// Remembers where it is.
    Save(usize),
    /// Goes on at `again` only if something was matched since `slot` was saved.
    Progress {
        slot: usize,
        again: usize,
    },
    /// What follows, up to its `Done`, is tried by itself; then on at `next`.
    Look {
        behind: Option<usize>,
        negated: bool,
        next: usize,
    },
    Atomic {
        next: usize,
    },
    Cond {
        group: usize,
        no: usize,
    },
    Done,
}

#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    /// Two for each group, then one for each loop.
    pub(super) slots: usize,
    pub(super) groups: usize,
    pub(super) names: Vec<(String, usize)>,
    /// Whether what was matched before can decide what matches next; then failures cannot be remembered.
    pub(super) looks_back: bool,
}

impl Program {
    pub(super) fn of(parsed: &Parsed) -> Result<Program, String> {
        let mut program = Program {
            steps: Vec::new(),
            slots: parsed.groups * 2,
            groups: parsed.groups,
            names: parsed.names.clone(),
            looks_back: false,
        };
        program.emit(&parsed.node)?;
        program.push(Step::Done)?;
        Ok(program)
    }

    fn push(&mut self, step: Step) -> Result<usize, String> {
        if self.steps.len() >= SIZE_MAX {
            return Err("the pattern is too large".to_owned());
        }
        self.steps.push(step);
        Ok(self.steps.len() - 1)
    }

    fn here(&self) -> usize {
        self.steps.len()
    }

    fn emit(&mut self, node: &Node) -> Result<(), String> {
        match node {
            Node::Char { c, ignore_case } => self.push(Step::Char { c: *c, ignore_case: *ignore_case })?,
            Node::Any { newline } => self.push(Step::Any { newline: *newline })?,
            Node::Set(set) => self.push(Step::Set(set.clone()))?,
            Node::Assert(assert) => self.push(Step::Assert(*assert))?,
            Node::Backref { group, ignore_case } => {
                self.looks_back = true;
                self.push(Step::Backref { group: *group, ignore_case: *ignore_case })?
            }
            Node::Seq(nodes) => return nodes.iter().try_for_each(|node| self.emit(node)),
            Node::Alt(branches) => return self.alternatives(branches),
            Node::Group(number, node) => {
                self.push(Step::Save(number * 2))?;
                self.emit(node)?;
                self.push(Step::Save(number * 2 + 1))?
            }
            Node::Repeat { node, min, max, greedy } => return self.repeat(node, *min, *max, *greedy),
            Node::Look { node, behind, negated } => {
                let behind = if *behind { Some(width(node).ok_or("look-behind requires fixed-width pattern")?) } else { None };
                return self.apart(node, |next| Step::Look { behind, negated: *negated, next });
            }
            Node::Atomic(node) => return self.apart(node, |next| Step::Atomic { next }),
            Node::Cond { group, yes, no } => {
                self.looks_back = true;
                let at = self.push(Step::Done)?;
                self.emit(yes)?;
                let end = self.push(Step::Done)?;
                self.steps[at] = Step::Cond { group: *group, no: self.here() };
                self.emit(no)?;
                self.steps[end] = Step::Jump(self.here());
                return Ok(());
            }
        };
        Ok(())
    }

    fn apart(&mut self, node: &Node, step: impl Fn(usize) -> Step) -> Result<(), String> {
        let at = self.push(Step::Done)?;
        self.emit(node)?;
        self.push(Step::Done)?;
        self.steps[at] = step(self.here());
        Ok(())
    }

    fn alternatives(&mut self, branches: &[Node]) -> Result<(), String> {
        let mut ends = Vec::new();
        for (at, branch) in branches.iter().enumerate() {
            if at + 1 == branches.len() {
                self.emit(branch)?;
                break;
            }
            let split = self.push(Step::Done)?;
            self.emit(branch)?;
            ends.push(self.push(Step::Done)?);
            self.steps[split] = Step::Split { first: split + 1, second: self.here() };
        }
        for end in ends {
            self.steps[end] = Step::Jump(self.here());
        }
        Ok(())
    }

    fn repeat(&mut self, node: &Node, min: u32, max: Option<u32>, greedy: bool) -> Result<(), String> {
        for _ in 0..min {
            self.emit(node)?;
        }
        let split =
            |first, second| if greedy { Step::Split { first, second } } else { Step::Split { first: second, second: first } };
        let Some(max) = max else {
            let slot = self.slots;
            self.slots += 1;
            let top = self.push(Step::Done)?;
            self.push(Step::Save(slot))?;
            self.emit(node)?;
            self.push(Step::Progress { slot, again: top })?;
            self.steps[top] = split(top + 1, self.here());
            return Ok(());
        };
        let mut splits = Vec::new();
        for _ in min..max {
            splits.push(self.push(Step::Done)?);
            self.emit(node)?;
        }
        for at in splits {
            self.steps[at] = split(at + 1, self.here());
        }
        Ok(())
    }
}

/// How many characters it matches, where that is always the same.
fn width(node: &Node) -> Option<usize> {
    match node {
        Node::Char { .. } | Node::Any { .. } | Node::Set(_) => Some(1),
        Node::Assert(_) | Node::Look { .. } => Some(0),
        Node::Seq(nodes) => nodes.iter().map(width).sum(),
        Node::Alt(branches) => {
            let first = width(branches.first()?)?;
            branches.iter().all(|branch| width(branch) == Some(first)).then_some(first)
        }
        Node::Group(_, node) | Node::Atomic(node) => width(node),
        Node::Repeat { node, min, max, .. } if Some(*min) == *max => Some(width(node)?.checked_mul(*min as usize)?),
        Node::Repeat { .. } | Node::Backref { .. } => None,
        Node::Cond { yes, no, .. } => width(yes).filter(|yes| width(no) == Some(*yes)),
    }
}
