//! Texts that nobody writes, or only somebody who means harm: nothing crashes, hangs or fills the memory.
//!
//! What is mutated comes from the other tests; the generator gives the same numbers in every run. `ansible.cfg` has the like beside
//! its reader. To hunt for longer, each reader for this many seconds and with other numbers each time:
//!
//! ```sh
//! ROLL_FUZZ_SECONDS=600 cargo test --release -- --nocapture --test-threads=2 breaks_the
//! ```
//!
//! What breaks is printed with the text that did it, and `ROLL_FUZZ_SEED` finds it again; it is kept as a case of the room it is in.

use roll::diag::{Diagnostic, Sources};
use roll::inventory;
use roll::playbook::Reader;
use roll::report::diagnostic::render;
use roll::template::{self, FileOptions, Scope, World};
use roll::value::{Map, Span, Template, Value};
use roll::vault::{self, Envelope, Ring, Secret};
use roll::yaml::{self, Trust};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A generator of numbers that is the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides.max(1)
    }

    /// Letters taken out, put in, repeated, and pieces of another seed.
    fn mutate(&mut self, seeds: &[String], spice: &[&str]) -> String {
        let mut text: Vec<char> = seeds[self.roll(seeds.len())].chars().collect();
        for _ in 0..=self.roll(5) {
            let at = self.roll(text.len()).min(text.len());
            let end = (at + 1 + self.roll(8)).min(text.len());
            match self.roll(6) {
                0 if !text.is_empty() => drop(text.drain(at..end)),
                1 => text.truncate(at),
                2 => {
                    let piece: Vec<char> = text[at.min(end)..end].repeat(1 + self.roll(30));
                    drop(text.splice(at..at, piece));
                }
                3 => {
                    let other: Vec<char> = seeds[self.roll(seeds.len())].chars().collect();
                    let from = self.roll(other.len());
                    drop(text.splice(at..at, other[from..].iter().copied().take(20)));
                }
                _ => drop(text.splice(at..at, spice[self.roll(spice.len())].chars())),
            }
        }
        text.into_iter().collect()
    }
}

/// No single text may take longer, on a machine that does other things as well.
const ONE_MAX: Duration = Duration::from_secs(20);
/// Rounds are given up after this long.
const ALL_MAX: Duration = Duration::from_secs(15);

/// What the rounds of one reader are.
struct Hunt {
    name: &'static str,
    /// Of a run without `ROLL_FUZZ_SECONDS`.
    rounds: u64,
    seeds: Vec<String>,
    spice: &'static [&'static str],
}

impl Hunt {
    /// Runs the rounds on a stack as small as that of a worker. Whatever breaks or hangs is shown with the text that did it.
    #[expect(clippy::print_stderr, reason = "how many rounds there were is what a long hunt is judged by")]
    fn run(self, read: impl Fn(&str) + Send + 'static) {
        assert!(!self.seeds.is_empty());
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let (hours, name) = (number("ROLL_FUZZ_SECONDS"), self.name);
        let limit = hours.map_or(ALL_MAX, Duration::from_secs);
        let seed = number("ROLL_FUZZ_SEED").unwrap_or(if hours.is_some() { now() } else { 11 });
        let (said, heard) = mpsc::sync_channel::<String>(0);
        let worker = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(move || {
            let started = Instant::now();
            let mut dice = Dice(seed);
            let mut round = 0;
            while started.elapsed() < limit && (hours.is_some() || round < self.rounds) {
                let text = dice.mutate(&self.seeds, self.spice);
                said.send(text.clone()).unwrap();
                read(&text);
                round += 1;
            }
            round
        });
        let worker = worker.unwrap();
        let mut last = String::new();
        loop {
            match heard.recv_timeout(ONE_MAX) {
                Ok(text) => last = text,
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("{name}, ROLL_FUZZ_SEED={seed}: over {ONE_MAX:?} for {last:?}"),
            }
        }
        let Ok(done) = worker.join() else { panic!("{name}, ROLL_FUZZ_SEED={seed}: {last:?}") };
        assert!(done > 100, "{name}: only {done} rounds");
        eprintln!("{name}: {done} rounds, ROLL_FUZZ_SEED={seed}");
    }
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// The text of every file below a folder of cases that has one of these endings.
fn texts(folder: &str, endings: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(folder)];
    while let Some(folder) = folders.pop() {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let ending = path.extension().map(|ending| ending.to_string_lossy().into_owned()).unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if endings.contains(&ending.as_str()) {
                found.extend(std::fs::read_to_string(&path));
            }
        }
    }
    found
}

/// Nothing is there, nothing can be run.
struct Nowhere;

impl World for Nowhere {
    fn search_paths(&self, _folder: &str) -> Vec<PathBuf> {
        vec![PathBuf::from("/nonexistent")]
    }

    fn environment(&self, _name: &str) -> Option<String> {
        None
    }

    fn hosts(&self, _pattern: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }

    fn run(&self, _command: &str) -> Result<Vec<u8>, String> {
        Err("nothing is run".to_owned())
    }
}

struct Vars(Value);

impl Scope for Vars {
    fn get(&self, name: &str) -> Option<Value> {
        self.0.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.as_map().into_iter().flat_map(Map::keys).map(ToString::to_string).collect()
    }
}

fn vars() -> Vars {
    let json = r#"{"n": 5, "s": "abc", "l": [3, 1, 2], "d": {"a": 1, "b": {"c": [1]}}, "f": 1.5, "t": true, "none": null}"#;
    Vars(Value::from_json(json).unwrap())
}

/// All templates of the other tests, but for those that write, run or ask.
fn templates() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/template");
    let mut seeds = Vec::new();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|ending| ending == "yaml")) {
        let text = std::fs::read_to_string(path).unwrap();
        let reading = yaml::read(&Sources::default(), "cases", &text, Trust::Data);
        let document = reading.document().unwrap().to_value();
        for case in document.get("cases").and_then(Value::as_list).unwrap_or_default() {
            let written = ["template", "file", "when", "expr"].iter().find_map(|name| case.get(name)?.as_str());
            seeds.extend(written.filter(|text| is_harmless(text)).map(str::to_owned));
        }
    }
    assert!(seeds.len() > 1000, "{}", seeds.len());
    seeds
}

fn is_harmless(text: &str) -> bool {
    !["password", "pipe", "url", "lines", "bcrypt", "blowfish", "vault"].iter().any(|word| text.contains(word))
}

fn evaluate(text: &str) {
    if !is_harmless(text) {
        return;
    }
    let scope = vars();
    let template = Template { text: text.to_owned(), span: Span::NOWHERE };
    template::check(&template);
    let _ = template::evaluate(&template, &scope, &Nowhere);
    let _ = template::expression(text, Span::NOWHERE, &scope, &Nowhere);
    let _ = template::condition(text, Span::NOWHERE, &scope, &Nowhere);
    let _ = template::render_file(text, &FileOptions::default(), &scope, &Nowhere);
}

#[test]
fn no_template_breaks_the_evaluation() {
    let spice = &[
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "'",
        "\"",
        "\\",
        "|",
        "~",
        ".",
        ",",
        ":",
        "=",
        "%",
        "*",
        "**",
        "//",
        "-",
        "+",
        "<",
        "is ",
        "not ",
        "in ",
        "if ",
        "else ",
        "for x in ",
        "endfor",
        "endif",
        "set x = ",
        "macro m(",
        "call ",
        "0",
        "9223372036854775807",
        "1e308",
        "-1",
        "é",
        "\u{1F600}",
        "\0",
        "\n",
        " ",
        "loop.",
        "self",
        "l.append(l)",
        "range(",
        "| map('",
        "| list",
        "| string",
        "| format(",
        "| regex_replace('",
        "undefined",
        "recursive",
    ];
    Hunt { name: "template", rounds: 30_000, seeds: templates(), spice }.run(evaluate);
}

#[test]
fn what_asks_for_too_much_is_refused_in_time() {
    let nested =
        |open: &str, inner: &str, close: &str, count: usize| format!("{}{inner}{}", open.repeat(count), close.repeat(count));
    let mut texts = vec![
        nested("(", "1", ")", 100_000),
        nested("[", "", "]", 100_000),
        nested("{'a':", "1", "}", 100_000),
        nested("not ", "x", "", 100_000),
        nested("-", "1", "", 100_000),
        nested("{% if 1 %}", "x", "{% endif %}", 20_000),
        nested("{{ '", "x", "' }}", 20_000),
        format!("{{{{ 1{} }}}}", " + 1".repeat(100_000)),
        format!("{{{{ s{} }}}}", " | upper".repeat(100_000)),
        format!("{{{{ s{} }}}}", ".a".repeat(100_000)),
        format!("{{{{ l{} }}}}", "[0]".repeat(100_000)),
        format!("{{{{ [{}] }}}}", "1,".repeat(100_000)),
        "{{".repeat(100_000),
        "{#".repeat(100_000),
    ];
    let expressions = [
        "'x' * 100000000000",
        "'x' * 9223372036854775807",
        "[1] * 100000000000",
        "10 ** 10 ** 10",
        "2 ** 100000000000",
        "1 | pow(1000000000000)",
        "10 | pow(1000000)",
        "range(100000000000) | list",
        "range(0, 9223372036854775807, 1) | length",
        "'%100000000000d' % 1",
        "'%.100000000000f' % 1",
        "'{:>100000000000}'.format(1)",
        "'x' | center(100000000000)",
        "'x'.ljust(100000000000)",
        "'x'.zfill(100000000000)",
        "'x\\ny' | indent(100000000000)",
        "lipsum(100000000000)",
        "[1] | batch(100000000000, 0) | list",
        "[1] | slice(100000000000) | list",
        "'a' | wordwrap(-1)",
        "'x' | comment(prefix_count=100000000000)",
        "{'a': 1} | to_nice_json(indent=100000000000)",
        "{'a': 1} | to_nice_yaml(indent=100000000000)",
        "'a' | truncate(-1)",
        "'abc' | replace('', 'x' * 1000000) | length",
        "'1e400' | float | int",
        "1e308 * 1e308 | int",
        "(1e308 * 10) | round | int",
        "0.0 / 0",
        "-9223372036854775808 // -1",
        "-9223372036854775808 % -1",
        "9223372036854775807 + 1",
        "-9223372036854775808 * -1",
        "(-9223372036854775807 - 1) | abs",
        "[[1] * 1000] * 1000 | flatten | length",
        "range(3000) | product(range(3000)) | list | length",
        "range(30) | permutations | list | length",
        "range(40) | combinations(20) | list | length",
        "('a' * 40 ~ 'b') | regex_search('(a*)*$')",
        "('a' * 30) | regex_replace('(a|aa)+$', 'x')",
        "'x' | regex_search('(((((((((((((((((((((((((x{9}){9}){9}){9}){9}){9}){9}){9}){9}){9})))))))))))))))))'",
        "'x' | regex_findall('[')",
        "1000000000000000000 | human_readable",
        "'99999999999999999999999Y' | human_to_bytes",
        "'%Y' | strftime(9223372036854775807)",
        "'%Y' | strftime(-9223372036854775808)",
        "'9999999999-99-99 99:99:99' | to_datetime",
        "'10.0.0.0/0' | ansible.utils.ipsubnet(32)",
        "'::/0' | ansible.utils.ipsubnet(128, -1)",
        "'::/0' | ansible.utils.nthhost(9223372036854775807)",
        "'::/0' | ansible.utils.ipaddr('size')",
        "'::/0' | ansible.utils.ipaddr('-170141183460469231731687303715884105728')",
        "'255.255.255.255' | ansible.utils.ipmath(9223372036854775807)",
        "['::/0', '0.0.0.0/0'] | ansible.utils.cidr_merge",
        "{'a': 1} | community.general.json_query('a' ~ ('.a' * 100000))",
        "{'a': 1} | community.general.json_query('(' * 100000)",
        "{'a': 1} | community.general.json_query('!' * 100000)",
        "[1] | community.general.json_query('[-2147483648]')",
        "[1] | community.general.json_query('[::-2147483648]')",
        "[1] | community.general.json_query('[2147483647:-2147483648:-1]')",
        "('[' * 100000) | from_json",
        "('[' * 100000) | from_yaml",
        "('{a: ' * 10000) | from_yaml",
        "'&a [*a]' | from_yaml",
        "lookup('sequence', 'start=0 end=9223372036854775807')",
        "lookup('nested', range(3000) | list, range(3000) | list) | length",
        "lookup('community.general.random_string', length=100000000000) | length",
        "'x' | password_hash('sha512', 'salt', rounds=99999999999)",
        "l.append(l) or l",
        "namespace(a=1).a.b.c",
        "'a'.encode().decode().join(['x'] * 100000) | length",
        "'a' | b64encode | b64decode(encoding='\\0')",
        "range(1, 100) | random(seed='x' * 100000)",
        "'x'.split('')",
        "'x'[::0]",
        "'x'[9223372036854775807:-9223372036854775808:-9223372036854775808]",
        "range(5)[::-9223372036854775808]",
    ];
    texts.extend(expressions.iter().map(|text| format!("{{{{ {text} }}}}")));
    texts.push("{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}".to_owned());
    texts.push("{% for x in [[[[1]]]] recursive %}{{ loop(x) }}{% endfor %}".to_owned());
    texts.push("{% set a = l %}{% for x in a %}{{ a.append(x) }}{% endfor %}".to_owned());
    texts.push(
        "{% set ns = namespace(s='x') %}{% for x in range(64) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s | length }}"
            .to_owned(),
    );
    for text in texts {
        let started = Instant::now();
        let shown: String = text.chars().take(120).collect();
        std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(move || evaluate(&text)).unwrap().join().unwrap();
        assert!(started.elapsed() < ONE_MAX, "{:?}: {shown}", started.elapsed());
    }
}

#[test]
fn no_vault_text_breaks_the_opening() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/vault");
    let seeds: Vec<String> = ["default.vault", "prod.vault", "salted.vault"]
        .iter()
        .map(|name| std::fs::read_to_string(folder.join(name)).unwrap())
        .collect();
    let spice = &["$ANSIBLE_VAULT;", "1.1", "1.2;", "AES256", ";", "\n", "\r\n", "0a", "0", "g", "é", "\0", " "];
    let ring = Ring::new(vec![Secret { id: "default".to_owned(), password: "pw1".into() }], false);
    // Deriving keys is slow on purpose, so most rounds only read the envelope.
    let turn = std::sync::atomic::AtomicUsize::new(0);
    Hunt { name: "vault", rounds: 20_000, seeds, spice }.run(move |text| {
        if let Ok(envelope) = Envelope::read(text) {
            assert!(envelope.to_text().starts_with("$ANSIBLE_VAULT;1."));
            if turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed).is_multiple_of(50) {
                let _ = ring.open(text);
            }
        }
    });
    let closed = vault::close(&vec![0; 1 << 20], "pw", "default", None).unwrap();
    assert_eq!(vault::open(&closed, "pw").unwrap().len(), 1 << 20);
}

#[test]
fn no_inventory_file_breaks_the_loading() {
    let seeds = [
        "[web]\nweb[01:10:2] ansible_port=22 a=\"b c\" l=\"[1, 'x', {'k': (1,2)}]\"\n[web:vars]\nx={{ y }}\n[a:children]\nweb\n",
        "all:\n  hosts:\n    web[1:3]: {a: 1}\n  children:\n    db:\n      hosts: {d1: null}\n      vars: {x: !vault abc}\n",
        "{\"resource\": {\"a\": 1}, \"format_version\": \"1.0\", \"values\": {\"root_module\": {\"resources\": [{\"address\": \"a.b\", \"type\": \"aws_instance\", \"values\": {\"id\": \"i\", \"tags\": {}}}]}}}",
        "plugin: constructed\nstrict: false\ngroups: {a: x == 1}\nkeyed_groups: [{key: b, prefix: c}]\n",
    ];
    let spice = &[
        "[",
        "]",
        "{",
        "}",
        ":",
        "=",
        "\"",
        "'",
        "\n",
        "  ",
        "- ",
        "&a ",
        "*a",
        "!",
        "#",
        "99999999999",
        "web[1:99999999999]",
        "\0",
        "é",
        "{{",
        "plugin: ",
        "children",
    ];
    let dir = tempfile::tempdir().unwrap();
    let seeds = seeds.iter().map(|seed| (*seed).to_owned()).chain(texts("inventory", &["", "ini", "yml", "yaml"])).collect();
    Hunt { name: "inventory", rounds: 3_000, seeds, spice }.run(move |text| {
        for name in ["hosts", "hosts.yml"] {
            let file = dir.path().join(name);
            std::fs::write(&file, text).unwrap();
            load(&file);
        }
    });
}

/// Reads an inventory, and shows what is wrong with it.
fn load(file: &Path) {
    let sources = Sources::default();
    match inventory::load(&sources, &[file.to_string_lossy().into_owned()]) {
        Ok(found) => found.hosts.keys().take(20).for_each(|host| drop(found.vars_of(host))),
        Err(diagnostics) => show(&diagnostics, &sources),
    }
}

/// What is wrong points into the text, or showing it would fail.
fn show(diagnostics: &[Diagnostic], sources: &Sources) {
    assert!(diagnostics.is_empty() || !render(diagnostics, sources, false).is_empty());
}

#[test]
fn no_file_of_terraform_breaks_the_loading() {
    let spice = &[
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "null",
        "true",
        "-1",
        "1e999",
        "\\u0000",
        "\\ud800",
        "\n",
        "é",
        "{\"value\": ",
        "\"roll_hosts\": ",
        "\"sensitive\": true",
        "\"address\": ",
        "\"values\": ",
        "\"aws_instance\"",
        "\"resources\": [",
    ];
    let dir = tempfile::tempdir().unwrap();
    let seeds = texts("inventory/terraform", &["json", "tfstate"]);
    Hunt { name: "terraform", rounds: 3_000, seeds, spice }.run(move |text| {
        for name in ["outputs.json", "terraform.tfstate"] {
            let file = dir.path().join(name);
            std::fs::write(&file, text).unwrap();
            load(&file);
        }
    });
}

#[test]
fn no_playbook_breaks_the_reading() {
    let spice = &[
        "- ",
        "  ",
        "\n",
        "\n  ",
        "\n    ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        "|\n",
        ">-\n",
        "&a ",
        "*a",
        "<<: ",
        "!vault ",
        "!unsafe ",
        "#",
        "---\n",
        "{{ ",
        " }}",
        "{% ",
        "%}",
        "\t",
        "\0",
        "é",
        "\u{1F600}",
        "0x",
        "1:2:3",
        "~",
        "null",
        "hosts",
        "tasks:",
        "block:",
        "rescue:",
        "when: ",
        "loop: ",
        "with_items: ",
        "roles: ",
        "import_tasks: ",
        "include_role: ",
        "a=b ",
        "name: ",
        "vars: ",
        "serial: ",
        "tags: ",
        "rollout: ",
        "local_action: ",
        "action: ",
        "args: ",
        "listen: ",
        "notify: ",
        "99999999999999999999",
    ];
    let seeds = texts("playbooks", &["yaml", "yml"]).into_iter().chain(texts("errors", &["yaml"])).collect();
    Hunt { name: "playbook", rounds: 10_000, seeds, spice }.run(|text| {
        let sources = Sources::default();
        let mut reader = Reader::new(sources.clone(), Vec::new(), Box::new(|_, _| None));
        drop(reader.text(Path::new("/nonexistent/play.yaml"), text));
        show(&reader.take_diagnostics(), &sources);
        let reading = yaml::read(&sources, "text", text, Trust::User);
        show(&reading.diagnostics, &sources);
        reading.documents.iter().for_each(|node| drop(node.to_value()));
    });
}
