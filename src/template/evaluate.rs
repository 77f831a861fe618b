//! One evaluation: where names come from, when templates inside of values are rendered, how deep it may go.

use super::failure::{Fault, Problem, Res, TemplateError, Within, fault};
use super::frame::{Locals, Output};
use super::functions;
use super::literal::literal;
use super::runtime::{HostScope, List, Object, Val, from_value};
use super::syntax::tree::{Block, Expr, ExprKind, Name, Root, Spot, StmtKind, Tree};
use super::syntax::{SyntaxError, template_tree};
use super::{Scope, World};
use crate::diag::closest;
use crate::value::{Key, Span, Template, Value};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// Expressions, statements and templates inside of each other, all counted together: what fits on the stack of a thread.
const DEPTH_MAX: usize = 220;
/// Templates that lead to templates.
const RENDERING_MAX: usize = 30;

/// Blocks by name, those of the most derived template first.
pub(crate) type Blocks = Rc<RefCell<HashMap<Name, Vec<Arc<Block>>>>>;

pub(crate) struct Eval<'e> {
    pub(crate) scope: &'e dyn Scope,
    pub(crate) world: &'e dyn World,
    /// The texts that are being evaluated, innermost last.
    origins: Vec<Origin>,
    rendering: Vec<(String, Arc<Template>)>,
    variables: HashMap<Name, Val>,
    pub(crate) blocks: Blocks,
    /// The search path of template files: that of the file that includes comes first.
    pub(crate) files: Vec<std::path::PathBuf>,
    depth: usize,
    pub(crate) loop_depth: usize,
}

#[derive(Clone)]
struct Origin {
    text: Arc<str>,
    span: Span,
}

impl<'e> Eval<'e> {
    pub(crate) fn new(scope: &'e dyn Scope, world: &'e dyn World) -> Eval<'e> {
        Eval {
            scope,
            world,
            origins: Vec::new(),
            rendering: Vec::new(),
            variables: HashMap::new(),
            blocks: Blocks::default(),
            files: Vec::new(),
            depth: 0,
            loop_depth: 0,
        }
    }

    /// Runs `work` on a text: errors without a place get one in it.
    pub(crate) fn in_text<T>(&mut self, text: &str, span: Span, work: impl FnOnce(&mut Self) -> Res<T>) -> Res<T> {
        self.origins.push(Origin { text: text.into(), span });
        let result = work(self);
        self.origins.pop();
        result
    }

    /// Gives an error its place, unless it has one.
    pub(crate) fn locate(&self, error: Fault, at: Spot) -> Fault {
        match self.origins.last() {
            Some(origin) => error.located(&origin.text, origin.span, at),
            None => error,
        }
    }

    pub(crate) fn undefined(&self, problem: Problem, at: Spot) -> Val {
        Val::Undefined(Rc::new(*self.locate(fault(problem), at)))
    }

    pub(crate) fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Res<T>) -> Res<T> {
        if self.depth >= DEPTH_MAX {
            return Err(fault(Problem::TooDeep { limit: DEPTH_MAX }));
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        result
    }

    /// A variable by name: of the template, of the host, or built in.
    pub(crate) fn name(&mut self, name: &Name, locals: &Rc<Locals>, at: Spot) -> Res<Val> {
        if let Some(value) = locals.get(name) {
            return Ok(value);
        }
        if locals.is_open()
            && let Some(value) = self.variable(name)?
        {
            return Ok(value);
        }
        if let Some(builtin) = self.builtin(name) {
            return Ok(builtin);
        }
        let closest = self.closest_name(name, locals);
        Ok(self.undefined(Problem::Undefined { name: name.to_string(), closest }, at))
    }

    fn closest_name(&self, name: &str, locals: &Rc<Locals>) -> Option<String> {
        let own = locals.names();
        let known = self.scope.names();
        let candidates = own.iter().map(|name| &**name).chain(known.iter().map(String::as_str));
        closest(name, candidates.filter(|candidate| *candidate != name)).map(str::to_owned)
    }

    /// A variable of the host, rendered; every use in one evaluation sees the same value.
    pub(crate) fn variable(&mut self, name: &str) -> Res<Option<Val>> {
        if let Some(value) = self.variables.get(name) {
            return Ok(Some(value.clone()));
        }
        let Some(raw) = self.scope.get(name) else { return Ok(None) };
        let value = self.resolve_named(from_value(&raw), name)?;
        self.variables.insert(name.into(), value.clone());
        Ok(Some(value))
    }

    fn builtin(&self, name: &str) -> Option<Val> {
        match name {
            "omit" => Some(Val::object(Object::Omit)),
            "dict" => Some(Val::object(Object::DictType)),
            "self" => Some(Val::object(Object::Template)),
            "hostvars" if self.scope.has_hosts() => Some(Val::object(Object::HostVars)),
            "vars" => {
                let entries = |name: String| self.scope.get(&name).map(|value| (Key::from(name), from_value(&value)));
                Some(self.scope.names().into_iter().filter_map(entries).collect())
            }
            _ => functions::find(name).map(|function| Val::object(Object::Function(function))),
        }
    }

    /// A variable of another host, rendered with that host's variables.
    pub(crate) fn variable_of(&self, host: &HostScope, name: &str) -> Res<Option<Val>> {
        let Some(scope) = self.scope.of_host(&host.host) else { return Ok(None) };
        let Some(raw) = scope.get(name) else { return Ok(None) };
        let mut eval = Eval::new(&*scope, self.world);
        eval.depth = self.depth;
        eval.origins.clone_from(&self.origins);
        let value = eval.resolve_named(from_value(&raw), name)?;
        let value = eval.settle(&value)?;
        Ok(Some(value))
    }

    /// All variables of all hosts, or of one, as a map.
    fn variables_of(&mut self, object: &Object) -> Res<Option<Val>> {
        match object {
            Object::HostScope(host) => {
                let names = self.scope.of_host(&host.host).map_or_else(Vec::new, |scope| scope.names());
                let mut entries = Vec::new();
                for name in names {
                    if let Some(value) = self.variable_of(host, &name)? {
                        entries.push((Key::from(name), self.defined(value)?));
                    }
                }
                Ok(Some(entries.into_iter().collect()))
            }
            Object::HostVars => {
                let mut entries = Vec::new();
                for host in self.scope.hosts() {
                    let variables = self.variables_of(&Object::HostScope(HostScope { host: host.clone() }))?;
                    entries.extend(variables.map(|variables| (Key::from(host), variables)));
                }
                Ok(Some(entries.into_iter().collect()))
            }
            _ => Ok(None),
        }
    }

    /// The value of what may be pending.
    pub(crate) fn resolve(&mut self, val: Val) -> Res<Val> {
        match val {
            Val::Pending(template) => {
                let label = template.text.clone();
                self.render(&template, &label)
            }
            other => Ok(other),
        }
    }

    pub(crate) fn resolve_named(&mut self, val: Val, name: &str) -> Res<Val> {
        match val {
            Val::Pending(template) => self.render(&template, name),
            other => Ok(other),
        }
    }

    fn render(&mut self, template: &Arc<Template>, label: &str) -> Res<Val> {
        if let Some(start) = self.rendering.iter().position(|(_, other)| is_same(other, template)) {
            let mut cycle: Vec<String> = self.rendering[start..].iter().map(|(name, _)| name.clone()).collect();
            cycle.push(label.to_owned());
            return Err(self.in_place(fault(Problem::Recursion { cycle }), template));
        }
        if self.rendering.len() >= RENDERING_MAX {
            return Err(fault(Problem::TooDeep { limit: RENDERING_MAX }));
        }
        self.rendering.push((label.to_owned(), template.clone()));
        let result = self.deeper(|eval| eval.template(template));
        self.rendering.pop();
        match result {
            Ok(Val::Undefined(error)) => Ok(Val::Undefined(Rc::new(within((*error).clone(), label, template.span)))),
            Err(error) if error.is_undefined() => Ok(Val::Undefined(Rc::new(within(*error, label, template.span)))),
            Err(error) => Err(Box::new(within(*error, label, template.span))),
            Ok(value) => Ok(unrolled(value)),
        }
    }

    fn in_place(&self, error: Fault, template: &Template) -> Fault {
        error.located(&template.text, template.span, Spot { start: 0, end: u32::try_from(template.text.len()).unwrap_or(0) })
    }

    /// A string of a playbook with native types.
    pub(crate) fn template(&mut self, template: &Template) -> Res<Val> {
        if template.is_vault() {
            return self.opened(template);
        }
        let tree = template_tree(&template.text).map_err(|error| self.syntax(error, &template.text, template.span))?;
        self.in_text(&template.text, template.span, |eval| {
            let locals = Locals::root();
            if let Some(StmtKind::Output(expr)) = single(&tree) {
                let value = eval.eval(expr, &locals)?;
                let value = if value.is_undefined() || is_of_hosts(&value) { value } else { eval.settle(&value)? };
                // A lookup that was let fail leaves empty text.
                let value = if matches!(value, Val::None) && is_lookup(expr) { Val::from("") } else { value };
                return Ok(with_trailing_newlines(value, &template.text));
            }
            if template.text.is_empty() {
                return Ok(Val::from(""));
            }
            let blocks = std::mem::take(&mut eval.blocks);
            let output = eval.run_tree(&tree, &locals);
            eval.blocks = blocks;
            let output = output?;
            let is_put_together = output.is_put_together();
            Ok(match with_trailing_newlines(output.into_native(), &template.text) {
                Val::None => Val::from(""),
                Val::Str(text) if is_put_together => literal(&text).unwrap_or(Val::Str(text)),
                other => other,
            })
        })
    }

    /// What is in a vault is never a template.
    fn opened(&self, template: &Template) -> Res<Val> {
        match self.world.open_vault(&template.text) {
            Ok(text) => Ok(Val::Str(text)),
            Err(why) => {
                let problem = Problem::Undecryptable { vault: template.text.clone(), why };
                Err(self.in_place(fault(problem), template))
            }
        }
    }

    fn syntax(&self, error: SyntaxError, text: &str, span: Span) -> Fault {
        Box::new(TemplateError::syntax(error, text, span))
    }

    /// A whole tree, with the blocks of templates it extends.
    pub(crate) fn run_tree(&mut self, tree: &Arc<Tree>, locals: &Rc<Locals>) -> Res<Output> {
        for block in &tree.blocks {
            self.blocks.borrow_mut().entry(block.name.clone()).or_default().push(block.clone());
        }
        let mut output = Output::default();
        match &tree.root {
            Root::Body(body) => match self.run_body(body, locals, &mut output)? {
                Some(parent) => self.run_parent(&parent, locals),
                None => Ok(output),
            },
            Root::Expr(expr) => {
                let value = self.eval(expr, locals)?;
                output.push(self.settle(&value)?);
                Ok(output)
            }
        }
    }

    /// Truth as `if` sees it.
    pub(crate) fn truth(&self, val: &Val) -> Res<bool> {
        match val {
            Val::Undefined(error) => Err(Box::new((**error).clone())),
            other => Ok(other.truth().unwrap_or(false)),
        }
    }

    /// The value, or the error that an undefined one stands for.
    pub(crate) fn defined(&self, val: Val) -> Res<Val> {
        match val {
            Val::Undefined(error) => Err(Box::new((*error).clone())),
            other => Ok(other),
        }
    }

    /// Everything pending inside is rendered, in place.
    pub(crate) fn deep(&mut self, val: &Val) -> Res<Val> {
        match val {
            Val::Pending(_) => {
                let value = self.resolve(val.clone())?;
                self.deep(&value)
            }
            Val::List(list) if needs_work(val) => {
                self.deeper(|eval| {
                    for (index, item) in list.items().iter().enumerate() {
                        let item = eval.deep(item)?;
                        list.set(index, item);
                    }
                    Ok(())
                })?;
                Ok(val.clone())
            }
            Val::Dict(dict) if needs_work(val) => {
                self.deeper(|eval| {
                    for (key, value) in dict.entries() {
                        let value = match &value {
                            Val::Pending(template) => eval.render(template, &key.to_string())?,
                            other => other.clone(),
                        };
                        let value = eval.deep(&value)?;
                        dict.set(key, value);
                    }
                    Ok(())
                })?;
                Ok(val.clone())
            }
            Val::Tuple(items) if needs_work(val) => Ok(Val::tuple(items.iter().map(|item| self.deep(item)).collect::<Res<_>>()?)),
            Val::Object(object) => self.deeper(|eval| Ok(eval.variables_of(object)?.unwrap_or_else(|| val.clone()))),
            other => Ok(other.clone()),
        }
    }

    /// What leaves an expression: everything rendered, tuples as lists, nothing undefined, what is omitted dropped.
    pub(crate) fn settle(&mut self, val: &Val) -> Res<Val> {
        match val {
            Val::Pending(_) => {
                let value = self.resolve(val.clone())?;
                self.settle(&value)
            }
            Val::Undefined(error) => Err(Box::new((**error).clone())),
            Val::List(list) if list.is_settled() => Ok(val.clone()),
            Val::Dict(dict) if dict.is_settled() => Ok(val.clone()),
            Val::List(list) => self.settle_items(&list.items()),
            Val::Tuple(items) => self.settle_items(items),
            Val::Dict(dict) => self.deeper(|eval| {
                let mut entries = Vec::new();
                for (key, value) in dict.entries() {
                    let value = eval.resolve_named(value, &key.to_string())?;
                    if !value.is_omit() {
                        entries.push((key, eval.settle(&value)?));
                    }
                }
                Ok(entries.into_iter().collect())
            }),
            Val::Object(object) => self.deeper(|eval| Ok(eval.variables_of(object)?.unwrap_or_else(|| val.clone()))),
            other => Ok(other.clone()),
        }
    }

    fn settle_items(&mut self, items: &[Val]) -> Res<Val> {
        self.deeper(|eval| {
            let mut settled = Vec::with_capacity(items.len());
            for item in items {
                let item = eval.resolve(item.clone())?;
                if !item.is_omit() {
                    settled.push(eval.settle(&item)?);
                }
            }
            Ok(Val::List(List::own(settled)))
        })
    }

    /// The items that a loop would see, those of templates not rendered yet.
    pub(crate) fn iterate(&mut self, val: &Val) -> Res<Vec<Val>> {
        match val {
            Val::List(list) => Ok(list.items()),
            Val::Tuple(items) => Ok(items.to_vec()),
            Val::Dict(dict) => Ok(dict.keys().iter().map(Val::from_key).collect()),
            Val::Str(text) => Ok(text.chars().map(|c| Val::text_of(c.to_string(), text.is_secret())).collect()),
            Val::Pending(_) => {
                let value = self.resolve(val.clone())?;
                self.iterate(&value)
            }
            Val::Undefined(error) => Err(Box::new((**error).clone())),
            Val::Object(object) => match &**object {
                Object::Range(range) => Ok(range.items()),
                Object::Nothing => Ok(Vec::new()),
                Object::HostVars => Ok(self.scope.hosts().into_iter().map(Val::from).collect()),
                Object::HostScope(host) => Ok(self
                    .scope
                    .of_host(&host.host)
                    .map_or_else(Vec::new, |scope| scope.names())
                    .into_iter()
                    .map(Val::from)
                    .collect()),
                _ => Err(format!("'{}' object is not iterable", val.kind()).into()),
            },
            other => Err(format!("'{}' object is not iterable", other.kind()).into()),
        }
    }

    /// The items that a loop would see, rendered.
    pub(crate) fn elements(&mut self, val: &Val) -> Res<Vec<Val>> {
        let items = self.iterate(val)?;
        items.into_iter().map(|item| self.resolve(item)).collect()
    }

    /// The value for the world outside.
    pub(crate) fn export(&mut self, val: &Val) -> Res<Value> {
        let settled = self.settle(val)?;
        if settled.is_omit() {
            return Err("A template was resolved to an Omit scalar.".into());
        }
        settled.to_value().map_err(|kind| fault(Problem::Unstorable { kind: kind.to_owned() }))
    }
}

/// Variables of hosts are rendered one by one, when they are used.
pub(crate) fn is_of_hosts(val: &Val) -> bool {
    matches!(val, Val::Object(object) if matches!(&**object, Object::HostVars | Object::HostScope(_)))
}

/// The reader of templates drops the last newline; Ansible puts back as many as the text had.
pub(crate) fn with_trailing_newlines(val: Val, text: &str) -> Val {
    let count = |text: &str| text.len() - text.trim_end_matches('\n').len();
    match val {
        Val::Str(result) if count(&result) < count(text) => {
            let missing = "\n".repeat(count(text) - count(&result));
            Val::text_of(format!("{}{missing}", result.as_str()), result.is_secret())
        }
        other => other,
    }
}

fn is_same(one: &Arc<Template>, other: &Arc<Template>) -> bool {
    Arc::ptr_eq(one, other) || (!one.span.is_nowhere() && one == other)
}

fn within(mut error: TemplateError, label: &str, span: Span) -> TemplateError {
    error.within.insert(0, Within { name: label.to_owned(), span });
    error
}

fn is_lookup(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Call(callee, _) if matches!(&callee.kind, ExprKind::Name(name) if &**name == "lookup"))
}

/// The only statement of a tree.
fn single(tree: &Tree) -> Option<&StmtKind> {
    match &tree.root {
        Root::Body(body) => match body.as_slice() {
            [only] => Some(&only.kind),
            _ => None,
        },
        Root::Expr(_) => None,
    }
}

fn needs_work(val: &Val) -> bool {
    match val {
        Val::List(list) => !list.is_settled(),
        Val::Dict(dict) => !dict.is_settled(),
        Val::Tuple(items) => {
            items.iter().any(|item| matches!(item, Val::Pending(_) | Val::List(_) | Val::Dict(_) | Val::Tuple(_)))
        }
        _ => false,
    }
}

/// The value of a variable is data.
fn unrolled(value: Val) -> Val {
    match &value {
        Val::Object(object) => match &**object {
            Object::Range(range) => Val::list(range.items()),
            _ => value,
        },
        _ => value,
    }
}
