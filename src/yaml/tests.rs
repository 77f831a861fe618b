//! Tests of the whole room: text in, nodes and findings out.

use super::*;
use crate::diag::Severity;

fn reading(text: &str) -> (Sources, Reading) {
    let sources = Sources::default();
    let reading = read(&sources, "site.yaml", text, Trust::User);
    (sources, reading)
}

fn json(text: &str) -> String {
    let (_, reading) = reading(text);
    assert_eq!(reading.diagnostics, [], "{text}");
    reading.document().map(|node| node.to_value().to_json()).unwrap_or_default()
}

/// `code`, what the first label covers, and the text of the patch.
fn finding(text: &str) -> (String, String, String) {
    let (sources, reading) = reading(text);
    let diagnostic = reading.diagnostics.first().cloned().unwrap_or_else(|| panic!("nothing found in {text:?}"));
    let covered = diagnostic.labels.first().and_then(|label| sources.slice(label.span)).unwrap_or_default();
    (diagnostic.code, covered, diagnostic.patch.map(|patch| patch.text).unwrap_or_default())
}

#[test]
fn scalars_follow_yaml_1_1_only_where_they_are_plain() {
    assert_eq!(
        json("a: yes\nb: 'yes'\nc: 0644\nd: \"0644\"\ne:\nf: ~\ng: !!str 12\nh: !!int '12'\ni: y\nj: ! 5\nk: !!str\n"),
        r#"{"a":true,"b":"yes","c":420,"d":"0644","e":null,"f":null,"g":"12","h":12,"i":"y","j":"5","k":""}"#
    );
    assert_eq!(json("- 2020-01-02\n- |\n  12\n- >-\n  a\n  b\n- !!binary aGk=\n"), r#"["2020-01-02","12\n","a b","hi"]"#);
}

#[test]
fn json_is_read_as_json() {
    assert_eq!(json("{\"a\": 1e3, \"b\":[1,\"yes\"],\t\"c\":null}"), r#"{"a":1000.0,"b":[1,"yes"],"c":null}"#);
    assert_eq!(json("{\n\t\"a\": {\n\t\t\"b\": 1\n\t}\n}\n"), r#"{"a":{"b":1}}"#);
}

#[test]
fn merges_stay_under_explicit_keys() {
    let text =
        "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\none:\n  b: 5\n  <<: *base\ntwo:\n  <<: [*base, *more]\n  d: 6\n";
    assert_eq!(json(text), r#"{"base":{"a":1,"b":2},"more":{"b":3,"c":4},"one":{"a":1,"b":5},"two":{"b":2,"c":4,"a":1,"d":6}}"#);
    assert_eq!(finding("<<: x\n"), ("yaml-bad-merge".into(), "x".into(), String::new()));
}

#[test]
fn templates_are_what_the_user_wrote_and_know_where() {
    let text = "a: 'x {{ b }}'\nc: !unsafe '{{ d }}'\ne: !unsafe\n  - '{{ f }}'\ng: |\n  {% if h %}\n  i\n";
    let (sources, reading) = reading(text);
    let root = reading.document().unwrap();
    let Some(Node { content: Content::Scalar(Value::Template(template)), span }) = root.get("a") else { panic!("{root:?}") };
    assert_eq!(sources.slice(template.span).unwrap(), "x {{ b }}");
    assert_eq!(sources.slice(*span).unwrap(), "'x {{ b }}'");
    assert!(!root.get("c").unwrap().to_value().has_template());
    assert!(!root.get("e").unwrap().to_value().has_template());
    assert!(root.get("g").unwrap().to_value().has_template());
    let data = read(&sources, "facts", text, Trust::Data);
    assert!(!data.document().unwrap().to_value().has_template());
}

#[test]
fn spans_cover_what_is_written() {
    let text = "\u{feff}ä: b  # c\nlist:\n  - x y \n  - {k: \"v\"}\nmap:\n  k: v\nend: 1\n";
    let (sources, reading) = reading(text);
    let root = reading.document().unwrap();
    let covered = |node: &Node| sources.slice(node.span).unwrap();
    assert_eq!(covered(root.get("ä").unwrap()), "b");
    assert_eq!(covered(root.entry("list").unwrap().0), "list");
    assert_eq!(covered(root.get("list").unwrap()), "- x y \n  - {k: \"v\"}");
    assert_eq!(covered(&root.get("list").unwrap().as_list().unwrap()[1]), "{k: \"v\"}");
    assert_eq!(covered(root.get("map").unwrap()), "k: v");
    assert_eq!(covered(root), text.trim_start_matches('\u{feff}').trim_end());
}

#[test]
fn a_vaulted_value_stays_closed_until_it_is_used() {
    let (_, reading) = reading("p: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n");
    let node = reading.document().unwrap().get("p").unwrap();
    assert_eq!(node.vault(), Some("$ANSIBLE_VAULT;1.1;AES256\n6162"));
    assert!(node.to_value().has_template());
}

#[test]
fn duplicate_keys_warn_and_the_last_wins() {
    let (sources, reading) = reading("a: 1\nb: 2\na: 3\n");
    assert_eq!(reading.document().unwrap().to_value().to_json(), r#"{"a":3,"b":2}"#);
    let warning = &reading.diagnostics[0];
    assert_eq!((warning.severity, warning.code.as_str()), (Severity::Warning, "duplicate-key"));
    let lines: Vec<_> = warning.labels.iter().map(|label| sources.place(label.span).unwrap().line).collect();
    assert_eq!(lines, [3, 1]);
}

#[test]
fn templates_without_quotes_are_recognised() {
    let code = || "unquoted-template".to_owned();
    assert_eq!(finding("a: {{ b }}\n"), (code(), "{{ b }}".into(), "\"{{ b }}\"".into()));
    assert_eq!(finding("- a: {{ b }}/c # why\n"), (code(), "{{ b }}/c".into(), "\"{{ b }}/c\"".into()));
    assert_eq!(finding("a:\n  - {{ b[\"c\"] }}\n"), (code(), "{{ b[\"c\"] }}".into(), "'{{ b[\"c\"] }}'".into()));
    assert_eq!(finding("a: [1, {{ b }}, 2]\n"), (code(), "{{ b }}".into(), "\"{{ b }}\"".into()));
    assert_eq!(finding("a: {{ b | default('x: y') }}\n").0, code());
}

#[test]
fn slips_are_named_and_mended() {
    let cases = [
        ("a:\n\t- b\n", "yaml-tab", "\t", ""),
        ("a: b: c\n", "yaml-colon-in-value", ":", "\"b: c\""),
        ("- debug:\n    msg: see http: x # y\n", "yaml-colon-in-value", ":", "\"see http: x\""),
        ("a: \"x\" y\n", "yaml-text-after-quote", "y", "'\"x\" y'"),
        ("a: 'it's'\n", "yaml-text-after-quote", "s'", "\"'it's'\""),
        ("a: [1, 2\nb: 3\n", "yaml-unclosed-bracket", "[", ""),
        ("a: \"x\nb: 2\n", "yaml-unclosed-quote", "\"x", ""),
        ("a: 1\n  b: 2\n", "yaml-indentation", "b: 2", ""),
        ("a:\n    b: 1\n  c: 2\n", "yaml-indentation", "c: 2", ""),
        ("- a\nb: 1\n", "yaml-indentation", "b: 1", ""),
        ("a: @x\n", "yaml-reserved-character", "@", "\"@x\""),
        ("a: \"\\d\"\n", "yaml-bad-escape", "\\d", ""),
        ("b: &foo 1\na: *fo\n", "yaml-unknown-alias", "*fo", "*foo"),
        ("a: &x [*x]\n", "yaml-alias-in-itself", "*x", ""),
        ("a: !valt x\n", "yaml-unknown-tag", "!valt", "!vault"),
        ("a: !!int x\n", "yaml-unfit-for-tag", "x", ""),
        ("? [a]\n: 1\n", "yaml-key-is-collection", "[a]", ""),
        ("a: 1\n---\nb: 2\n", "yaml-several-documents", "---", ""),
    ];
    for (text, code, covered, patch) in cases {
        assert_eq!(finding(text), (code.to_owned(), covered.to_owned(), patch.to_owned()), "{text}");
    }
}

#[test]
fn strings_may_continue_without_indentation() {
    let text = "key: \"abc\ndef\"\nnext: x\n";
    let (sources, reading) = reading(text);
    let root = reading.document().unwrap();
    assert_eq!(root.to_value().to_json(), r#"{"key":"abc def","next":"x"}"#);
    assert_eq!(sources.slice(root.get("next").unwrap().span).unwrap(), "x");
    assert_eq!(json("a:\n  b: 'x\n\t  y'\nc: \"1\n\t\t2\"\n"), r#"{"a":{"b":"x y"},"c":"1 2"}"#);
}

#[test]
fn size_depth_and_aliases_are_limited() {
    assert_eq!(finding(&"[".repeat(50_000)).0, "yaml-too-deep");
    assert_eq!(finding(&"- ".repeat(50_000)).0, "yaml-too-deep");
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let items = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert_eq!(finding(&bomb).0, "yaml-alias-bomb");
    let nested = format!("a: &a {}{}\nb: {}*a{}\n", "[".repeat(60), "]".repeat(60), "[".repeat(60), "]".repeat(60));
    assert_eq!(finding(&nested).0, "yaml-too-deep");
    assert_eq!(reading(&"x".repeat(BYTES_MAX + 1)).1.diagnostics[0].code, "yaml-too-large");
}

#[test]
fn nothing_is_an_empty_document() {
    for text in ["", "\n\n", "# only a comment\n", "\u{feff}"] {
        let (_, reading) = reading(text);
        assert!(reading.document().is_none() && reading.diagnostics.is_empty(), "{text:?} {reading:?}");
    }
    assert_eq!(json("---\n"), "null");
}

/// A generator of numbers that is the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// Mutated texts: no panic, and every span is inside the text.
#[test]
fn no_text_breaks_the_reader() {
    let seeds = [
        "- hosts: all\n  vars: &v {a: 1, b: [x, 'y']}\n  tasks:\n    - name: \"{{ x }}\"\n      shell: |\n        a\n        b\n      <<: *v\n",
        "a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\nb: >-\n  folded\n\n  text\n? complex\n: 12:30:45\n",
        "{\"a\": [1, 2.5, {\"b\": null}], \"c\": \"\\u00e9\\n\"}\n",
        "%YAML 1.1\n---\na: &x 0644\nb: *x\n...\n---\n- 'it''s'\n- \"tab\\t\\x41\"\n- {{ y }}\n",
        "ключ: значение\n\"日本\": [é, ü]\nk: \"a\nb\"\n",
    ];
    let spice = [
        "\n", "\t", " ", ":", "- ", "{", "}", "[", "]", "\"", "'", "&a ", "*a", "!", "|", ">", "#", "%", "?", "<<: ", "{{",
        "\u{feff}", "é", "\r", "\0", "---\n",
    ];
    let mut dice = Dice(7);
    for round in 0..200_000 {
        let mut text: Vec<char> = seeds[dice.roll(seeds.len())].chars().collect();
        for _ in 0..=dice.roll(4) {
            let at = dice.roll(text.len().max(1)).min(text.len());
            match dice.roll(4) {
                0 if !text.is_empty() => drop(text.drain(at..(at + 1 + dice.roll(8)).min(text.len()))),
                1 => text.truncate(at),
                _ => drop(text.splice(at..at, spice[dice.roll(spice.len())].chars())),
            }
        }
        let text: String = text.into_iter().collect();
        let (sources, reading) = reading(&text);
        for label in reading.diagnostics.iter().flat_map(|diagnostic| &diagnostic.labels) {
            assert!(sources.slice(label.span).is_some(), "round {round}: {text:?} {:?}", reading.diagnostics);
        }
        for node in &reading.documents {
            check_spans(&sources, node, &text);
        }
    }
}

fn check_spans(sources: &Sources, node: &Node, text: &str) {
    assert!(sources.slice(node.span).is_some(), "{text:?} {node:?}");
    match &node.content {
        Content::Scalar(Value::Template(template)) => assert!(sources.slice(template.span).is_some(), "{text:?} {node:?}"),
        Content::Scalar(_) => {}
        Content::List(items) => items.iter().for_each(|item| check_spans(sources, item, text)),
        Content::Map(entries) => entries.iter().for_each(|(key, value)| {
            check_spans(sources, key, text);
            check_spans(sources, value, text);
        }),
    }
}
