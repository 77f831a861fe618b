//! The syntax tree of a template: owned, immutable, shared between threads.

use std::sync::Arc;

/// A byte range in the text of the template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Spot {
    pub(crate) fn to(self, last: Spot) -> Spot {
        Spot { start: self.start, end: last.end.max(self.end) }
    }
}

pub(crate) type Name = Arc<str>;

#[derive(Debug)]
pub(crate) struct Expr {
    pub(crate) at: Spot,
    pub(crate) kind: ExprKind,
}

#[derive(Debug)]
pub(crate) enum ExprKind {
    Const(Const),
    Name(Name),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Attr(Box<Expr>, Name),
    Item(Box<Expr>, Box<Expr>),
    Slice(Box<Expr>, Box<Bounds>),
    Call(Box<Expr>, Arguments),
    Filter(Box<FilterCall>),
    Test(Box<TestCall>),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Positive(Box<Expr>),
    Binary(Operator, Box<(Expr, Expr)>),
    And(Box<(Expr, Expr)>),
    Or(Box<(Expr, Expr)>),
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    Concat(Vec<Expr>),
    If(Box<Choice>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Const {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Name),
}

#[derive(Debug, Default)]
pub(crate) struct Bounds {
    pub(crate) start: Option<Expr>,
    pub(crate) stop: Option<Expr>,
    pub(crate) step: Option<Expr>,
}

#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) positional: Vec<Expr>,
    pub(crate) named: Vec<(Name, Expr)>,
    /// `*more`
    pub(crate) splat: Option<Box<Expr>>,
    /// `**more`
    pub(crate) named_splat: Option<Box<Expr>>,
}

#[derive(Debug)]
pub(crate) struct FilterCall {
    /// `None` stands for the body of the block that is filtered.
    pub(crate) input: Option<Expr>,
    pub(crate) name: Name,
    pub(crate) name_at: Spot,
    pub(crate) args: Arguments,
}

#[derive(Debug)]
pub(crate) struct TestCall {
    pub(crate) input: Expr,
    pub(crate) name: Name,
    pub(crate) name_at: Spot,
    pub(crate) args: Arguments,
}

#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) test: Expr,
    pub(crate) then: Expr,
    pub(crate) otherwise: Option<Expr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}

/// What can stand left of `=` or after `for`.
#[derive(Debug)]
pub(crate) enum Target {
    Name(Name),
    /// `namespace.attribute`
    Attr(Name, Name),
    Tuple(Vec<Target>),
}

#[derive(Debug)]
pub(crate) struct Stmt {
    pub(crate) at: Spot,
    pub(crate) kind: StmtKind,
}

pub(crate) type Body = Vec<Stmt>;

#[derive(Debug)]
pub(crate) enum StmtKind {
    Text(Name),
    Output(Expr),
    For(Arc<ForLoop>),
    If(Vec<(Expr, Body)>, Body),
    With(Vec<(Target, Expr)>, Body),
    Set(Target, Expr),
    SetBlock(Target, Option<Expr>, Body),
    FilterBlock(Expr, Body),
    Block(Arc<Block>),
    Extends(Expr),
    Include { source: Expr, ignore_missing: bool, with_context: bool },
    Import { source: Expr, name: Name, with_context: bool },
    FromImport { source: Expr, names: Vec<(Name, Name)>, with_context: bool },
    Macro(Arc<MacroDef>),
    CallBlock(Expr, Arc<MacroDef>),
    Scope(Body),
}

#[derive(Debug)]
pub(crate) struct ForLoop {
    pub(crate) target: Target,
    pub(crate) source: Expr,
    pub(crate) filter: Option<Expr>,
    pub(crate) recursive: bool,
    pub(crate) body: Body,
    pub(crate) otherwise: Body,
}

#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) name: Name,
    pub(crate) required: bool,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) struct MacroDef {
    pub(crate) name: Name,
    pub(crate) params: Vec<(Name, Option<Expr>)>,
    pub(crate) body: Body,
    /// Whether the body mentions these: only then surplus arguments are allowed.
    pub(crate) uses_varargs: bool,
    pub(crate) uses_kwargs: bool,
    pub(crate) uses_caller: bool,
}

/// A whole template or a bare expression.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: Root,
    /// Blocks by name, for inheritance.
    pub(crate) blocks: Vec<Arc<Block>>,
}

#[derive(Debug)]
pub(crate) enum Root {
    Body(Body),
    Expr(Expr),
}
