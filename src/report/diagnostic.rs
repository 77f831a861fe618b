//! Diagnostics as text: the line as the user wrote it, what is wrong below it, and the line as it would be right.

use crate::diag::{Diagnostic, Label, Patch, Severity, Sources};
use crate::value::Span;
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

/// Wide enough for most lines of a playbook; longer ones are cut around what is marked.
const COLUMNS: usize = 140;

/// All diagnostics below each other, each once, with an empty line between them.
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, color: bool) -> String {
    let mut out = String::new();
    for diagnostic in distinct(diagnostics, sources) {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&render_one(diagnostic, sources, color));
        out.push('\n');
    }
    out
}

/// `2 errors in 1 file; nothing was sent to any host`, with `now` as the second half.
pub fn summary(diagnostics: &[Diagnostic], sources: &Sources, now: &str) -> String {
    let diagnostics = distinct(diagnostics, sources);
    let count = |severity| diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let counts = [(count(Severity::Error), "error"), (count(Severity::Warning), "warning")];
    let counts: Vec<String> =
        counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, noun)| plural(count, noun)).collect();
    let mut text = if counts.is_empty() { "no errors".to_owned() } else { counts.join(" and ") };
    let files: BTreeSet<_> = diagnostics.iter().filter_map(|diagnostic| file_of(diagnostic, sources)).collect();
    if !files.is_empty() {
        text.push_str(&format!(" in {}", plural(files.len(), "file")));
    }
    if !now.is_empty() {
        text.push_str("; ");
        text.push_str(now);
    }
    text
}

/// Without those that say the same of the same place; a file that was read twice is one place.
pub fn distinct<'d>(diagnostics: &'d [Diagnostic], sources: &Sources) -> Vec<&'d Diagnostic> {
    let mut seen = HashSet::new();
    let place = |label: &Label| {
        let name = sources.get(label.span.source).map(|(name, _)| name.to_string());
        (name, label.span.start, label.span.end, label.text.clone())
    };
    let is_new = |found: &&Diagnostic| {
        let places: Vec<_> = found.labels.iter().map(place).collect();
        seen.insert((found.severity, found.title.clone(), places, found.notes.clone()))
    };
    diagnostics.iter().filter(is_new).collect()
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn file_of(diagnostic: &Diagnostic, sources: &Sources) -> Option<String> {
    let label = diagnostic.labels.first()?;
    sources.get(label.span.source).map(|(name, _)| name.to_string())
}

fn render_one(diagnostic: &Diagnostic, sources: &Sources, color: bool) -> String {
    let windows = windows(diagnostic, sources);
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut main = Group::with_title(level.primary_title(&diagnostic.title).id(&diagnostic.code));
    for window in &windows {
        main = main.element(window.snippet());
    }
    for label in diagnostic.labels.iter().filter(|label| label.span.is_nowhere() && !label.text.is_empty()) {
        main = main.element(Level::NOTE.message(visible(&label.text)));
    }
    for note in &diagnostic.notes {
        main = main.element(Level::NOTE.message(visible(note)));
    }
    for help in &diagnostic.help {
        main = main.element(Level::HELP.message(visible(help)));
    }
    let mut groups = vec![main];
    let mended = diagnostic.patch.as_ref().and_then(|patch| Some((patch, Window::around(patch.span, sources)?)));
    if let Some((patch, window)) = &mended {
        groups.push(Group::with_title(Level::HELP.secondary_title(&patch.why)).element(window.mended(patch)));
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.decor_style(DecorStyle::Ascii).term_width(COLUMNS).render(&groups)
}

/// Without what could move the cursor of a terminal; lines stay.
fn visible(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() && letter != '\n' { '\u{fffd}' } else { letter }).collect()
}

/// The lines of one source that are shown.
struct Window<'a> {
    name: String,
    text: String,
    start: usize,
    line: usize,
    labels: Vec<(&'a Label, bool)>,
}

/// One window for each source, that of the first label first.
fn windows<'a>(diagnostic: &'a Diagnostic, sources: &Sources) -> Vec<Window<'a>> {
    let mut windows: Vec<(u32, Window<'a>)> = Vec::new();
    for (index, label) in diagnostic.labels.iter().enumerate() {
        if windows.iter().any(|(source, _)| *source == label.span.source) {
            continue;
        }
        let of_source = || diagnostic.labels.iter().filter(|other| other.span.source == label.span.source);
        let start = of_source().map(|label| label.span.start).min().unwrap_or_default();
        let end = of_source().map(|label| label.span.end).max().unwrap_or_default();
        let Some(mut window) = Window::around(Span { start, end, ..label.span }, sources) else { continue };
        window.labels = of_source().enumerate().map(|(nth, label)| (label, index == 0 && nth == 0)).collect();
        windows.push((label.span.source, window));
    }
    windows.into_iter().map(|(_, window)| window).collect()
}

impl<'a> Window<'a> {
    /// The whole lines that a span touches.
    fn around(span: Span, sources: &Sources) -> Option<Window<'a>> {
        let (name, text) = sources.get(span.source)?;
        let before = text.get(..span.start as usize)?;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let behind = text.get(span.end as usize..)?;
        let end = span.end as usize + behind.find('\n').unwrap_or(behind.len());
        let line = before.matches('\n').count() + 1;
        Some(Window { name: visible(&name), text: text.get(start..end)?.to_owned(), start, line, labels: Vec::new() })
    }

    fn snippet(&self) -> Snippet<'_, Annotation<'_>> {
        let annotations = self.labels.iter().map(|(label, is_first)| {
            let kind = if *is_first { AnnotationKind::Primary } else { AnnotationKind::Context };
            kind.span(self.first_line(label.span)).label((!label.text.is_empty()).then(|| visible(&label.text)))
        });
        Snippet::source(&self.text).path(&self.name).line_start(self.line).annotations(annotations)
    }

    fn mended(&self, patch: &'a Patch) -> Snippet<'_, annotate_snippets::Patch<'_>> {
        let patch = annotate_snippets::Patch::new(self.range(patch.span), &patch.text);
        Snippet::source(&self.text).line_start(self.line).patch(patch)
    }

    fn range(&self, span: Span) -> Range<usize> {
        let inside = |offset: u32| (offset as usize).saturating_sub(self.start).min(self.text.len());
        let range = inside(span.start)..inside(span.end);
        if self.text.get(range.clone()).is_some() { range } else { 0..0 }
    }

    /// What a span covers of its first line: a mark over many lines helps nobody.
    fn first_line(&self, span: Span) -> Range<usize> {
        let range = self.range(span);
        let line = self.text.get(range.clone()).and_then(|covered| covered.split('\n').next()).unwrap_or("");
        range.start..range.start + line.trim_end().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{Trust, read};

    const PLAYBOOK: &str = "\
- hosts: app
  become: true
  tasks:
    - name: the user
      user:
        name: deploy
        grops: [docker, adm]
";

    fn span(source: u32, text: &str, part: &str) -> Span {
        let start = u32::try_from(text.find(part).unwrap()).unwrap();
        Span { source, start, end: start + u32::try_from(part.len()).unwrap() }
    }

    fn unknown_argument(sources: &Sources) -> Diagnostic {
        let source = sources.add("playbooks/site.yaml", PLAYBOOK);
        Diagnostic::error("unknown-argument", "module `user` has no argument `grops`")
            .at(span(source, PLAYBOOK, "grops"), "not an argument of `user`")
            .at(span(source, PLAYBOOK, "user:\n").to(span(source, PLAYBOOK, "user")), "of this module")
            .note("`roll doc user` lists all arguments")
            .patch(span(source, PLAYBOOK, "grops"), "groups", "an argument with a similar name exists")
    }

    fn rendered(text: &str) -> String {
        let sources = Sources::default();
        let reading = read(&sources, "site.yaml", text, Trust::User);
        render(&reading.diagnostics, &sources, false)
    }

    #[test]
    fn a_diagnostic_shows_the_line_and_the_mended_line() {
        let sources = Sources::default();
        insta::assert_snapshot!(render(&[unknown_argument(&sources)], &sources, false), @r"
        error[unknown-argument]: module `user` has no argument `grops`
         --> playbooks/site.yaml:7:9
          |
        5 |       user:
          |       ----- of this module
        6 |         name: deploy
        7 |         grops: [docker, adm]
          |         ^^^^^ not an argument of `user`
          |
          = note: `roll doc user` lists all arguments
        help: an argument with a similar name exists
          |
        7 |         groups: [docker, adm]
          |            +
        ");
    }

    #[test]
    fn a_template_without_quotes() {
        insta::assert_snapshot!(rendered("- hosts: all\n  vars:\n    home: {{ base }}/x\n"), @r#"
        error[unquoted-template]: a value that starts with `{{` needs quotes
         --> site.yaml:3:11
          |
        3 |     home: {{ base }}/x
          |           ^^^^^^^^^^^^ YAML reads `{` as the start of a mapping
          |
        help: quote the whole value
          |
        3 -     home: {{ base }}/x
        3 +     home: "{{ base }}/x"
          |
        "#);
    }

    #[test]
    fn a_duplicate_key_is_shown_twice() {
        insta::assert_snapshot!(rendered("a: 1\nb: 2\nc: 3\nd: 4\ne: 5\na: 6\n"), @r"
        warning[duplicate-key]: key `a` is written twice in one mapping
         --> site.yaml:6:1
          |
        1 | a: 1
          | - this one is ignored
        ...
        6 | a: 6
          | ^ this one counts
          |
          = note: Ansible says: found a duplicate dict key (a)
          = help: remove one of them
        ");
    }

    #[test]
    fn a_tab_and_a_wrong_indentation() {
        insta::assert_snapshot!(rendered("a:\n\t- b\n"), @r"
        error[yaml-tab]: a tab is used where YAML allows only spaces
         --> site.yaml:2:1
          |
        2 |     - b
          | ^ a tab
          |
          = help: indent with spaces; most editors can convert the file
        ");
        insta::assert_snapshot!(rendered("tasks:\n    - name: x\n      shell: y\n     when: z\n"), @r"
        error[yaml-indentation]: the line fits no list or mapping above it
         --> site.yaml:4:6
          |
        2 |     - name: x
          |       ------- indented by 6
        3 |       shell: y
        4 |      when: z
          |      ^^^^^^^ indented by 5
          |
          = help: give what belongs together the same indentation
        ");
    }

    #[test]
    fn an_end_that_is_missing() {
        insta::assert_snapshot!(rendered("a: [1, 2"), @r"
        error[yaml-unclosed-bracket]: a list or mapping in brackets has no end
         --> site.yaml:1:4
          |
        1 | a: [1, 2
          |    ^ opened here
          |
          = help: close the bracket, or put a comma between its elements
        ");
    }

    #[test]
    fn no_label_is_needed() {
        let diagnostic = Diagnostic::error("no-inventory", "no inventory was given").help("name one with `-i`");
        insta::assert_snapshot!(render(&[diagnostic], &Sources::default(), false), @r"
        error[no-inventory]: no inventory was given
         |
         = help: name one with `-i`
        ");
    }

    #[test]
    fn two_files_are_both_shown() {
        let sources = Sources::default();
        let inventory = sources.add("hosts", "[app]\nweb1\n");
        let mut diagnostic = unknown_argument(&sources);
        diagnostic.patch = None;
        let diagnostic = diagnostic.at(span(inventory, "[app]\nweb1\n", "web1"), "for this host");
        insta::assert_snapshot!(render(&[diagnostic], &sources, false), @r"
        error[unknown-argument]: module `user` has no argument `grops`
         --> playbooks/site.yaml:7:9
          |
        5 |       user:
          |       ----- of this module
        6 |         name: deploy
        7 |         grops: [docker, adm]
          |         ^^^^^ not an argument of `user`
          |
         ::: hosts:2:1
          |
        2 | web1
          | ---- for this host
          |
          = note: `roll doc user` lists all arguments
        ");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let diagnostic = Diagnostic::error("x", "bad \u{1b}[31m name").note("and \u{1b}]0;title\u{7}");
        let plain = render(&[diagnostic], &Sources::default(), false);
        assert!(!plain.contains('\u{1b}') && !plain.contains('\u{7}'), "{plain:?}");
    }

    #[test]
    fn any_span_can_be_rendered() {
        let sources = Sources::default();
        let source = sources.add("é.yaml", "aé: {{ ü }}\n\t日本\r\n\n\u{1b}x");
        for start in 0..30 {
            for end in 0..30 {
                let span = Span { source, start, end };
                let diagnostic = Diagnostic::error("x", "y").at(span, "a").at(Span { source, start: end, end: start }, "");
                render(&[diagnostic.patch(span, "z", "w")], &sources, true);
            }
        }
    }

    #[test]
    fn colour_only_when_asked() {
        let sources = Sources::default();
        let diagnostics = [unknown_argument(&sources)];
        assert!(!render(&diagnostics, &sources, false).contains('\u{1b}'));
        assert!(render(&diagnostics, &sources, true).contains('\u{1b}'));
    }

    #[test]
    fn the_summary_counts() {
        let sources = Sources::default();
        let one = unknown_argument(&sources);
        // The same file, read a second time.
        let again = unknown_argument(&sources);
        let other = Diagnostic { title: "another".into(), ..one.clone() };
        let warning = Diagnostic::warning("x", "y");
        let all = [one, again, other, warning];
        assert_eq!(
            summary(&all, &sources, "nothing was sent to any host"),
            "2 errors and 1 warning in 1 file; nothing was sent to any host"
        );
        assert_eq!(summary(&all[3..], &sources, ""), "1 warning");
    }
}
