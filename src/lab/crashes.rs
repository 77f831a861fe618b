//! The crash matrix: the controller is killed before, during and after every call that it makes to a host or to the balancer's API, and
//! then somebody else, elsewhere, goes on to all-new in one trial and back to all-old in another. Clients must see nothing of it.

use std::fmt;

use serde::Serialize;
use tokio::time::Instant;

use super::failure::LabError;
use super::machines::Lab;
use super::rehearsal::Plan;
use super::trial::{Call, Ground, RUN_MAX};
use super::voice::Voice;

const MOMENTS: [&str; 3] = ["before", "during", "after"];
const RELEASES: [&str; 2] = ["trial-a", "trial-b"];
/// What a run says that was refused with nothing done: there was nothing to go on with, or nothing to go back to.
const REFUSED: i32 = 10;

/// Which points are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Points {
    All,
    /// So many, drawn by a seed.
    Sample {
        count: usize,
        seed: u64,
    },
    /// Every `of`th one, beginning with the `part`th: several labs share the work.
    Part {
        part: usize,
        of: usize,
    },
    /// Those at the calls from one number to another.
    Calls {
        first: u64,
        last: u64,
    },
}

/// Where the controller dies, and who comes after it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Point {
    call: u64,
    moment: &'static str,
    verb: &'static str,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {}", self.call, self.moment, self.verb)
    }
}

/// What was seen at one point.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Trial {
    pub(crate) point: String,
    /// The call at which it ended, such as `web1 _park`.
    pub(crate) at: String,
    /// The run had ended before that call.
    pub(crate) is_unreached: bool,
    /// `new` or `old`.
    pub(crate) ended: String,
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    pub(crate) seconds: f64,
    pub(crate) complaints: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Matrix {
    pub(crate) calls: u64,
    pub(crate) points: usize,
    pub(crate) seed: Option<u64>,
    pub(crate) trials: Vec<Trial>,
    pub(crate) seconds: f64,
}

impl Matrix {
    pub(crate) fn is_passed(&self) -> bool {
        !self.trials.is_empty() && self.trials.iter().all(|trial| trial.complaints.is_empty())
    }
}

/// The figures; the last line has them all.
impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for trial in self.trials.iter().filter(|trial| !trial.complaints.is_empty()) {
            writeln!(f, "not held   {} ({})", trial.point, trial.at)?;
            trial.complaints.iter().try_for_each(|complaint| writeln!(f, "           {complaint}"))?;
        }
        let count = |is: fn(&Trial) -> bool| self.trials.iter().filter(|trial| is(trial)).count();
        let sum = |of: fn(&Trial) -> u64| self.trials.iter().map(of).sum::<u64>();
        if let Some(seed) = self.seed {
            writeln!(f, "seed       {seed}")?;
        }
        writeln!(
            f,
            "{} of {} points tried ({} calls × before, during, after × resume, rollback), {} not reached; {} all-new, {} all-old, {} not held; \
             {} requests, {} failed; {:.0} s",
            self.trials.len(),
            self.points,
            self.calls,
            count(|trial| trial.is_unreached),
            count(|trial| trial.ended == "new"),
            count(|trial| trial.ended == "old"),
            count(|trial| !trial.complaints.is_empty()),
            sum(|trial| trial.requests),
            sum(|trial| trial.failed),
            self.seconds,
        )
    }
}

/// Tries the points on a lab that is up.
pub(crate) async fn crashes(lab: &Lab, plan: &Plan, points: Points, voice: &Voice) -> Result<Matrix, LabError> {
    let began = Instant::now();
    let ground = Ground::new(lab, plan, voice)?;
    let mut serving = ground.deploy_all(&RELEASES).await?;
    let calls = count_calls(&ground, &mut serving).await?;
    let all = points_of(calls);
    let seed = if let Points::Sample { seed, .. } = points { Some(seed) } else { None };
    let chosen = match points {
        Points::All => all.clone(),
        Points::Sample { count, seed } => sample(&all, count, seed),
        Points::Calls { first, last } => all.iter().filter(|point| (first..=last).contains(&point.call)).cloned().collect(),
        Points::Part { part, of } => all.iter().skip(part.saturating_sub(1)).step_by(of.max(1)).cloned().collect(),
    };
    voice.step(format!("{calls} calls; {} of {} points", chosen.len(), all.len()));
    let mut trials = Vec::new();
    for (number, point) in chosen.iter().enumerate() {
        let trial = attempt(&ground, point, &mut serving).await?;
        let verdict = if trial.complaints.is_empty() { "held".to_owned() } else { trial.complaints.join("; ") };
        let Trial { at, ended, requests, seconds, .. } = &trial;
        voice.step(format!(
            "{}/{} {point} ({at}): all {ended}, {requests} requests, {seconds} s: {verdict}",
            number + 1,
            chosen.len()
        ));
        let is_lost = !trial.complaints.is_empty();
        trials.push(trial);
        if is_lost && !ground.repaired(&RELEASES, &mut serving).await? {
            break;
        }
    }
    Ok(Matrix { calls, points: all.len(), seed, trials, seconds: seconds_since(began) })
}

fn other(release: &str) -> &'static str {
    if release == RELEASES[0] { RELEASES[1] } else { RELEASES[0] }
}

/// One rollout with nothing in its way.
async fn count_calls(ground: &Ground<'_>, serving: &mut &'static str) -> Result<u64, LabError> {
    let list = ground.lab.dir().join("calls");
    let environment = vec![("ROLL_CALLS", list.display().to_string())];
    let new = other(serving);
    let ended = ground.run(&Call { release: new, environment, ..Call::default() }, RUN_MAX).await?;
    if ended.exit != Some(0) {
        return Err(LabError::FirstDeploy { exit: ended.exit });
    }
    *serving = new;
    let text = std::fs::read_to_string(&list).map_err(LabError::file(&list))?;
    Ok(u64::try_from(text.lines().count()).unwrap_or_default())
}

fn points_of(calls: u64) -> Vec<Point> {
    let mut points = Vec::new();
    for call in 1..=calls {
        for moment in MOMENTS {
            points.extend(["resume", "rollback"].map(|verb| Point { call, moment, verb }));
        }
    }
    points
}

/// As many as asked for, spread over the whole rollout: one out of each part of it.
fn sample(all: &[Point], count: usize, seed: u64) -> Vec<Point> {
    let mut state = seed;
    let mut draw = |below: usize| {
        // Knuth's MMIX; its upper bits are good enough to draw lots.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or_default() % below.max(1)
    };
    let count = count.min(all.len());
    let bound = |part: usize| part * all.len() / count.max(1);
    (0..count).filter_map(|part| all.get(bound(part) + draw(bound(part + 1) - bound(part))).cloned()).collect()
}

async fn attempt(ground: &Ground<'_>, point: &Point, serving: &mut &'static str) -> Result<Trial, LabError> {
    let began = Instant::now();
    let (old, new) = (*serving, other(serving));
    let list = ground.lab.dir().join("calls");
    let clients = ground.clients().await;
    let environment =
        vec![("ROLL_CALLS", list.display().to_string()), ("ROLL_CRASH_AT", format!("{}:{}", point.call, point.moment))];
    let died = ground.run(&Call { release: new, environment, ..Call::default() }, RUN_MAX).await?;
    let calls = std::fs::read_to_string(&list).unwrap_or_default();
    let at = calls.lines().find_map(|line| line.strip_prefix(&format!("{} ", point.call))).unwrap_or("the end");
    let after = Call { verb: point.verb, release: new, is_elsewhere: true, ..Call::default() };
    let mut went_on = ground.run(&after, RUN_MAX).await?;
    // It had come too far to be turned back, and says how to end it.
    let is_ended = point.verb == "rollback" && went_on.exit == Some(REFUSED) && went_on.has_said("`roll resume ");
    if is_ended {
        went_on = ground.run(&Call { verb: "resume", ..after }, RUN_MAX).await?;
    }
    let truth = ground.truth().await;
    let seen = clients.end().await;

    let is_unreached = died.exit == Some(0);
    let mut complaints = [truth.complaints(), seen.complaints()].concat();
    if !matches!(died.exit, None | Some(0)) {
        complaints.push(format!("the first run ended with {}:\n{}", died.shown(), died.tail()));
    }
    let release = truth.release();
    let is_new = release.as_deref() == Some(new);
    let is_fine = match (point.verb, went_on.exit) {
        ("resume", Some(0)) => is_new,
        ("rollback", Some(0)) if !is_ended => !is_new || is_unreached,
        ("rollback", Some(0)) => is_new,
        // There was nothing to go back from: nothing was begun, or all of it was done.
        ("rollback", Some(REFUSED)) => true,
        _ => false,
    };
    if !is_fine {
        complaints.push(format!("`{}` ended with {}:\n{}", point.verb, went_on.shown(), went_on.tail()));
    }
    if is_new {
        *serving = new;
    } else if release.as_deref() != Some(old) {
        complaints.push(format!("all serve {release:?}"));
    }
    Ok(Trial {
        point: point.to_string(),
        at: at.to_owned(),
        is_unreached,
        ended: if is_new { "new" } else { "old" }.to_owned(),
        requests: seen.tally.sent,
        failed: seen.tally.failed,
        seconds: seconds_since(began),
        complaints,
    })
}

fn seconds_since(began: Instant) -> f64 {
    (began.elapsed().as_secs_f64() * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_and_told_by_its_seed() {
        let all = points_of(20);
        assert_eq!(all.len(), 120);
        let drawn = sample(&all, 10, 7);
        assert_eq!(drawn.len(), 10);
        assert_eq!(drawn, sample(&all, 10, 7));
        assert_ne!(drawn, sample(&all, 10, 8));
        assert!(drawn.windows(2).all(|two| two[0].call <= two[1].call), "{drawn:?}");
        assert_eq!(sample(&all, 500, 1).len(), 120);
        assert_eq!(sample(&[], 10, 1), []);
    }
}
