//! Trees by text: a template in a loop over a hundred hosts is parsed once.

use super::expressions::Parser;
use super::tree::{Root, Tree};
use super::{Style, SyntaxError, lexer};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// When so many texts were parsed, the cache starts afresh.
const TREES_MAX: usize = 4096;

type Trees = HashMap<(String, Kind), Arc<Tree>>;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Kind {
    Template,
    Expression,
    File(Box<Style>),
}

fn trees() -> &'static RwLock<Trees> {
    static TREES: OnceLock<RwLock<Trees>> = OnceLock::new();
    TREES.get_or_init(|| RwLock::new(HashMap::with_capacity(TREES_MAX)))
}

/// The tree of a string in a playbook.
pub(crate) fn template_tree(text: &str) -> Result<Arc<Tree>, SyntaxError> {
    cached(text, Kind::Template, || parse_template(text, &Style::playbook()))
}

/// The tree of a bare expression in a playbook, such as `when`.
pub(crate) fn expression_tree(text: &str) -> Result<Arc<Tree>, SyntaxError> {
    cached(text, Kind::Expression, || uncached_expression(text))
}

/// The tree of an expression that will not come again.
pub(crate) fn uncached_expression(text: &str) -> Result<Tree, SyntaxError> {
    let mut parser = Parser::new(lexer::expression_tokens(text, &Style::file())?);
    Ok(Tree { root: Root::Expr(parser.whole_expression()?), blocks: Vec::new() })
}

/// The tree of a template file.
pub(crate) fn file_tree(text: &str, style: &Style) -> Result<Arc<Tree>, SyntaxError> {
    cached(text, Kind::File(style.clone().into()), || parse_template(text, style))
}

fn cached(text: &str, kind: Kind, parse: impl FnOnce() -> Result<Tree, SyntaxError>) -> Result<Arc<Tree>, SyntaxError> {
    let key = (text.to_owned(), kind);
    if let Some(tree) = trees().read().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return Ok(tree.clone());
    }
    let tree = Arc::new(parse()?);
    let mut trees = trees().write().unwrap_or_else(PoisonError::into_inner);
    if trees.len() >= TREES_MAX {
        trees.clear();
    }
    trees.insert(key, tree.clone());
    Ok(tree)
}

fn parse_template(text: &str, style: &Style) -> Result<Tree, SyntaxError> {
    let mut text = if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.to_owned() };
    if !style.keep_trailing_newline && text.ends_with('\n') {
        text.pop();
    }
    let mut parser = Parser::new(lexer::template_tokens(&text, style)?);
    let body = parser.whole_template()?;
    Ok(Tree { root: Root::Body(body), blocks: parser.blocks })
}
