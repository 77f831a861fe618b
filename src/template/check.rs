//! What can be said about a template before the run.

use super::failure::{Plugin, TemplateError};
use super::place::spot_span;
use super::syntax::tree::{Name, Root, Spot, Tree};
use super::syntax::{SyntaxError, Used, expression_tree, template_tree, used_names};
use super::{calls, filters, lookups, tests};
use crate::diag::{Diagnostic, Explain, closest};
use crate::value::{Span, Template};
use std::sync::Arc;

/// What is wrong with a string of a playbook: its syntax, or a filter or test that does not exist.
pub fn check(template: &Template) -> Vec<Diagnostic> {
    if template.is_vault() {
        return Vec::new();
    }
    findings(template_tree(&template.text), &template.text, template.span)
}

/// The same for a bare expression such as `when`.
pub fn check_expression(expr: &str, span: Span) -> Vec<Diagnostic> {
    if let Some(opened) = super::embedded::opened(expr.trim()) {
        return findings(expression_tree(&opened), &opened, span);
    }
    findings(expression_tree(expr), expr, span)
}

/// The variables that a string of a playbook needs; none when it cannot be read.
pub fn free_names(template: &Template) -> Vec<String> {
    if template.is_vault() {
        return Vec::new();
    }
    template_tree(&template.text).map_or_else(|_| Vec::new(), |tree| names(&used(&tree)))
}

/// The variables that a bare expression needs.
pub fn free_names_of_expression(expr: &str) -> Vec<String> {
    expression_tree(expr).map_or_else(|_| Vec::new(), |tree| names(&used(&tree)))
}

/// A row of the tables, for `roll doc` and for completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PluginRow {
    pub plugin: Plugin,
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    /// In order; `*name` takes all further arguments, `**name` all other named ones.
    pub params: &'static [&'static str],
    pub doc: &'static str,
}

/// Everything that templates can name.
pub fn plugins() -> Vec<PluginRow> {
    let mut rows = Vec::new();
    for row in filters::rows() {
        rows.push(PluginRow { plugin: Plugin::Filter, name: row.name, aliases: row.aliases, params: row.params, doc: row.doc });
    }
    for row in tests::rows() {
        rows.push(PluginRow { plugin: Plugin::Test, name: row.name, aliases: row.aliases, params: row.params, doc: row.doc });
    }
    for row in super::functions::FUNCTIONS {
        rows.push(PluginRow { plugin: Plugin::Function, name: row.name, aliases: &[], params: row.params, doc: row.doc });
    }
    for row in super::lookups::rows() {
        rows.push(PluginRow { plugin: Plugin::Lookup, name: row.name, aliases: &[], params: &[], doc: row.doc });
    }
    rows
}

fn names(used: &Used) -> Vec<String> {
    used.free.iter().filter(|name| super::functions::find(name).is_none()).map(ToString::to_string).collect()
}

fn used(tree: &Tree) -> Used {
    match &tree.root {
        Root::Body(body) => used_names(body),
        Root::Expr(expr) => Used::of_expression(expr),
    }
}

fn findings(tree: Result<Arc<Tree>, SyntaxError>, text: &str, span: Span) -> Vec<Diagnostic> {
    let tree = match tree {
        Ok(tree) => tree,
        Err(error) => return vec![TemplateError::syntax(error, text, span).explain()],
    };
    let used = used(&tree);
    let unknown = |(name, at): &(Name, Spot), plugin: Plugin, known: &mut dyn Iterator<Item = &str>| {
        let mut error = *calls::unknown(plugin, name, known);
        error.span = spot_span(text, span, *at);
        error.explain()
    };
    let mut found = Vec::new();
    for filter in used.filters.iter().filter(|(name, _)| filters::find(name).is_none()) {
        found.push(unknown(filter, Plugin::Filter, &mut filters::names()));
    }
    for test in used.tests.iter().filter(|(name, _)| tests::find(name).is_none()) {
        found.push(unknown(test, Plugin::Test, &mut tests::names()));
    }
    // A lookup may be a plugin of somebody's own; with a similar name it is rather a slip.
    for lookup in used.lookups.iter().filter(|(name, _)| near_lookup(name).is_some()) {
        found.push(unknown(lookup, Plugin::Lookup, &mut lookups::names()));
    }
    found
}

/// The lookup that is probably meant by a name that is none.
pub fn near_lookup(name: &str) -> Option<&'static str> {
    lookups::find(name).is_none().then(|| closest(name, lookups::names())).flatten()
}

#[cfg(test)]
mod unit {
    use super::*;

    fn template(text: &str) -> Template {
        Template { text: text.to_owned(), span: Span { source: 1, start: 10, end: 10 + u32::try_from(text.len()).unwrap() } }
    }

    #[test]
    fn unknown_filters_and_broken_syntax_are_found_before_the_run() {
        let found = check(&template("{{ a | upperr }}{{ b is defned }}"));
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].code, "unknown-filter");
        assert_eq!(found[0].patch.as_ref().map(|patch| patch.text.as_str()), Some("upper"));
        assert_eq!(found[0].labels[0].span, Span { source: 1, start: 17, end: 23 });
        assert_eq!(check(&template("{{ 1 + }}"))[0].code, "template-syntax");
        assert!(check(&template("{{ a | ansible.builtin.upper }}")).is_empty());
    }

    #[test]
    fn no_two_rows_have_one_name() {
        let mut seen = std::collections::HashSet::new();
        for row in plugins() {
            assert!(!row.doc.is_empty(), "{}", row.name);
            for name in row.aliases.iter().chain([&row.name]) {
                assert!(seen.insert((row.plugin.word(), *name)), "two of `{name}`");
            }
        }
        assert!(seen.len() > 200);
    }

    #[test]
    fn names_that_a_template_sets_itself_are_not_free() {
        let text = "{% set x = a %}{% for i in b %}{{ i.c + x }}{% endfor %}{{ lookup('env', d) | default(e) }}";
        assert_eq!(free_names(&template(text)), ["a", "b", "d", "e"]);
        assert_eq!(free_names_of_expression("result.rc == 0 and other is defined"), ["result", "other"]);
    }
}
