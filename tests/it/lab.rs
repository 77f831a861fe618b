//! Stories on real machines: systemd, sshd, a Docker that `roll` installs, HAProxy. One lab for all of them, told in order.

mod bed;

use bed::{Bed, Outcome, repository, say};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

type Story = (&'static str, fn(&Bed));

/// They need nothing of each other.
const STORIES: &[Story] = &[
    ("a typo sends nothing to any host", a_typo_sends_nothing),
    ("a host whose key changed is refused, others go on", a_changed_key_is_refused),
    ("a wrong sudo password is told, the right one works", sudo_wants_the_right_password),
    ("a host that falls silent is unreachable, others go on", a_silent_host_is_unreachable),
    ("Docker is installed once", docker_is_installed_once),
    ("the modules of Docker hold on its engine", docker_modules_hold),
];

/// Each needs the release that the one before it left behind.
const ROLLOUTS: &[Story] = &[
    ("a first release comes up everywhere", a_first_release),
    ("a failing pre_task leaves every host in rotation", a_failing_pre_task),
    ("a host that refuses is not deployed to", readiness_refuses),
    ("Ctrl-C finishes the host in hand", ctrl_c_finishes_the_host_in_hand),
    ("a broken release goes back on its first host", a_broken_release_goes_back),
    ("two at once: one goes on, and status says whose it is", two_at_once),
    ("a killed rollout is brought to its end from elsewhere", killed_then_resumed),
    ("a killed rollout is taken back from elsewhere", killed_then_rolled_back),
    ("a rollout that slept too long is kept out", fenced_out),
    ("prunes and a new engine leave the way back", prunes_leave_the_way_back),
    ("crashes at points drawn by lot", crashes_by_lot),
];

/// On a single host, where a new container starts beside the old one.
const ALONE: &[Story] = &[
    ("releases that start first lose nothing", releases_start_first),
    ("a release that does not work is never seen", a_broken_one_beside),
    ("killed while two run, it is brought to its end from elsewhere", killed_with_two),
];

#[test]
fn lab() {
    if let Some(reason) = bed::missing() {
        return say(&format!("skipped: {reason}"));
    }
    let began = Instant::now();
    let bed = Bed::up();
    say(&format!("lab `{}` is up after {} s", bed.id, began.elapsed().as_secs()));
    let mut failed: Vec<&str> = STORIES.iter().filter(|story| !is_true(story, &bed)).map(|(name, _)| *name).collect();
    // Without a release there is nothing to tell of the next one.
    failed.extend(ROLLOUTS.iter().find(|story| !is_true(story, &bed)).map(|(name, _)| *name));
    assert_eq!(bed.down(), "", "the lab left something behind");
    let alone = Bed::with(&["--hosts", "1", "--second-port"]);
    failed.extend(ALONE.iter().find(|story| !is_true(story, &alone)).map(|(name, _)| *name));
    assert_eq!(alone.down(), "", "the lab of one host left something behind");
    say(&format!("all told after {} s", began.elapsed().as_secs()));
    assert!(failed.is_empty(), "not so: {failed:#?}");
}

fn is_true((name, story): &Story, bed: &Bed) -> bool {
    let began = Instant::now();
    let is_true = catch_unwind(AssertUnwindSafe(|| story(bed))).is_ok();
    say(&format!("{} {name} ({:.1} s)", if is_true { "ok  " } else { "FAIL" }, began.elapsed().as_secs_f64()));
    is_true
}

fn a_typo_sends_nothing(bed: &Bed) {
    let good = bed.write("good.yaml", "- hosts: web1\n  gather_facts: false\n  tasks:\n    - command: touch /tmp/good\n");
    let typo = "- hosts: web1\n  gather_facts: false\n  tasks:\n    - command: touch /tmp/typo\n    - name: A typo\n      coppy: { src: good.yaml, dest: /tmp/copied }\n";
    let typo = bed.write("typo.yaml", typo);
    let before = bed.logins("web1");
    bed.run(&typo, &[], 30).ended(4).says("typo.yaml:6:7").says("coppy").says("copy").says("nothing was sent to any host");
    assert_eq!(bed.logins("web1"), before, "somebody logged in");
    bed.run(&good, &[], 60).ended(0).counts("web1", &[("changed", 1), ("failed", 0)]);
    assert!(bed.logins("web1") > before, "logins are not counted, so the above shows nothing");
    assert_eq!(bed.on("web1", "ls /tmp | grep -E '^(typo|good|copied)$'"), "good");
}

fn a_changed_key_is_refused(bed: &Bed) {
    let keys = std::fs::read_to_string(bed.known_hosts()).unwrap();
    let is_of =
        |line: &str, host: &str| line.split_whitespace().next().is_some_and(|names| names.split(',').any(|name| name == host));
    let of = |host: &str| {
        keys.lines().filter(|line| is_of(line, host)).map(|line| line.split_once(' ').unwrap().1).collect::<Vec<_>>()
    };
    // The other host's keys under the name of `web2`: what an address that was given away looks like.
    let (mut stolen, mut first) = (of("web1").into_iter(), None);
    let line = |(number, line): (usize, &str)| {
        if !is_of(line, "web2") {
            return format!("{line}\n");
        }
        first.get_or_insert(number + 1);
        format!("{} {}\n", line.split_whitespace().next().unwrap(), stolen.next().unwrap())
    };
    let changed: String = keys.lines().enumerate().map(line).collect();
    let changed = bed.write("changed_keys", &changed);
    let play = bed.write("key.yaml", "- hosts: all\n  gather_facts: false\n  tasks:\n    - command: touch /tmp/key\n");
    let before = bed.logins("web2");
    let outcome = bed.run_with_keys(&changed, &play, 60);
    outcome.ended(4).counts("web2", &[("ok", 0), ("unreachable", 1)]);
    for host in ["web1", "lb"] {
        outcome.counts(host, &[("ok", 1), ("unreachable", 0), ("failed", 0)]);
    }
    let first = first.expect("a line of web2");
    let is_named = (first..first + of("web2").len()).any(|line| outcome.text.contains(&format!("changed_keys:{line}")));
    assert!(is_named, "the line of the old key is not named:\n{}", outcome.text);
    assert_eq!(bed.logins("web2"), before, "somebody logged in");
    assert_eq!(bed.on("web2", "ls /tmp | grep -c '^key$' || true"), "0");
}

fn sudo_wants_the_right_password(bed: &Bed) {
    const RIGHT: &str = "correct-horse-7";
    const WRONG: &str = "battery-staple-8";
    bed.on(
        "web1",
        &format!(
            "useradd -m -s /bin/bash ops; echo ops:{RIGHT} | chpasswd; echo 'ops ALL=(ALL) ALL' > /etc/sudoers.d/ops; chmod 440 /etc/sudoers.d/ops
             install -d -m 700 -o ops -g ops /home/ops/.ssh; install -m 600 -o ops -g ops /home/admin/.ssh/authorized_keys /home/ops/.ssh/"
        ),
    );
    let play = "- hosts: web1\n  gather_facts: false\n  become: true\n  tasks:\n    - shell: id -u > /tmp/sudo\n";
    let play = bed.write("sudo.yaml", play);
    let run = |password: Option<&str>| {
        let file = password.map(|password| bed.write("password", &format!("{password}\n")).display().to_string());
        let mut words = vec!["-e", "ansible_user=ops", "-vvv"];
        words.extend(file.iter().flat_map(|file| ["--become-password-file", file.as_str()]));
        let outcome = bed.run(&play, &words, 60);
        assert!(!outcome.text.contains(RIGHT) && !outcome.text.contains(WRONG), "a password is shown:\n{}", outcome.text);
        outcome
    };
    let is_refused = |outcome: Outcome, words: &str| {
        outcome.ended(2).says(words);
        assert_eq!(bed.on("web1", "ls /tmp | grep -c '^sudo$' || true"), "0");
    };
    is_refused(run(Some(WRONG)), "FAILED! => {\"changed\": false, \"msg\": \"Incorrect sudo password\"}");
    is_refused(run(None), "Missing sudo password");
    run(Some(RIGHT)).ended(0).counts("web1", &[("changed", 1), ("failed", 0)]);
    assert_eq!(bed.on("web1", "cat /tmp/sudo"), "0");
}

/// Its kernel still takes what is sent: only an answer shows that a host is alive.
fn a_silent_host_is_unreachable(bed: &Bed) {
    let play = "- hosts: all\n  gather_facts: false\n  tasks:\n    - name: Before\n      command: touch /tmp/before\n    - name: Meanwhile\n      pause: { seconds: 3 }\n    \
                - name: After\n      command: touch /tmp/after\n    - name: At the end\n      command: touch /tmp/end\n";
    let play = bed.write("silent.yaml", play);
    let mut run = bed.start(&play, &["-T", "5", "--ssh-extra-args", "-o ServerAliveInterval=2"]);
    run.await_words("TASK [Meanwhile]", 60);
    bed.docker(&["pause", &bed.container("web2")]);
    let outcome = catch_unwind(AssertUnwindSafe(|| run.end(Duration::from_secs(40))));
    bed.docker(&["unpause", &bed.container("web2")]);
    let outcome = outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    outcome.ended(4).counts("web2", &[("unreachable", 1), ("failed", 0)]);
    for host in ["web1", "lb"] {
        outcome.counts(host, &[("changed", 3), ("unreachable", 0), ("failed", 0)]);
        assert_eq!(bed.on(host, "ls /tmp | grep -cE '^(before|after|end)$'"), "3");
    }
    assert_eq!(bed.on("web2", "ls /tmp | grep -E '^(before|end)$'"), "before");
}

fn docker_is_installed_once(bed: &Bed) {
    let play = bed.write("docker.yaml", "- hosts: app\n  become: true\n  roles: [docker]\n");
    let first = bed.run(&play, &[], 300);
    let again = bed.run(&play, &[], 60);
    for host in ["web1", "web2"] {
        first.ended(0).counts(host, &[("failed", 0), ("unreachable", 0)]);
        again.ended(0).counts(host, &[("changed", 0), ("failed", 0), ("unreachable", 0)]);
        assert!(!bed.on(host, "docker version --format '{{.Server.Version}}'").is_empty());
    }
    assert!(!first.text.contains("changed=0"), "the first run changed nothing:\n{}", first.text);
}

/// The tests of `docker.rs`, with the engine of a host that goes with the lab.
fn docker_modules_hold(bed: &Bed) {
    bed.on("web1", "apt-get install -y -qq --no-install-recommends busybox >/dev/null 2>&1");
    let tests = std::env::current_exe().unwrap().display().to_string();
    for file in [tests.as_str(), env!("CARGO_BIN_EXE_roll-remote")] {
        let dir = std::path::Path::new(file).parent().unwrap().display();
        bed.on("web1", &format!("mkdir -p {dir}"));
        bed.docker(&["cp", file, &format!("{}:{file}", bed.container("web1"))]);
    }
    bed.on(
        "web1",
        &format!("cd /; (timeout 300 {tests} --ignored docker:: > /tmp/docker.log 2>&1 || true; touch /tmp/docker.done) &"),
    );
    let end = Instant::now() + Duration::from_secs(320);
    while bed.on("web1", "ls /tmp | grep -c '^docker.done$' || true") == "0" {
        assert!(Instant::now() < end, "the tests of Docker do not end");
        std::thread::sleep(Duration::from_secs(1));
    }
    let said = bed.on("web1", "tail -n 60 /tmp/docker.log");
    assert!(said.contains(" 0 failed") && !said.contains(" 0 passed"), "{said}");
    bed.on("web1", &format!("rm -f {tests} {} /tmp/docker.*", env!("CARGO_BIN_EXE_roll-remote")));
}

/// Puts a release of the application in place, with less patience than in production.
fn release(name: &str, more: &[&str]) -> (PathBuf, Vec<String>) {
    let variables = [format!("release={name}"), "bake=2s".into(), "healthy_deadline=20s".into()];
    let variables = variables.into_iter().flat_map(|variable| ["-e".to_owned(), variable]);
    (repository().join("playbooks/palindrome.yaml"), variables.chain(more.iter().map(|word| (*word).to_owned())).collect())
}

fn deploy(bed: &Bed, name: &str, more: &[&str], limit: u64) -> Outcome {
    let (playbook, words) = release(name, more);
    bed.run(&playbook, &words.iter().map(String::as_str).collect::<Vec<_>>(), limit)
}

/// Id, image, restart policy and state of the application's container.
fn container(bed: &Bed, host: &str) -> String {
    bed.on(
        host,
        "docker inspect --format '{{.Id}} {{.Config.Image}} {{.HostConfig.RestartPolicy.Name}} {{.State.Status}}' palindrome",
    )
}

fn containers(bed: &Bed) -> BTreeMap<&'static str, String> {
    ["web1", "web2"].map(|host| (host, container(bed, host))).into()
}

/// In rotation now, and still after the balancer's next health checks; with the application running.
fn all_serve(bed: &Bed) {
    let states = bed.rotation();
    assert!(states.len() == 2 && states.values().all(|state| state.starts_with("UP")), "{states:?}");
    await_all_up(bed);
    for (host, container) in containers(bed) {
        assert!(container.ends_with("unless-stopped running"), "{host}: {container}");
    }
}

/// `UP 1/2` is in rotation, with a health check to come.
fn await_all_up(bed: &Bed) {
    let until = Instant::now() + Duration::from_secs(15);
    while bed.rotation().values().any(|state| state != "UP") {
        assert!(Instant::now() < until, "{:?}", bed.rotation());
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Serving, with one container each and nothing parked.
fn all_is_well(bed: &Bed) {
    all_serve(bed);
    for host in ["web1", "web2"] {
        let named = bed.on(
            host,
            "docker ps -a --format '{{.Names}}'; docker images --format '{{.Repository}}' | grep -c ^roll-parked || true",
        );
        assert_eq!(named, "palindrome\n0", "on {host}");
    }
}

fn a_first_release(bed: &Bed) {
    let outcome = deploy(bed, "one", &[], 240);
    outcome.ended(0).says("ending: done");
    await_all_up(bed);
    all_is_well(bed);
    for (host, container) in containers(bed) {
        assert!(container.contains(" palindrome:one "), "{host}: {container}");
    }
}

/// A run that must change nothing in the balancer and on no host's container.
fn untouched(bed: &Bed, run: impl FnOnce() -> Outcome) -> Outcome {
    let before = containers(bed);
    let watch = bed.watch();
    let outcome = run();
    assert_eq!(watch.end(), Vec::<String>::new(), "out of rotation meanwhile:\n{}", outcome.text);
    assert_eq!(containers(bed), before, "{}", outcome.text);
    all_is_well(bed);
    outcome
}

fn a_failing_pre_task(bed: &Bed) {
    let outcome = untouched(bed, || deploy(bed, "one", &["-e", "app_settings_directory=/proc/palindrome"], 90));
    outcome.ended(10).says("There is a place for its settings").says("before any host was touched");
}

fn readiness_refuses(bed: &Bed) {
    let sql = |text: &str| {
        bed.docker(&["exec", "-u", "postgres", &bed.container("postgres"), "psql", "-q", "-d", "palindrome", "-c", text])
    };
    sql("INSERT INTO palindrome.deploy_holds VALUES ('the yearly closing', now() + interval '1 hour')");
    let outcome = catch_unwind(AssertUnwindSafe(|| untouched(bed, || deploy(bed, "two", &[], 120))));
    sql("DELETE FROM palindrome.deploy_holds");
    let outcome = outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    assert!(matches!(outcome.code, Some(10 | 12)), "{:?}:\n{}", outcome.code, outcome.text);
    outcome.says("409").says("the yearly closing").says("next: ");
}

fn ctrl_c_finishes_the_host_in_hand(bed: &Bed) {
    let (playbook, words) = release("two", &[]);
    let watch = bed.watch();
    let mut run = bed.start(&playbook, &words.iter().map(String::as_str).collect::<Vec<_>>());
    run.await_words("[web1] Switching", 120);
    run.interrupt();
    let outcome = run.end(Duration::from_secs(90));
    outcome.ended(15).says("ending: interrupted").says("next: `roll resume ");
    assert_eq!(watch.end(), ["web1"], "out of rotation meanwhile:\n{}", outcome.text);
    all_serve(bed);
    let mixed = containers(bed);
    assert!(mixed["web1"].contains(" palindrome:two "), "{mixed:#?}\n{}", outcome.text);
    assert!(mixed["web2"].contains(" palindrome:one "), "{mixed:#?}\n{}", outcome.text);

    // And the same command again goes on, and leaves nothing of the first try behind.
    deploy(bed, "two", &[], 150).ended(0).says("ending: done");
    all_is_well(bed);
    assert!(containers(bed).values().all(|container| container.contains(" palindrome:two ")));
}

fn a_broken_release_goes_back(bed: &Bed) {
    let before = containers(bed);
    let since = bed.on("web1", "date +%s");
    let watch = bed.watch();
    let outcome = deploy(bed, "three", &["-e", "palindrome_break=health", "-e", "healthy_deadline=6s"], 150);
    outcome.ended(13).says("did not become healthy").says("ending: reverted");
    assert_eq!(watch.end(), ["web1"], "out of rotation meanwhile:\n{}", outcome.text);
    assert_eq!(containers(bed), before, "the very containers of before:\n{}", outcome.text);
    all_is_well(bed);
    for host in ["web1", "web2"] {
        let pulls = format!("docker events --since {since} --until $(date +%s) --filter event=pull");
        assert_eq!(bed.on(host, &pulls), "", "pulled on {host}");
    }
}

/// The second one is told within seconds, and the first one goes on to its end.
fn two_at_once(bed: &Bed) {
    let before = containers(bed);
    let (playbook, words) = release("four", &["-e", "palindrome_break=health"]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut first = bed.start(&playbook, &words);
    first.await_words("TASK [", 60);
    let began = Instant::now();
    let second = bed.run_beside(&playbook, &words, 30);
    second.ended(11).says("is being rolled out by");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    bed.call("status", &playbook, &words, 30).ended(0).says("being rolled out by").says("web1").says("web2");
    first.end(Duration::from_secs(150)).ended(13);
    assert_eq!(containers(bed), before);
    all_is_well(bed);
}

fn strs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// Kills the rollout of a release in the middle of a host, and measures how soon its locks are free.
fn kill_in_the_middle(bed: &Bed, name: &str, at: &str) {
    let (playbook, words) = release(name, &[]);
    let mut run = bed.start(&playbook, &strs(&words));
    run.await_words(at, 120);
    run.signal(Signal::KILL);
    let waits = ["web1", "web2"].map(|host| (host, bed.lock_is_free_after(host)));
    assert_eq!(run.end(Duration::from_secs(5)).code, None);
    say(&format!("     locks free after the kill: {waits:?}"));
    assert!(waits.iter().all(|(_, wait)| *wait < Duration::from_secs(1)), "{waits:?}");
}

fn killed_then_resumed(bed: &Bed) {
    let clients = bed.clients();
    kill_in_the_middle(bed, "five", "[web1] Switching");
    let (playbook, words) = release("five", &[]);
    bed.elsewhere("resume", &playbook, &strs(&words), 150).ended(0).says("ending: done");
    all_is_well(bed);
    clients.lost_nothing();
    assert!(containers(bed).values().all(|container| container.contains(" palindrome:five ")));
}

fn killed_then_rolled_back(bed: &Bed) {
    let before = containers(bed);
    let clients = bed.clients();
    kill_in_the_middle(bed, "six", "[web2] Verifying");
    let (playbook, words) = release("six", &[]);
    bed.elsewhere("rollback", &playbook, &strs(&words), 150).ended(0).says("ending: done");
    all_is_well(bed);
    clients.lost_nothing();
    assert_eq!(containers(bed), before, "the very containers of before");
}

fn fenced_out(bed: &Bed) {
    let clients = bed.clients();
    let (playbook, words) = release("six", &[]);
    let mut sleeper = bed.start_fleeting(&playbook, &strs(&words), 4);
    sleeper.await_words("[web1] Switching", 120);
    sleeper.signal(Signal::STOP);
    std::thread::sleep(Duration::from_secs(6));
    let resumed = catch_unwind(AssertUnwindSafe(|| bed.elsewhere("resume", &playbook, &strs(&words), 150)));
    sleeper.signal(Signal::CONT);
    resumed.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).ended(0).says("ending: done");
    sleeper.end(Duration::from_secs(60)).ended(16).says("was taken over");
    all_is_well(bed);
    clients.lost_nothing();
    assert!(containers(bed).values().all(|container| container.contains(" palindrome:six ")));
}

/// What housekeeping and a new engine do to what is parked, while the new release fails.
fn prunes_leave_the_way_back(bed: &Bed) {
    let before = containers(bed);
    let broken = |housekeeping: &str| {
        let (playbook, words) = release("seven", &["-e", "palindrome_break=health", "-e", "healthy_deadline=20s"]);
        let mut run = bed.start(&playbook, &strs(&words));
        run.await_words("[web1] Verifying", 120);
        bed.on("web1", housekeeping);
        let outcome = run.end(Duration::from_secs(120));
        outcome.ended(13).says("ending: reverted");
        all_is_well(bed);
        outcome
    };
    let outcome = broken("docker image prune -af; systemctl restart docker; docker image prune -af");
    assert_eq!(containers(bed), before, "the very containers of before:\n{}", outcome.text);

    let settings = |host: &str| {
        bed.on(host, "docker inspect --format '{{.Image}} {{json .Config.Env}} {{json .HostConfig.PortBindings}} {{json .Config.Healthcheck}}' palindrome")
    };
    let as_before = settings("web1");
    let outcome = broken("docker container prune -f; docker image prune -f");
    assert_eq!(settings("web1"), as_before, "{}", outcome.text);
    assert_ne!(container(bed, "web1"), before["web1"], "nothing was pruned, so the above shows nothing");
    assert_eq!(container(bed, "web2"), before["web2"]);
}

/// The whole matrix is `tests/bench/rollout/crashes`.
fn crashes_by_lot(bed: &Bed) {
    for host in ["web1", "web2"] {
        bed.on(host, "docker rm -f palindrome");
    }
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() % 100_000;
    let outcome = bed.crashes(&repository().join("tests/bench/rollout/tiny.yaml"), 10, seed, 400);
    say(&format!("     {}", outcome.text.lines().last().unwrap_or_default()));
    outcome.ended(0).says(&format!("seed       {seed}")).says("10 of ").says("0 not held").says(" 0 failed;");
}

fn tiny(release: &str) -> (PathBuf, [String; 2]) {
    (repository().join("tests/bench/rollout/tiny.yaml"), ["-e".to_owned(), format!("release={release}")])
}

/// The application's containers, and where each is published: `tiny tiny:one 5001`.
fn published(bed: &Bed) -> String {
    bed.on("web1", "docker ps -a --format '{{.Names}} {{.Image}} {{.Ports}}' | sed 's/0.0.0.0:\\([0-9]*\\)->.*/\\1/' | sort")
}

/// What it is once a release has been put in place beside it.
fn after(published: &str, release: &str) -> String {
    format!("tiny tiny:{release} {}", if published.ends_with("5000") { 5001 } else { 5000 })
}

fn releases_start_first(bed: &Bed) {
    let (playbook, _) = tiny("");
    let outcome = bed.soak(&playbook, 2, 500);
    outcome.ended(0).says("2 of 2 rollouts; ").says(", 0 failed; ").says("never fewer than 1 of 1 live");
    assert_eq!(published(bed).lines().count(), 1, "{}", published(bed));
}

fn a_broken_one_beside(bed: &Bed) {
    let clients = bed.clients();
    let look = || bed.on("web1", "docker inspect --format '{{.Id}} {{.State.StartedAt}}' tiny") + &published(bed);
    let before = look();
    let (playbook, words) = tiny("broken");
    let words = [&strs(&words)[..], &["-e", "palindrome_break=health", "-e", "healthy_deadline=5s"]].concat();
    bed.run(&playbook, &words, 120).ended(13).says("the old container still serves on `web1`").says("ending: reverted");
    clients.lost_nothing();
    assert_eq!(look(), before, "it was never stopped");
}

fn killed_with_two(bed: &Bed) {
    let clients = bed.clients();
    let kill = |release: &str, at: &str, verb: &str| {
        let (playbook, words) = tiny(release);
        let mut run = bed.start(&playbook, &strs(&words));
        run.await_words(at, 120);
        run.signal(Signal::KILL);
        run.end(Duration::from_secs(5));
        bed.elsewhere(verb, &playbook, &strs(&words), 120).ended(0).says("ending: done");
    };
    for (release, at) in [("four", "[web1] Verifying"), ("five", "[web1] Quiet")] {
        let before = published(bed);
        kill(release, at, "resume");
        assert_eq!(published(bed), after(&before, release));
    }
    let look = || bed.on("web1", "docker inspect --format '{{.Id}}' tiny") + &published(bed);
    let before = look();
    kill("six", "[web1] Quiet", "rollback");
    assert_eq!(look(), before, "the very container of before");
    clients.lost_nothing();
}
