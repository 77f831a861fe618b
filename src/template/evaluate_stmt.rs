//! Statements.

use super::calls::Args;
use super::evaluate::Eval;
use super::failure::Res;
use super::frame::{Locals, Output};
use super::runtime::{LoopState, Macro, Module, Object, Val};
use super::syntax::tree::{Block, Body, Expr, ExprKind, ForLoop, MacroDef, Name, Stmt, StmtKind, Target, Tree};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

impl Eval<'_> {
    /// Runs a body; the answer is the template it extends, if it does.
    pub(crate) fn run_body(&mut self, body: &Body, locals: &Rc<Locals>, output: &mut Output) -> Res<Option<Arc<Tree>>> {
        let mut parent = None;
        for stmt in body {
            if let StmtKind::Extends(source) = &stmt.kind {
                parent = Some(self.extended(source, locals).map_err(|error| self.locate(error, stmt.at))?);
                continue;
            }
            // What follows `extends` still sets variables and defines macros, but puts nothing out.
            let mut dropped = Output::default();
            let out = if parent.is_some() { &mut dropped } else { &mut *output };
            if parent.is_some() && matches!(stmt.kind, StmtKind::Block(_)) {
                continue;
            }
            self.deeper(|eval| eval.stmt(stmt, locals, out)).map_err(|error| self.locate(error, stmt.at))?;
        }
        Ok(parent)
    }

    /// A body that cannot extend.
    fn inner_body(&mut self, body: &Body, locals: &Rc<Locals>, output: &mut Output) -> Res<()> {
        for stmt in body {
            self.deeper(|eval| eval.stmt(stmt, locals, output)).map_err(|error| self.locate(error, stmt.at))?;
        }
        Ok(())
    }

    pub(crate) fn captured(&mut self, body: &Body, locals: &Rc<Locals>) -> Res<Val> {
        let mut output = Output::default();
        self.inner_body(body, locals, &mut output)?;
        Ok(output.into_native())
    }

    fn extended(&mut self, source: &Expr, locals: &Rc<Locals>) -> Res<Arc<Tree>> {
        let name = self.eval(source, locals)?;
        let name = self.defined(name)?;
        Ok(self.load(&[name.to_text().to_string()])?.tree)
    }

    pub(crate) fn run_parent(&mut self, parent: &Arc<Tree>, locals: &Rc<Locals>) -> Res<Output> {
        self.deeper(|eval| eval.run_tree(parent, locals))
    }

    fn stmt(&mut self, stmt: &Stmt, locals: &Rc<Locals>, output: &mut Output) -> Res<()> {
        match &stmt.kind {
            StmtKind::Text(text) => output.push_written(Val::text(text.clone())),
            StmtKind::Output(expr) => {
                let value = self.eval(expr, locals)?;
                let value = self.settle(&value)?;
                output.push(value);
            }
            StmtKind::For(inner) => {
                let source = self.eval(&inner.source, locals)?;
                self.for_loop(inner, &source, locals, output)?;
            }
            StmtKind::If(arms, otherwise) => self.condition(arms, otherwise, locals, output)?,
            StmtKind::With(values, body) => self.with(values, body, locals, output)?,
            StmtKind::Set(target, expr) => {
                let value = self.eval(expr, locals)?;
                self.assign(target, value, locals)?;
            }
            StmtKind::SetBlock(target, filter, body) => {
                let value = self.captured(body, &Locals::inside(locals))?;
                let value = self.filtered(filter.as_ref(), value, locals)?;
                self.assign(target, value, locals)?;
            }
            StmtKind::FilterBlock(filter, body) => {
                let value = self.captured(body, &Locals::inside(locals))?;
                let value = self.filtered(Some(filter), value, locals)?;
                output.push(self.settle(&value)?);
            }
            StmtKind::Block(block) => {
                let value = self.block(block, locals)?;
                output.push(value);
            }
            StmtKind::Extends(_) => return Err("`extends` has to be at the top of a template".into()),
            StmtKind::Include { source, ignore_missing, with_context } => {
                let value = self.include(source, *ignore_missing, *with_context, locals)?;
                output.push(value);
            }
            StmtKind::Import { source, name, with_context } => {
                let module = self.import(source, *with_context, locals)?;
                locals.set(name.clone(), Val::object(Object::Module(module)));
            }
            StmtKind::FromImport { source, names, with_context } => self.import_names(source, names, *with_context, locals)?,
            StmtKind::Macro(definition) => locals.set(definition.name.clone(), self.macro_value(definition, locals)),
            StmtKind::CallBlock(call, definition) => {
                let value = self.call_block(call, definition, locals)?;
                output.push(self.settle(&value)?);
            }
            StmtKind::Scope(body) => self.inner_body(body, &Locals::inside(locals), output)?,
        }
        Ok(())
    }

    fn filtered(&mut self, filter: Option<&Expr>, value: Val, locals: &Rc<Locals>) -> Res<Val> {
        match filter.map(|filter| &filter.kind) {
            Some(ExprKind::Filter(call)) => self.filter_expr(call, Some(&value), locals),
            _ => Ok(value),
        }
    }

    fn condition(&mut self, arms: &[(Expr, Body)], otherwise: &Body, locals: &Rc<Locals>, output: &mut Output) -> Res<()> {
        for (test, body) in arms {
            let value = self.eval(test, locals)?;
            if self.truth(&value).map_err(|error| self.locate(error, test.at))? {
                return self.inner_body(body, locals, output);
            }
        }
        self.inner_body(otherwise, locals, output)
    }

    fn with(&mut self, values: &[(Target, Expr)], body: &Body, locals: &Rc<Locals>, output: &mut Output) -> Res<()> {
        let inner = Locals::inside(locals);
        for (target, expr) in values {
            let value = self.eval(expr, locals)?;
            self.assign(target, value, &inner)?;
        }
        self.inner_body(body, &inner, output)
    }

    pub(crate) fn assign(&mut self, target: &Target, value: Val, locals: &Rc<Locals>) -> Res<()> {
        match target {
            Target::Name(name) => locals.set(name.clone(), value),
            Target::Attr(name, attribute) => match locals.get(name) {
                Some(Val::Object(object)) if matches!(*object, Object::Namespace(_)) => {
                    if let Object::Namespace(values) = &*object {
                        values.borrow_mut().insert(attribute.clone(), value);
                    }
                }
                _ => return Err("cannot assign attribute on non-namespace object".into()),
            },
            Target::Tuple(targets) => {
                let items = self.elements(&value)?;
                let (expected, got) = (targets.len(), items.len());
                if got < expected {
                    return Err(format!("not enough values to unpack (expected {expected}, got {got})").into());
                }
                if got > expected {
                    return Err(format!("too many values to unpack (expected {expected})").into());
                }
                for (target, item) in targets.iter().zip(items) {
                    self.assign(target, item, locals)?;
                }
            }
        }
        Ok(())
    }

    fn for_loop(&mut self, inner: &Arc<ForLoop>, source: &Val, locals: &Rc<Locals>, output: &mut Output) -> Res<()> {
        let items = self.loop_items(inner, source, locals)?;
        if items.is_empty() {
            return self.inner_body(&inner.otherwise, &Locals::inside(locals), output);
        }
        self.loop_depth += 1;
        let state = LoopState {
            items: Rc::new(items),
            index: Cell::new(0),
            depth: if inner.recursive { self.loop_depth } else { 1 },
            seen: RefCell::new(None),
            again: inner.recursive.then(|| (inner.clone(), locals.clone())),
        };
        let result = self.iterations(inner, state, locals, output);
        self.loop_depth -= 1;
        result
    }

    fn iterations(&mut self, inner: &ForLoop, state: LoopState, locals: &Rc<Locals>, output: &mut Output) -> Res<()> {
        let items = state.items.clone();
        let object = Rc::new(Object::Loop(state));
        for (index, item) in items.iter().enumerate() {
            if let Object::Loop(state) = &*object {
                state.index.set(index);
            }
            let scope = Locals::inside(locals);
            scope.set("loop".into(), Val::Object(object.clone()));
            self.assign(&inner.target, item.clone(), &scope)?;
            self.inner_body(&inner.body, &scope, output)?;
        }
        Ok(())
    }

    fn loop_items(&mut self, inner: &ForLoop, source: &Val, locals: &Rc<Locals>) -> Res<Vec<Val>> {
        let items = self.elements(source).map_err(|error| self.locate(error, inner.source.at))?;
        let Some(filter) = &inner.filter else { return Ok(items) };
        let mut kept = Vec::new();
        for item in items {
            let scope = Locals::inside(locals);
            self.assign(&inner.target, item.clone(), &scope)?;
            let value = self.eval(filter, &scope)?;
            if self.truth(&value)? {
                kept.push(item);
            }
        }
        Ok(kept)
    }

    /// `loop(items)` in a recursive loop.
    pub(crate) fn loop_again(&mut self, state: &LoopState, items: &Val) -> Res<Val> {
        let Some((inner, locals)) = &state.again else {
            return Err("The loop must have the 'recursive' marker to be called recursively.".into());
        };
        let mut output = Output::default();
        self.deeper(|eval| eval.for_loop(inner, items, locals, &mut output))?;
        Ok(output.into_native())
    }

    fn block(&mut self, block: &Arc<Block>, locals: &Rc<Locals>) -> Res<Val> {
        self.block_at(&block.name, 0, locals)
    }

    /// The block of that name, `level` steps up from the most derived template.
    pub(crate) fn block_at(&mut self, name: &Name, level: usize, locals: &Rc<Locals>) -> Res<Val> {
        let found = self.blocks.borrow().get(name).and_then(|blocks| blocks.get(level).cloned());
        let Some(block) = found else { return Err(format!("there is no parent block called '{name}'.").into()) };
        if block.required {
            return Err(format!("Required block '{name}' not found").into());
        }
        let inner = Locals::inside(locals);
        inner.set("super".into(), Val::object(Object::Block(name.clone(), level + 1)));
        self.captured(&block.body, &inner)
    }

    fn macro_value(&self, definition: &Arc<MacroDef>, locals: &Rc<Locals>) -> Val {
        Val::object(Object::Macro(Macro { definition: definition.clone(), locals: Rc::downgrade(locals), module: None }))
    }

    fn call_block(&mut self, call: &Expr, definition: &Arc<MacroDef>, locals: &Rc<Locals>) -> Res<Val> {
        let ExprKind::Call(callee, args) = &call.kind else { return Ok(Val::None) };
        let callee = self.eval(callee, locals)?;
        let mut args: Args = self.arguments(args, locals)?;
        args.named.push(("caller".into(), self.macro_value(definition, locals)));
        self.call(&callee, args, locals)
    }

    fn include(&mut self, source: &Expr, ignore_missing: bool, with_context: bool, locals: &Rc<Locals>) -> Res<Val> {
        let names = self.template_names(source, locals)?;
        let file = match self.load(&names) {
            Err(error) if ignore_missing && matches!(error.problem, super::failure::Problem::NoFile { .. }) => {
                return Ok(Val::from(""));
            }
            other => other?,
        };
        let inner = if with_context { Locals::inside(locals) } else { Locals::closed() };
        let output = self.run_file(&file, &inner)?;
        Ok(output.into_native())
    }

    fn template_names(&mut self, source: &Expr, locals: &Rc<Locals>) -> Res<Vec<String>> {
        let value = self.eval(source, locals)?;
        let value = self.defined(value)?;
        match &value {
            Val::List(_) | Val::Tuple(_) => Ok(self.elements(&value)?.iter().map(|name| name.to_text().to_string()).collect()),
            other => Ok(vec![other.to_text().to_string()]),
        }
    }

    fn import(&mut self, source: &Expr, with_context: bool, locals: &Rc<Locals>) -> Res<Module> {
        let names = self.template_names(source, locals)?;
        let file = self.load(&names)?;
        let inner = if with_context { Locals::inside(locals) } else { Locals::closed() };
        let output = self.run_file(&file, &inner)?;
        Ok(Module { name: names.first().cloned().unwrap_or_default(), locals: inner, text: output.into_native() })
    }

    fn import_names(&mut self, source: &Expr, names: &[(Name, Name)], with_context: bool, locals: &Rc<Locals>) -> Res<()> {
        let module = self.import(source, with_context, locals)?;
        for (name, alias) in names {
            let value = match module.locals.own(name) {
                Some(Val::Object(object)) => match &*object {
                    Object::Macro(shape) => Val::object(Object::Macro(Macro {
                        definition: shape.definition.clone(),
                        locals: shape.locals.clone(),
                        module: Some(module.locals.clone()),
                    })),
                    _ => Val::Object(object),
                },
                Some(other) => other,
                None => {
                    let hint = format!("the template '{}' does not export the requested name '{name}'", module.name);
                    self.undefined(super::failure::Problem::Hint { hint }, source.at)
                }
            };
            locals.set(alias.clone(), value);
        }
        Ok(())
    }
}
