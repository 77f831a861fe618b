//! Mutated inventories of all kinds: whatever is written, nothing panics, and every finding points into the text.

use super::terraform::tests::read_made_of;
use super::*;
use std::sync::LazyLock;

/// A generator of numbers that is the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides.max(1)
    }

    fn mutate(&mut self, seed: &str, spice: &[&str]) -> String {
        let mut text: Vec<char> = seed.chars().collect();
        for _ in 0..=self.roll(4) {
            let at = self.roll(text.len()).min(text.len());
            match self.roll(4) {
                0 if !text.is_empty() => drop(text.drain(at..(at + 1 + self.roll(8)).min(text.len()))),
                1 => text.truncate(at),
                _ => drop(text.splice(at..at, spice[self.roll(spice.len())].chars())),
            }
        }
        text.into_iter().collect()
    }
}

static NOTHING: LazyLock<Map> = LazyLock::new(Map::new);

fn loading(sources: &Sources) -> Loading<'_> {
    let inventory = Inventory::default();
    Loading { sources, inventory, diagnostics: Vec::new(), file: None, is_in_directory: false, extra: &NOTHING }
}

/// Finishes, asks for everything, and checks that findings point into the text.
fn check(mut loading: Loading<'_>, text: &str) {
    loading.inventory.finish();
    for host in loading.inventory.hosts.keys() {
        loading.inventory.vars_of(host);
    }
    let selection = loading.inventory.select(text.lines().next().unwrap_or(""), Span::NOWHERE);
    for diagnostic in loading.diagnostics.iter().chain(&selection.diagnostics) {
        for label in diagnostic.labels.iter().filter(|label| !label.span.is_nowhere()) {
            assert!(loading.sources.slice(label.span).is_some(), "{text:?}: {diagnostic:?}");
        }
    }
}

#[test]
fn no_ini_breaks_the_reader() {
    let seeds = [
        "[web]\nweb[01:10:2] ansible_port=22 a=\"b c\" l=\"[1, 'x', {'k': (1,2)}]\"\n[::1]:22\n[app:children]\nweb\n[web:vars]\nx={{ y }}\n",
        "é[a:f].x:2222 v='ü' # c\n[all:vars]\nn=-0x1_f\ns=r'\\x41' b'y'\nf=1.5e-3\n[a:children]\nb\n[b:children]\na\n[b]\n",
    ];
    let spice = [
        "[",
        "]",
        ":",
        "=",
        "\"",
        "'",
        "\\",
        "#",
        ";",
        "\n",
        "[0:99999999]",
        "{{",
        "}",
        "(",
        ",",
        "é",
        "\0",
        "\t",
        "1e",
        "0x",
        "b'",
        "-",
        "~(",
        "*",
    ];
    let mut dice = Dice(11);
    for _ in 0..60_000 {
        let seed = seeds[dice.roll(seeds.len())];
        let text = dice.mutate(seed, &spice);
        let sources = Sources::default();
        let mut loading = loading(&sources);
        ini::read(&mut loading, &Given { name: "hosts".to_owned(), path: "hosts".into(), text: Some(text.clone()) });
        check(loading, &text);
    }
}

#[test]
fn no_yaml_breaks_the_reader() {
    let seed = "all:\n  hosts:\n    web[1:3]: {a: 1}\n  vars: {b: '{{ c }}'}\n  children:\n    db: {hosts: x, children: {all: }}\nplugn: terraform\n";
    let spice = ["\n", " ", ":", "- ", "{", "}", "[", "]", "hosts", "vars", "children", "~", "1", "\"", "&a", "*a", "é"];
    let mut dice = Dice(13);
    for _ in 0..20_000 {
        let text = dice.mutate(seed, &spice);
        let sources = Sources::default();
        let mut loading = loading(&sources);
        yaml::read(
            &mut loading,
            &Given { name: "hosts.yaml".to_owned(), path: "/nowhere/hosts.yaml".into(), text: Some(text.clone()) },
        );
        check(loading, &text);
    }
}

#[test]
fn nothing_that_terraform_says_breaks_the_reader() {
    let seeds = [
        r#"{"roll_hosts":{"sensitive":true,"value":[{"name":"a","address":"é","port":22,"groups":["x"],"vars":{"y":[1]}},"b"]}}"#,
        r#"{"version":4,"terraform_version":"1","outputs":{"o":{"value":{"k":"v"}}},"resources":[{"mode":"managed","type":"ansible_host","name":"n","module":"m","instances":[{"index_key":0,"attributes":{"name":"h","groups":["g"],"variables":{"a":"b"}},"sensitive_attributes":[[{"value":"variables"}]]}]}]}"#,
        r#"{"format_version":"1","values":{"outputs":{},"root_module":{"resources":[{"address":"ansible_group.g[\"é\"]","mode":"managed","type":"ansible_group","index":"é","values":{"name":"g","children":["h","g"]},"sensitive_values":{"name":true}}],"child_modules":[{"resources":[]}]}}}"#,
    ];
    let spice = [
        "{",
        "}",
        "[",
        "]",
        "\"",
        ",",
        ":",
        "null",
        "true",
        "1",
        "\"roll_hosts\"",
        "{}",
        "[]",
        "\\u0000",
        "é",
        "\"value\":",
        "-1e99",
    ];
    let mut dice = Dice(17);
    let mut read = 0;
    for _ in 0..60_000 {
        let seed = seeds[dice.roll(seeds.len())];
        let text = dice.mutate(seed, &spice);
        let sources = Sources::default();
        let mut loading = loading(&sources);
        read += usize::from(read_made_of(&mut loading, &text));
        check(loading, &text);
    }
    assert!(read > 100, "almost nothing was read: {read}");
}
