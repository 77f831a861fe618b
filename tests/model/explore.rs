//! Breadth first through every state a world can reach.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::Hash;

/// A world with a decision core in it. Equal states are visited once.
pub(crate) trait World: Clone + Eq + Hash {
    /// Every single thing that can happen next.
    fn next(&self) -> Vec<(String, Self)>;
    /// The name of a property that is broken here.
    fn broken(&self) -> Option<&'static str>;
    /// Names of what is worth having seen at least once.
    fn seen(&self) -> Vec<&'static str>;
    fn is_over(&self) -> bool;
}

#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) states: usize,
    pub(crate) seen: BTreeSet<&'static str>,
    /// The first one found, which is one with the fewest steps.
    pub(crate) broken: Option<Broken>,
}

#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) property: &'static str,
    pub(crate) trail: Vec<String>,
}

/// All states at once would not fit; a model this large is a mistake.
const STATES_MAX: usize = 4_000_000;

pub(crate) fn explore<W: World>(start: W) -> Report {
    let mut search = Search { index: HashMap::new(), parents: Vec::new(), edges: Vec::new() };
    let mut report = Report { states: 0, seen: BTreeSet::new(), broken: None };
    let mut queue = VecDeque::from([(search.add(start.clone(), 0, String::new()).0, start)]);
    while let Some((id, world)) = queue.pop_front() {
        report.seen.extend(world.seen());
        let next = if world.is_over() { Vec::new() } else { world.next() };
        let property = world.broken().or_else(|| (next.is_empty() && !world.is_over()).then_some("ends (nothing can happen)"));
        if let Some(property) = property {
            report.broken = Some(Broken { property, trail: search.trail(id) });
            break;
        }
        for (step, world) in next {
            let (to, is_new) = search.add(world.clone(), id, step);
            search.edges.push((id, to));
            if is_new {
                queue.push_back((to, world));
            }
        }
        assert!(search.parents.len() < STATES_MAX, "the world is too large");
    }
    report.states = search.parents.len();
    if report.broken.is_none() {
        report.broken = search.cycle().map(|id| Broken { property: "ends (goes round in circles)", trail: search.trail(id) });
    }
    report
}

struct Search<W> {
    index: HashMap<W, usize>,
    /// How each state was first reached.
    parents: Vec<(usize, String)>,
    edges: Vec<(usize, usize)>,
}

impl<W: World> Search<W> {
    fn add(&mut self, world: W, parent: usize, step: String) -> (usize, bool) {
        let id = self.parents.len();
        if let Some(known) = self.index.get(&world) {
            return (*known, false);
        }
        self.index.insert(world, id);
        self.parents.push((parent, step));
        (id, true)
    }

    fn trail(&self, mut id: usize) -> Vec<String> {
        let mut trail = Vec::new();
        while id != 0 {
            let (parent, step) = &self.parents[id];
            trail.push(step.clone());
            id = *parent;
        }
        trail.reverse();
        trail
    }

    /// A state on a circle, if there is any: what is left when states without a way in are taken away again and again.
    fn cycle(&self) -> Option<usize> {
        let mut ways_in = vec![0_u32; self.parents.len()];
        let mut out = vec![Vec::new(); self.parents.len()];
        for (from, to) in &self.edges {
            ways_in[*to] += 1;
            out[*from].push(*to);
        }
        let mut free: Vec<usize> = (0..ways_in.len()).filter(|id| ways_in[*id] == 0).collect();
        while let Some(id) = free.pop() {
            for to in &out[id] {
                ways_in[*to] -= 1;
                if ways_in[*to] == 0 {
                    free.push(*to);
                }
            }
        }
        ways_in.iter().position(|count| *count > 0)
    }
}
