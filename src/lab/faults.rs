//! The fault matrix: one thing goes wrong in the middle of a rollout, under load, and is mended again. What clients see, how the run ends and
//! what is true of the hosts afterwards is the verdict.

use std::fmt;
use std::time::Duration;

use rustix::process::Signal;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::failure::LabError;
use super::http;
use super::machines::Lab;
use super::rehearsal::Plan;
use super::trial::{Call, Ended, Going, Ground, RUN_MAX};
use super::voice::Voice;

const RELEASES: [&str; 2] = ["fault-a", "fault-b"];
/// How long a run may take until a host is being switched.
const SWITCH_MAX: Duration = Duration::from_secs(180);
/// Where the faults strike: the host is out, its old container is put aside, the new one starts.
const SWITCHING: &str = "Switching";
/// The silence after which locks go, where one has to wait for that.
const SILENCE: u64 = 4;
/// Until one that comes second must know that it does.
const TOLD_MAX: Duration = Duration::from_secs(5);

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Killed,
    TakenBack,
    Asleep,
    Cut,
    Engine,
    Reboot,
    Disk,
    Peer,
    Frozen,
    Throttle,
    Two,
    Broken,
}

/// One row a fault: its name, and what happens.
pub(crate) const FAULTS: &[(Fault, &str, &str)] = &[
    (Fault::Killed, "killed", "the controller is killed; `roll resume` elsewhere"),
    (Fault::TakenBack, "taken-back", "the controller is killed; `roll rollback` elsewhere"),
    (Fault::Asleep, "asleep", "the controller sleeps past its heartbeat, another one finishes, it wakes"),
    (Fault::Cut, "cut", "no way to the host in hand for 12 s"),
    (Fault::Engine, "dockerd", "the engine of the host in hand is restarted"),
    (Fault::Reboot, "reboot", "the host in hand is rebooted"),
    (Fault::Disk, "disk", "no room for records on the host in hand"),
    (Fault::Peer, "peer", "another host's container is killed while one is out"),
    (Fault::Frozen, "frozen", "the way to the balancer's API is frozen for 15 s"),
    (Fault::Throttle, "throttle", "alb: every call is throttled for 30 s"),
    (Fault::Two, "two", "another controller starts within a second"),
    (Fault::Broken, "broken", "the release itself is broken"),
];

impl Fault {
    pub(crate) fn named(name: &str) -> Option<Fault> {
        FAULTS.iter().find(|(_, known, _)| *known == name).map(|(fault, ..)| *fault)
    }

    fn name(self) -> &'static str {
        FAULTS.iter().find(|(fault, ..)| *fault == self).map_or("", |(_, name, _)| name)
    }

    fn what(self) -> &'static str {
        FAULTS.iter().find(|(fault, ..)| *fault == self).map_or("", |(.., what)| what)
    }

    fn needs_api(self) -> bool {
        self == Fault::Throttle
    }
}

/// What one fault did.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Struck {
    pub(crate) fault: String,
    pub(crate) what: String,
    /// How the runs ended, in order.
    pub(crate) exits: Vec<String>,
    /// The release that all serve afterwards: `new` or `old`.
    pub(crate) ended: String,
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    /// The fault itself takes a host away that serves: what it answers no more is not the rollout's loss.
    pub(crate) forgives: bool,
    pub(crate) fewest_live: Option<usize>,
    pub(crate) seconds: f64,
    pub(crate) complaints: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Faults {
    pub(crate) struck: Vec<Struck>,
    pub(crate) seconds: f64,
}

impl Faults {
    pub(crate) fn is_passed(&self) -> bool {
        !self.struck.is_empty() && self.struck.iter().all(|struck| struck.complaints.is_empty())
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for struck in &self.struck {
            let Struck { fault, what, exits, ended, requests, failed, seconds, complaints, forgives, .. } = struck;
            let verdict = if complaints.is_empty() { "held" } else { "NOT HELD" };
            let own = if *forgives && *failed > 0 { " (by the fault itself)" } else { "" };
            writeln!(f, "{verdict:<9} {fault:<11} {what}")?;
            let exits = exits.join(", ");
            writeln!(f, "          {exits}; all {ended}; {requests} requests, {failed} failed{own}; {seconds:.0} s")?;
            complaints.iter().try_for_each(|complaint| writeln!(f, "          {complaint}"))?;
        }
        let held = self.struck.iter().filter(|struck| struck.complaints.is_empty()).count();
        let requests: u64 = self.struck.iter().map(|struck| struck.requests).sum();
        let failed: u64 = self.struck.iter().filter(|struck| !struck.forgives).map(|struck| struck.failed).sum();
        writeln!(f, "{held} of {} faults held; {requests} requests, {failed} failed; {:.0} s", self.struck.len(), self.seconds)
    }
}

/// Tries faults on a lab that is up; all that it has a balancer for where none is named.
pub(crate) async fn faults(lab: &Lab, plan: &Plan, wanted: &[Fault], voice: &Voice) -> Result<Faults, LabError> {
    let began = Instant::now();
    let ground = Ground::new(lab, plan, voice)?;
    let mut serving = ground.deploy_all(&RELEASES).await?;
    let has_api = lab.double_address().is_some();
    let all = || FAULTS.iter().map(|(fault, ..)| *fault).filter(|fault| has_api || !fault.needs_api()).collect();
    let chosen: Vec<Fault> = if wanted.is_empty() { all() } else { wanted.to_vec() };
    let mut struck = Vec::new();
    for (fault, how) in chosen.into_iter().flat_map(|fault| ways(fault, plan)) {
        voice.step(format!("{}: {} {}", fault.name(), fault.what(), how.as_deref().unwrap_or_default()));
        let work = async {
            match &how {
                Some(how) => strike_broken(&ground, how, serving).await,
                None => strike(&ground, fault, &mut serving).await,
            }
        };
        let one = voice.during(fault.name(), work).await?;
        let verdict =
            if one.complaints.is_empty() { "held".to_owned() } else { format!("NOT HELD: {}", one.complaints.join("; ")) };
        voice.step(format!("{}: {verdict}", fault.name()));
        let is_lost = !one.complaints.is_empty();
        struck.push(one);
        if is_lost && !ground.repaired(&RELEASES, &mut serving).await? {
            break;
        }
    }
    Ok(Faults { struck, seconds: seconds_since(began) })
}

/// A release may be broken in several ways.
fn ways(fault: Fault, plan: &Plan) -> Vec<(Fault, Option<String>)> {
    match fault {
        Fault::Broken => plan.break_variables.iter().map(|how| (fault, Some(how.clone()))).collect(),
        _ => vec![(fault, None)],
    }
}

/// Stopped on its first host and taken back; what it answered wrongly until then is its own fault.
async fn strike_broken(ground: &Ground<'_>, how: &str, serving: &str) -> Result<Struck, LabError> {
    let began = Instant::now();
    let kind: String = how.chars().filter(char::is_ascii_alphanumeric).collect();
    let before = ground.truth().await;
    let clients = ground.clients().await;
    let variables = [how.to_owned()];
    let call = Call { release: &format!("broken-{kind}"), variables: &variables, ..Call::default() };
    let ended = ground.run(&call, RUN_MAX).await?;
    let truth = ground.truth().await;
    let seen = clients.end().await;
    let mut complaints = truth.complaints();
    if ended.exit != Some(13) {
        complaints.push(format!("it ended with {}:\n{}", ended.shown(), ended.tail()));
    }
    if seen.out().len() > 1 {
        complaints.push(format!("out of rotation: {:?}", seen.out()));
    }
    if before.hosts != truth.hosts {
        complaints.push(format!("not what was before: {:?}", truth.hosts));
    }
    Ok(Struck {
        fault: Fault::Broken.name().to_owned(),
        what: format!("{}: {how}", Fault::Broken.what()),
        exits: vec![ended.shown()],
        ended: if truth.release().as_deref() == Some(serving) { "old" } else { "new" }.to_owned(),
        requests: seen.tally.sent,
        failed: seen.tally.failed,
        forgives: true,
        fewest_live: seen.fewest_live,
        seconds: seconds_since(began),
        complaints,
    })
}

/// What a fault is expected to come to.
struct Expected {
    exits: Vec<Ended>,
    /// What each run may end with.
    allowed: Vec<&'static [i32]>,
    may_stay_old: bool,
}

async fn strike(ground: &Ground<'_>, fault: Fault, serving: &mut &'static str) -> Result<Struck, LabError> {
    let began = Instant::now();
    let old = *serving;
    let new = if old == RELEASES[0] { RELEASES[1] } else { RELEASES[0] };
    let clients = ground.clients().await;
    let mut complaints = Vec::new();
    let expected = Trouble { ground, new, complaints: &mut complaints }.make(fault).await?;
    let truth = ground.truth().await;
    let seen = clients.end().await;
    let forgives = fault == Fault::Peer;
    complaints.extend(truth.complaints());
    if !forgives {
        complaints.extend(seen.complaints());
    }
    for (ended, allowed) in expected.exits.iter().zip(&expected.allowed) {
        let is_killed = ended.exit.is_none() && allowed.is_empty();
        if !is_killed && !ended.exit.is_some_and(|exit| allowed.contains(&exit)) {
            complaints.push(format!("a run ended with {}:\n{}", ended.shown(), ended.tail()));
        }
    }
    let release = truth.release();
    let is_new = release.as_deref() == Some(new);
    if is_new {
        *serving = new;
    } else if release.as_deref() != Some(old) || !expected.may_stay_old {
        complaints.push(format!("all serve {release:?}"));
    }
    Ok(Struck {
        fault: fault.name().to_owned(),
        what: fault.what().to_owned(),
        exits: expected.exits.iter().map(Ended::shown).collect(),
        ended: if is_new { "new" } else { "old" }.to_owned(),
        requests: seen.tally.sent,
        failed: seen.tally.failed,
        forgives,
        fewest_live: seen.fewest_live,
        seconds: seconds_since(began),
        complaints,
    })
}

/// Makes trouble for the rollout of one release.
struct Trouble<'a, 'g> {
    ground: &'a Ground<'g>,
    new: &'static str,
    complaints: &'a mut Vec<String>,
}

impl Trouble<'_, '_> {
    async fn make(mut self, fault: Fault) -> Result<Expected, LabError> {
        match fault {
            Fault::Killed => self.killed("resume").await,
            Fault::TakenBack => self.killed("rollback").await,
            Fault::Asleep => self.asleep().await,
            Fault::Cut => self.cut().await,
            Fault::Engine => self.on_the_host("systemctl restart docker").await,
            Fault::Reboot => self.reboot().await,
            Fault::Disk => self.disk().await,
            Fault::Peer => self.peer().await,
            Fault::Frozen => self.frozen().await,
            Fault::Throttle => self.throttle().await,
            Fault::Two | Fault::Broken => self.two().await,
        }
    }

    fn call(&self, verb: &'static str) -> Call<'static> {
        Call { verb, release: self.new, is_elsewhere: !verb.is_empty(), ..Call::default() }
    }

    /// A rollout that is switching a host; and which.
    async fn switching(&mut self, environment: Vec<(&'static str, String)>) -> Result<(Going, String), LabError> {
        let mut going = self.ground.start(&Call { environment, ..self.call("") })?;
        if !going.says(SWITCHING, SWITCH_MAX).await {
            self.complaints.push(format!("no host was being switched within {} s", SWITCH_MAX.as_secs()));
        }
        let host = going.line_with(SWITCHING).and_then(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned()));
        let first = || self.ground.hosts().first().map(|host| host.name.clone());
        Ok((going, host.or_else(first).unwrap_or_default()))
    }

    async fn killed(&mut self, verb: &'static str) -> Result<Expected, LabError> {
        let (going, _) = self.switching(Vec::new()).await?;
        going.signal(Signal::KILL);
        let exits = vec![going.end(RUN_MAX).await?, self.ground.run(&self.call(verb), RUN_MAX).await?];
        if verb == "rollback" && !exits[1].has_said("old release") {
            self.complaints.push("nothing went back".to_owned());
        }
        Ok(Expected { exits, allowed: vec![&[], &[0]], may_stay_old: verb == "rollback" })
    }

    async fn asleep(&mut self) -> Result<Expected, LabError> {
        let (sleeper, _) = self.switching(vec![("ROLL_SILENCE", SILENCE.to_string())]).await?;
        sleeper.signal(Signal::STOP);
        sleep(Duration::from_secs(SILENCE + 2)).await;
        let resumed = self.ground.run(&self.call("resume"), RUN_MAX).await;
        sleeper.signal(Signal::CONT);
        let exits = vec![resumed?, sleeper.end(RUN_MAX).await?];
        Ok(Expected { exits, allowed: vec![&[0], &[16]], may_stay_old: false })
    }

    async fn cut(&mut self) -> Result<Expected, LabError> {
        let (going, host) = self.switching(Vec::new()).await?;
        self.block(&host, "-I").await?;
        sleep(Duration::from_secs(12)).await;
        self.block(&host, "-D").await?;
        self.through(going).await
    }

    /// Nothing of SSH goes through; what clients ask does.
    async fn block(&self, machine: &str, how: &str) -> Result<String, LabError> {
        let rule = |chain: &str, port: &str| format!("iptables -w {how} {chain} -p tcp {port} 22 -j DROP\n");
        self.ground.on(machine, &(rule("INPUT", "--dport") + &rule("OUTPUT", "--sport"))).await
    }

    async fn on_the_host(&mut self, script: &str) -> Result<Expected, LabError> {
        let (going, host) = self.switching(Vec::new()).await?;
        self.ground.on(&host, script).await?;
        self.through(going).await
    }

    /// All-new; or all-old where what was hit in the middle had to be given up; or what was left is gone on with.
    async fn through(&mut self, going: Going) -> Result<Expected, LabError> {
        let mut exits = vec![going.end(RUN_MAX).await?];
        let mut allowed: Vec<&'static [i32]> = vec![&[0, 12, 13, 14, 15]];
        if !matches!(exits[0].exit, Some(0 | 13)) {
            exits.push(self.ground.run(&self.call("resume"), RUN_MAX).await?);
            allowed.push(&[0]);
        }
        Ok(Expected { exits, allowed, may_stay_old: true })
    }

    async fn reboot(&mut self) -> Result<Expected, LabError> {
        let (going, host) = self.switching(Vec::new()).await?;
        self.ground.lab.reboot(&host).await?;
        self.through(going).await
    }

    /// The records get a small file system of their own; the machine's own disk is everybody's.
    async fn disk(&mut self) -> Result<Expected, LabError> {
        const MOVE: &str = "keep=$(mktemp -d)\nfor dir in /var/lib/roll/*/; do [ -e \"$dir/state.json\" ] || continue\n";
        let first = self.ground.hosts().first().map(|host| host.name.clone()).unwrap_or_default();
        let small = format!(
            "{MOVE}cp -a \"$dir\". \"$keep\"\nmount -t tmpfs -o size=256k,mode=700 tmpfs \"$dir\"\ncp -a \"$keep\"/. \"$dir\"\nrm -r \"$keep\"; mkdir \"$keep\"\ndone\n"
        );
        let large = format!(
            "{MOVE}mountpoint -q \"$dir\" || continue\ncp -a \"$dir\". \"$keep\"\numount \"$dir\"\ncp -a \"$keep\"/. \"$dir\"\nrm -r \"$keep\"; mkdir \"$keep\"\ndone\n"
        );
        self.ground.on(&first, &small).await?;
        let (going, _) = self.switching(Vec::new()).await?;
        let fill = "for dir in /var/lib/roll/*/; do mountpoint -q \"$dir\" && dd if=/dev/zero of=\"$dir/fill\" bs=1k 2>/dev/null || true; done\n";
        self.ground.on(&first, fill).await?;
        let ended = going.end(RUN_MAX).await?;
        self.ground.on(&first, "rm -f /var/lib/roll/*/fill\n").await?;
        if !ended.has_said("No space left on device") && ended.exit != Some(0) {
            self.complaints.push("nobody says that there is no room".to_owned());
        }
        let resumed = self.ground.run(&self.call("resume"), RUN_MAX).await?;
        self.ground.on(&first, &large).await?;
        Ok(Expected { exits: vec![ended, resumed], allowed: vec![&[0, 12, 13, 14], &[0]], may_stay_old: false })
    }

    async fn peer(&mut self) -> Result<Expected, LabError> {
        let (going, host) = self.switching(Vec::new()).await?;
        let peer = self.ground.hosts().into_iter().map(|machine| machine.name.clone()).find(|name| *name != host);
        if let Some(peer) = peer {
            self.ground.on(&peer, "docker kill $(docker ps -q) >/dev/null\n").await?;
        }
        self.through(going).await
    }

    /// The balancer's own work goes on.
    async fn frozen(&mut self) -> Result<Expected, LabError> {
        let (going, _) = self.switching(Vec::new()).await?;
        let pause = Duration::from_secs(15);
        if self.ground.lab.double_address().is_some() {
            self.knobs(r#"{"frozen": true}"#).await;
            sleep(pause).await;
            self.knobs(r#"{"frozen": false}"#).await;
        } else {
            let balancer = self.ground.lab.balancer().map(|machine| machine.name.clone()).unwrap_or_default();
            self.ground.on(&balancer, "pkill -STOP -f roll-remote || true\n").await?;
            sleep(pause).await;
            self.ground.on(&balancer, "pkill -CONT -f roll-remote || true\n").await?;
        }
        let exits = vec![going.end(RUN_MAX).await?];
        Ok(Expected { exits, allowed: vec![&[0]], may_stay_old: false })
    }

    async fn throttle(&mut self) -> Result<Expected, LabError> {
        let (going, _) = self.switching(Vec::new()).await?;
        self.knobs(r#"{"throttle": 1.0}"#).await;
        sleep(Duration::from_secs(30)).await;
        self.knobs(r#"{"throttle": 0.0}"#).await;
        let exits = vec![going.end(RUN_MAX).await?];
        Ok(Expected { exits, allowed: vec![&[0]], may_stay_old: false })
    }

    async fn knobs(&mut self, knobs: &str) {
        let Some(address) = self.ground.lab.double_address() else { return };
        if let Err(why) = http::post(&address, "/_double/knobs", knobs).await {
            self.complaints.push(format!("the double's knobs could not be turned: {why}"));
        }
    }

    async fn two(&mut self) -> Result<Expected, LabError> {
        let one = self.ground.start(&self.call(""))?;
        sleep(Duration::from_millis(300)).await;
        let other = self.ground.start(&Call { is_elsewhere: true, ..self.call("") })?;
        let (one, other) = tokio::try_join!(one.end(RUN_MAX), other.end(RUN_MAX))?;
        let (first, second) = if one.exit == Some(11) { (other, one) } else { (one, other) };
        if second.took > TOLD_MAX {
            self.complaints.push(format!("told after {:.1} s only", second.took.as_secs_f64()));
        }
        if !second.has_said("is being rolled out by") {
            self.complaints.push(format!("nobody is named:\n{}", second.tail()));
        }
        Ok(Expected { exits: vec![first, second], allowed: vec![&[0], &[11]], may_stay_old: false })
    }
}

fn seconds_since(began: Instant) -> f64 {
    (began.elapsed().as_secs_f64() * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_one_row() {
        for (fault, name, what) in FAULTS {
            assert_eq!(Fault::named(name), Some(*fault));
            assert_eq!((fault.name(), fault.what()), (*name, *what));
        }
        assert_eq!(Fault::named("flood"), None);
    }
}
