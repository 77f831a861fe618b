//! Running a program over a text: depth first, as Python does, so that the first way that fits wins.

use super::parse::{Assert, is_word, lower};
use super::program::{Program, Step};
use std::ops::Range;

/// So many steps are taken from one place before it pays to remember failures.
const EASY_STEPS: u64 = 20_000;
/// Where failures cannot be remembered, this is the end.
const HARD_STEPS: u64 = 20_000_000;
/// Largest memory for failures, in bits.
const MEMORY_MAX: usize = 1 << 31;

type Groups = Vec<Option<Range<usize>>>;

pub(super) fn search(program: &Program, text: &str, from: usize, anchored: bool) -> Result<Option<Groups>, String> {
    let mut machine =
        Machine { program, text, slots: vec![None; program.slots], stack: Vec::new(), steps: 0, limit: 0, failed: None };
    let starts = text.get(from..).unwrap_or_default().char_indices().map(|(at, _)| from + at).chain([text.len()]);
    for start in starts.take(if anchored { 1 } else { usize::MAX }) {
        if let Some(end) = machine.run_from(start)? {
            machine.slots[0] = Some(start);
            machine.slots[1] = Some(end);
            let pairs = machine.slots[..program.groups * 2].chunks_exact(2);
            return Ok(Some(pairs.map(|pair| Some(pair[0]?..pair[1]?)).collect()));
        }
    }
    Ok(None)
}

struct Machine<'a> {
    program: &'a Program,
    text: &'a str,
    slots: Vec<Option<usize>>,
    stack: Vec<Undo>,
    /// Since the current start, and how many there may be.
    steps: u64,
    limit: u64,
    /// Which step at which place leads nowhere.
    failed: Option<Vec<u64>>,
}

enum Undo {
    Try { step: usize, at: usize },
    Restore { slot: usize, value: Option<usize> },
}

impl Machine<'_> {
    fn run_from(&mut self, start: usize) -> Result<Option<usize>, String> {
        if self.failed.is_none() {
            self.steps = 0;
            self.limit = if self.program.looks_back { HARD_STEPS } else { EASY_STEPS };
            self.slots.fill(None);
            match self.run(0, start) {
                Err(TooHard) if self.program.looks_back => {
                    return Err("the regular expression takes too long on this text".to_owned());
                }
                Err(TooHard) => self.remember()?,
                Ok(end) => return Ok(end),
            }
        }
        self.slots.fill(None);
        self.stack.clear();
        self.run(0, start).map_err(|TooHard| "the regular expression takes too long on this text".to_owned())
    }

    fn remember(&mut self) -> Result<(), String> {
        let bits = self.program.steps.len().saturating_mul(self.text.len() + 1);
        if bits > MEMORY_MAX {
            return Err("the text is too large for this regular expression".to_owned());
        }
        self.failed = Some(vec![0; bits / 64 + 1]);
        Ok(())
    }

    /// Whether this step at this place was tried before. Inside one run, what was tried has failed, or it would not be tried again.
    fn was_here(&mut self, step: usize, at: usize) -> bool {
        let Some(failed) = &mut self.failed else { return false };
        let bit = step * (self.text.len() + 1) + at;
        let (word, mask) = (&mut failed[bit / 64], 1 << (bit % 64));
        let was = *word & mask != 0;
        *word |= mask;
        was
    }

    /// Runs from `step` to a `Done`; answers with where it ended.
    fn run(&mut self, step: usize, at: usize) -> Result<Option<usize>, TooHard> {
        let bottom = self.stack.len();
        let (mut step, mut at) = (step, at);
        loop {
            self.steps += 1;
            if self.steps > self.limit && self.failed.is_none() {
                return Err(TooHard);
            }
            match self.advance(step, at)? {
                Some(Go::To(next, place)) => (step, at) = (next, place),
                Some(Go::Done) => {
                    // What else could have been tried is forgotten; what to restore stays for whoever called.
                    let kept: Vec<Undo> =
                        self.stack.drain(bottom..).filter(|undo| matches!(undo, Undo::Restore { .. })).collect();
                    self.stack.extend(kept);
                    return Ok(Some(at));
                }
                None => match self.back(bottom) {
                    Some(next) => (step, at) = next,
                    None => return Ok(None),
                },
            }
        }
    }

    fn back(&mut self, bottom: usize) -> Option<(usize, usize)> {
        while self.stack.len() > bottom {
            match self.stack.pop()? {
                Undo::Try { step, at } => return Some((step, at)),
                Undo::Restore { slot, value } => self.slots[slot] = value,
            }
        }
        None
    }

    fn save(&mut self, slot: usize, at: usize) {
        self.stack.push(Undo::Restore { slot, value: self.slots[slot] });
        self.slots[slot] = Some(at);
    }

    /// One step; `None` where it does not fit.
    fn advance(&mut self, step: usize, at: usize) -> Result<Option<Go>, TooHard> {
        let program = self.program;
        let next = |width: usize| Some(Go::To(step + 1, at + width));
        let c = self.text[at..].chars().next();
        Ok(match &program.steps[step] {
            Step::Char { c: wanted, ignore_case } => {
                c.filter(|c| c == wanted || *ignore_case && lower(*c) == lower(*wanted)).and_then(|c| next(c.len_utf8()))
            }
            Step::Any { newline } => c.filter(|c| *newline || *c != '\n').and_then(|c| next(c.len_utf8())),
            Step::Set(set) => c.filter(|c| set.has(*c)).and_then(|c| next(c.len_utf8())),
            Step::Assert(assert) => {
                if self.holds(*assert, at) {
                    next(0)
                } else {
                    None
                }
            }
            Step::Backref { group, ignore_case } => self.repeated(*group, *ignore_case, at).and_then(next),
            Step::Split { first, second } => {
                if self.was_here(step, at) {
                    return Ok(None);
                }
                self.stack.push(Undo::Try { step: *second, at });
                Some(Go::To(*first, at))
            }
            Step::Jump(to) => Some(Go::To(*to, at)),
            Step::Save(slot) => {
                self.save(*slot, at);
                next(0)
            }
            Step::Progress { slot, again } => {
                if self.slots[*slot] == Some(at) {
                    next(0)
                } else {
                    Some(Go::To(*again, at))
                }
            }
            Step::Look { behind, negated, next } => {
                let start = match behind {
                    None => Some(at),
                    Some(0) => Some(at),
                    Some(width) => self.text[..at].char_indices().rev().nth(width - 1).map(|(at, _)| at),
                };
                let found = match start {
                    Some(start) => self.apart(step + 1, start)?.is_some(),
                    None => false,
                };
                (found != *negated).then_some(Go::To(*next, at))
            }
            Step::Atomic { next } => self.apart(step + 1, at)?.map(|end| Go::To(*next, end)),
            Step::Cond { group, no } => {
                if self.slots[group * 2 + 1].is_some() {
                    next(0)
                } else {
                    Some(Go::To(*no, at))
                }
            }
            Step::Done => Some(Go::Done),
        })
    }

    /// What it tried inside says nothing about the outside, so failures are not shared.
    fn apart(&mut self, step: usize, at: usize) -> Result<Option<usize>, TooHard> {
        let Some(failed) = self.failed.take() else { return self.run(step, at) };
        (self.steps, self.limit) = (0, HARD_STEPS);
        let end = self.run(step, at);
        self.failed = Some(failed);
        end
    }

    fn holds(&self, assert: Assert, at: usize) -> bool {
        let (before, after) = (&self.text[..at], &self.text[at..]);
        let is_edge = || before.chars().next_back().is_some_and(is_word) != after.chars().next().is_some_and(is_word);
        match assert {
            Assert::TextStart => before.is_empty(),
            Assert::TextEnd => after.is_empty(),
            Assert::End => after.is_empty() || after == "\n",
            Assert::LineStart => before.is_empty() || before.ends_with('\n'),
            Assert::LineEnd => after.is_empty() || after.starts_with('\n'),
            Assert::WordEdge => is_edge(),
            Assert::NotWordEdge => !is_edge(),
        }
    }

    /// How long the text of a group is when it stands here again.
    fn repeated(&self, group: usize, ignore_case: bool, at: usize) -> Option<usize> {
        let wanted = &self.text[self.slots[group * 2]?..self.slots[group * 2 + 1]?];
        let rest = &self.text[at..];
        if !ignore_case {
            return rest.starts_with(wanted).then_some(wanted.len());
        }
        let mut width = 0;
        let mut found = rest.chars();
        for c in wanted.chars() {
            let other = found.next().filter(|other| lower(*other) == lower(c))?;
            width += other.len_utf8();
        }
        Some(width)
    }
}

enum Go {
    To(usize, usize),
    Done,
}

/// More steps than can be borne.
struct TooHard;
