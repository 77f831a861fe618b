//! Which variables, filters and tests a tree names.

use super::tree::{Arguments, Body, Const, Expr, ExprKind, FilterCall, MacroDef, Name, Spot, Stmt, StmtKind, Target};
use std::collections::HashSet;

/// Names in the order of their first use.
#[derive(Debug, Default)]
pub(crate) struct Used {
    /// Variables that the template does not set itself.
    pub(crate) free: Vec<Name>,
    pub(crate) filters: Vec<(Name, Spot)>,
    pub(crate) tests: Vec<(Name, Spot)>,
    /// Functions called by a plain name.
    pub(crate) calls: Vec<(Name, Spot)>,
    /// Lookups named by a plain text.
    pub(crate) lookups: Vec<(Name, Spot)>,
    bound: Vec<HashSet<Name>>,
}

pub(crate) fn used_names(body: &Body) -> Used {
    let mut used = Used { bound: vec![HashSet::new()], ..Used::default() };
    used.body(body);
    used
}

impl Used {
    pub(crate) fn of_expression(expr: &Expr) -> Used {
        let mut used = Used { bound: vec![HashSet::new()], ..Used::default() };
        used.expr(expr);
        used
    }

    fn body(&mut self, body: &Body) {
        for stmt in body {
            self.stmt(stmt);
        }
    }

    /// A body with names of its own.
    fn inner(&mut self, names: impl FnOnce(&mut Used), body: &Body) {
        self.bound.push(HashSet::new());
        names(self);
        self.body(body);
        self.bound.pop();
    }

    fn bind(&mut self, name: &Name) {
        if let Some(scope) = self.bound.last_mut() {
            scope.insert(name.clone());
        }
    }

    fn target(&mut self, target: &Target) {
        match target {
            Target::Name(name) => self.bind(name),
            Target::Attr(name, _) => self.name(name),
            Target::Tuple(items) => items.iter().for_each(|item| self.target(item)),
        }
    }

    fn name(&mut self, name: &Name) {
        let is_bound = self.bound.iter().any(|scope| scope.contains(name));
        if !is_bound && !self.free.contains(name) {
            self.free.push(name.clone());
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Text(_) => {}
            StmtKind::Output(expr) | StmtKind::Extends(expr) => self.expr(expr),
            StmtKind::For(inner) => {
                self.expr(&inner.source);
                let names = |used: &mut Used| {
                    used.target(&inner.target);
                    used.bind(&"loop".into());
                    inner.filter.iter().for_each(|filter| used.expr(filter));
                };
                self.inner(names, &inner.body);
                self.inner(|_| {}, &inner.otherwise);
            }
            StmtKind::If(arms, otherwise) => {
                for (test, body) in arms {
                    self.expr(test);
                    self.body(body);
                }
                self.body(otherwise);
            }
            StmtKind::With(values, body) => {
                values.iter().for_each(|(_, value)| self.expr(value));
                self.inner(|used| values.iter().for_each(|(target, _)| used.target(target)), body);
            }
            StmtKind::Set(target, value) => {
                self.expr(value);
                self.target(target);
            }
            StmtKind::SetBlock(target, filter, body) => {
                filter.iter().for_each(|filter| self.expr(filter));
                self.inner(|_| {}, body);
                self.target(target);
            }
            StmtKind::FilterBlock(filter, body) => {
                self.expr(filter);
                self.inner(|_| {}, body);
            }
            StmtKind::Block(block) => self.inner(|used| used.bind(&"super".into()), &block.body),
            StmtKind::Include { source, .. } => self.expr(source),
            StmtKind::Import { source, name, .. } => {
                self.expr(source);
                self.bind(name);
            }
            StmtKind::FromImport { source, names, .. } => {
                self.expr(source);
                names.iter().for_each(|(_, alias)| self.bind(alias));
            }
            StmtKind::Macro(definition) => {
                self.bind(&definition.name);
                self.definition(definition);
            }
            StmtKind::CallBlock(call, definition) => {
                self.expr(call);
                self.definition(definition);
            }
            StmtKind::Scope(body) => self.inner(|_| {}, body),
        }
    }

    /// Not binding `varargs`, `kwargs` and `caller` here lets a definition see that its body uses them.
    fn definition(&mut self, definition: &MacroDef) {
        definition.params.iter().filter_map(|(_, default)| default.as_ref()).for_each(|default| self.expr(default));
        let names = |used: &mut Used| {
            definition.params.iter().for_each(|(name, _)| used.bind(name));
            for (is_used, name) in
                [(definition.uses_varargs, "varargs"), (definition.uses_kwargs, "kwargs"), (definition.uses_caller, "caller")]
            {
                if is_used {
                    used.bind(&name.into());
                }
            }
        };
        self.inner(names, &definition.body);
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Const(_) => {}
            ExprKind::Name(name) => self.name(name),
            ExprKind::List(items) | ExprKind::Tuple(items) | ExprKind::Concat(items) => {
                items.iter().for_each(|item| self.expr(item));
            }
            ExprKind::Dict(entries) => entries.iter().for_each(|(key, value)| {
                self.expr(key);
                self.expr(value);
            }),
            ExprKind::Attr(of, _) => self.expr(of),
            ExprKind::Item(of, index) => {
                self.expr(of);
                self.expr(index);
            }
            ExprKind::Slice(of, bounds) => {
                self.expr(of);
                [&bounds.start, &bounds.stop, &bounds.step].into_iter().flatten().for_each(|bound| self.expr(bound));
            }
            ExprKind::Call(callee, args) => {
                if let ExprKind::Name(name) = &callee.kind
                    && !self.bound.iter().any(|scope| scope.contains(name))
                {
                    self.calls.push((name.clone(), callee.at));
                    self.lookup(name, args);
                }
                self.expr(callee);
                self.arguments(args);
            }
            ExprKind::Filter(call) => self.filter(call),
            ExprKind::Test(call) => {
                self.expr(&call.input);
                self.tests.push((call.name.clone(), call.name_at));
                self.arguments(&call.args);
            }
            ExprKind::Not(inner) | ExprKind::Negative(inner) | ExprKind::Positive(inner) => self.expr(inner),
            ExprKind::Binary(_, pair) | ExprKind::And(pair) | ExprKind::Or(pair) => {
                self.expr(&pair.0);
                self.expr(&pair.1);
            }
            ExprKind::Compare(first, rest) => {
                self.expr(first);
                rest.iter().for_each(|(_, operand)| self.expr(operand));
            }
            ExprKind::If(choice) => {
                self.expr(&choice.test);
                self.expr(&choice.then);
                choice.otherwise.iter().for_each(|otherwise| self.expr(otherwise));
            }
        }
    }

    fn lookup(&mut self, function: &Name, args: &Arguments) {
        let named = args.positional.first().filter(|_| matches!(&**function, "lookup" | "query" | "q"));
        if let Some(Expr { kind: ExprKind::Const(Const::Text(name)), at }) = named {
            let within_quotes = Spot { start: at.start + 1, end: at.end.saturating_sub(1).max(at.start + 1) };
            self.lookups.push((name.clone(), within_quotes));
        }
    }

    fn filter(&mut self, call: &FilterCall) {
        call.input.iter().for_each(|input| self.expr(input));
        self.filters.push((call.name.clone(), call.name_at));
        self.arguments(&call.args);
    }

    fn arguments(&mut self, args: &Arguments) {
        args.positional.iter().for_each(|arg| self.expr(arg));
        args.named.iter().for_each(|(_, arg)| self.expr(arg));
        args.splat.iter().chain(&args.named_splat).for_each(|arg| self.expr(arg));
    }
}
