//! Breadth first through every state a world can reach.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt::Display;
use std::hash::{Hash, Hasher};

/// A world with a decision core in it. Equal states are visited once.
pub(crate) trait World: Clone + Hash {
    /// One thing that can happen, for the trail to a broken property.
    type Move: Clone + Display;
    /// Every single thing that can happen next.
    fn next(&self) -> Vec<(Self::Move, Self)>;
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
const STATES_MAX: usize = 20_000_000;

pub(crate) fn explore<W: World>(start: W) -> Report {
    let mut search = Search::<W::Move> { index: HashMap::new(), parents: Vec::new(), edges: Vec::new() };
    let mut report = Report { states: 0, seen: BTreeSet::new(), broken: None };
    let mut queue = VecDeque::from([(search.add(&start, 0, None).0, start)]);
    while let Some((id, world)) = queue.pop_front() {
        report.seen.extend(world.seen());
        let next = if world.is_over() { Vec::new() } else { world.next() };
        let property = world.broken().or_else(|| (next.is_empty() && !world.is_over()).then_some("ends (nothing can happen)"));
        if let Some(property) = property {
            report.broken = Some(Broken { property, trail: search.trail(id) });
            break;
        }
        for (step, world) in next {
            let (to, is_new) = search.add(&world, id, Some(step));
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

struct Search<M> {
    /// By two hashes: whole worlds would take too much room.
    index: HashMap<(u64, u64), u32>,
    /// How each state was first reached.
    parents: Vec<(u32, Option<M>)>,
    edges: Vec<(u32, u32)>,
}

fn print_of<W: Hash>(world: &W) -> (u64, u64) {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    let first = hasher.finish();
    hasher.write_u64(0x9e37_79b9_7f4a_7c15);
    (first, hasher.finish())
}

impl<M: Clone + Display> Search<M> {
    fn add<W: Hash>(&mut self, world: &W, parent: u32, step: Option<M>) -> (u32, bool) {
        let id = u32::try_from(self.parents.len()).expect("fewer states than that");
        let print = print_of(world);
        if let Some(known) = self.index.get(&print) {
            return (*known, false);
        }
        self.index.insert(print, id);
        self.parents.push((parent, step));
        (id, true)
    }

    fn trail(&self, mut id: u32) -> Vec<String> {
        let mut trail = Vec::new();
        while let (parent, Some(step)) = &self.parents[id as usize] {
            trail.push(step.to_string());
            id = *parent;
        }
        trail.reverse();
        trail
    }

    /// A state on a circle, if there is any: what is left when states without a way in are taken away again and again.
    fn cycle(&self) -> Option<u32> {
        let mut ways_in = vec![0_u32; self.parents.len()];
        let mut starts = vec![0_u32; self.parents.len() + 1];
        for (from, to) in &self.edges {
            ways_in[*to as usize] += 1;
            starts[*from as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut fill = starts.clone();
        let mut out = vec![0_u32; self.edges.len()];
        for (from, to) in &self.edges {
            out[fill[*from as usize] as usize] = *to;
            fill[*from as usize] += 1;
        }
        let mut free: Vec<usize> = (0..ways_in.len()).filter(|id| ways_in[*id] == 0).collect();
        while let Some(id) = free.pop() {
            for to in &out[starts[id] as usize..starts[id + 1] as usize] {
                ways_in[*to as usize] -= 1;
                if ways_in[*to as usize] == 0 {
                    free.push(*to as usize);
                }
            }
        }
        ways_in.iter().position(|count| *count > 0).and_then(|at| u32::try_from(at).ok())
    }
}
