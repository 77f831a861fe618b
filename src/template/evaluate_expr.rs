//! Expressions.

use super::calls::Args;
use super::evaluate::Eval;
use super::failure::Res;
use super::format_percent::percent;
use super::frame::Locals;
use super::runtime::{Dict, Object, TextBuilder, Val, arithmetic, compare, equal, negative, positive};
use super::syntax::tree::{Arguments, Bounds, Choice, Comparison, Const, Expr, ExprKind, FilterCall, Operator, TestCall};
use super::{filters, tests};
use std::rc::Rc;

impl Eval<'_> {
    pub(crate) fn eval(&mut self, expr: &Expr, locals: &Rc<Locals>) -> Res<Val> {
        self.deeper(|eval| eval.kind(expr, locals)).map_err(|error| self.locate(error, expr.at))
    }

    fn kind(&mut self, expr: &Expr, locals: &Rc<Locals>) -> Res<Val> {
        match &expr.kind {
            ExprKind::Const(value) => Ok(constant(value)),
            ExprKind::Name(name) => self.name(name, locals, expr.at),
            ExprKind::List(items) => Ok(Val::list(self.all(items, locals)?)),
            ExprKind::Tuple(items) => Ok(Val::tuple(self.all(items, locals)?)),
            ExprKind::Dict(entries) => self.dict(entries, locals),
            ExprKind::Attr(of, name) => {
                let of = self.eval(of, locals)?;
                self.attribute(&of, name, expr.at)
            }
            ExprKind::Item(of, index) => {
                let of = self.eval(of, locals)?;
                let index = self.eval(index, locals)?;
                self.item(&of, &index, expr.at)
            }
            ExprKind::Slice(of, bounds) => self.slice_of(of, bounds, locals),
            ExprKind::Call(callee, args) => self.call_expr(callee, args, locals),
            ExprKind::Filter(call) => self.filter_expr(call, None, locals),
            ExprKind::Test(call) => self.test_expr(call, locals),
            ExprKind::Not(inner) => Ok(Val::Bool(!self.is_true(inner, locals)?)),
            ExprKind::Negative(inner) => self.unary(inner, negative, locals),
            ExprKind::Positive(inner) => self.unary(inner, positive, locals),
            ExprKind::Binary(operator, pair) => self.binary(*operator, pair, locals),
            ExprKind::And(pair) => self.either(pair, false, locals),
            ExprKind::Or(pair) => self.either(pair, true, locals),
            ExprKind::Compare(first, rest) => self.chain(first, rest, locals),
            ExprKind::Concat(parts) => self.concat(parts, locals),
            ExprKind::If(choice) => self.choice(choice, locals),
        }
    }

    fn all(&mut self, exprs: &[Expr], locals: &Rc<Locals>) -> Res<Vec<Val>> {
        exprs.iter().map(|expr| self.eval(expr, locals)).collect()
    }

    fn dict(&mut self, entries: &[(Expr, Expr)], locals: &Rc<Locals>) -> Res<Val> {
        let dict = Dict::own(indexmap::IndexMap::with_capacity(entries.len()));
        for (key, value) in entries {
            let key = self.eval(key, locals)?;
            let key = self.defined(key)?;
            let key = key.to_key().ok_or_else(|| format!("unhashable type: '{}'", key.kind()))?;
            let value = self.eval(value, locals)?;
            dict.set(key, value);
        }
        Ok(Val::Dict(dict))
    }

    fn is_true(&mut self, expr: &Expr, locals: &Rc<Locals>) -> Res<bool> {
        let value = self.eval(expr, locals)?;
        self.truth(&value)
    }

    fn unary(&mut self, inner: &Expr, apply: fn(&Val) -> Result<Val, String>, locals: &Rc<Locals>) -> Res<Val> {
        let value = self.eval(inner, locals)?;
        let value = self.defined(value)?;
        Ok(apply(&value)?)
    }

    fn binary(&mut self, operator: Operator, pair: &(Expr, Expr), locals: &Rc<Locals>) -> Res<Val> {
        let left = self.eval(&pair.0, locals)?;
        let left = self.defined(left)?;
        let right = self.eval(&pair.1, locals)?;
        let right = self.defined(right)?;
        if let (Operator::Mod, Val::Str(format)) = (operator, &left) {
            return percent(self, format, &right);
        }
        Ok(arithmetic(operator, &left, &right)?)
    }

    /// `and` and `or` give one of their operands.
    fn either(&mut self, pair: &(Expr, Expr), is_or: bool, locals: &Rc<Locals>) -> Res<Val> {
        let left = self.eval(&pair.0, locals)?;
        if self.truth(&left)? == is_or {
            return Ok(left);
        }
        self.eval(&pair.1, locals)
    }

    fn chain(&mut self, first: &Expr, rest: &[(Comparison, Expr)], locals: &Rc<Locals>) -> Res<Val> {
        let left = self.eval(first, locals)?;
        let mut left = self.defined(left)?;
        for (comparison, operand) in rest {
            let right = self.eval(operand, locals)?;
            let right = self.defined(right)?;
            if let (None, [_]) = (left.as_str(), rest)
                && self.is_empty_result(first, &left)
            {
                left = if right.as_str() == Some("") { Val::from("") } else { left };
            }
            if !self.holds(*comparison, &left, &right)? {
                return Ok(Val::Bool(false));
            }
            left = right;
        }
        Ok(Val::Bool(true))
    }

    /// Whether this is a variable whose template gives nothing. Ansible took that for empty text up to 2.18 and for none since: compared
    /// with empty text it is equal, and `is none` holds as well.
    fn is_empty_result(&self, expr: &Expr, val: &Val) -> bool {
        let ExprKind::Name(name) = &expr.kind else { return false };
        matches!(val, Val::None) && matches!(self.scope.get(name), Some(crate::value::Value::Template(_)))
    }

    pub(crate) fn holds(&mut self, comparison: Comparison, left: &Val, right: &Val) -> Res<bool> {
        match comparison {
            Comparison::In => self.contains(right, left),
            Comparison::NotIn => Ok(!self.contains(right, left)?),
            other => {
                let left = self.deep(left)?;
                let right = self.deep(right)?;
                Ok(compare(other, &left, &right)?)
            }
        }
    }

    /// `item in container`
    pub(crate) fn contains(&mut self, container: &Val, item: &Val) -> Res<bool> {
        match container {
            Val::Str(text) => match item {
                Val::Str(part) => Ok(text.contains(part.as_str())),
                other => Err(format!("'in <string>' requires string as left operand, not {}", other.kind()).into()),
            },
            Val::Dict(dict) => match item.to_key() {
                Some(key) => Ok(dict.has(&key)),
                None => Err(format!("unhashable type: '{}'", item.kind()).into()),
            },
            Val::Undefined(_) => self.truth(container),
            _ => {
                let items = self.iterate(container).map_err(|mut error| {
                    if let super::failure::Problem::Operation { reason } = &mut error.problem {
                        *reason = format!("argument of type '{}' is not iterable", container.kind());
                    }
                    error
                })?;
                let item = self.deep(item)?;
                for candidate in items {
                    let candidate = self.resolve(candidate)?;
                    let candidate = self.deep(&candidate)?;
                    if equal(&candidate, &item) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    fn concat(&mut self, parts: &[Expr], locals: &Rc<Locals>) -> Res<Val> {
        let mut text = TextBuilder::default();
        for part in parts {
            let value = self.eval(part, locals)?;
            let value = self.defined(value)?;
            text.push_val(&self.deep(&value)?);
            super::runtime::bounded(text.text.len())?;
        }
        Ok(text.finish())
    }

    fn choice(&mut self, choice: &Choice, locals: &Rc<Locals>) -> Res<Val> {
        if self.is_true(&choice.test, locals)? {
            return self.eval(&choice.then, locals);
        }
        match &choice.otherwise {
            Some(otherwise) => self.eval(otherwise, locals),
            None => Ok(Val::object(Object::Nothing)),
        }
    }

    fn slice_of(&mut self, of: &Expr, bounds: &Bounds, locals: &Rc<Locals>) -> Res<Val> {
        let of = self.eval(of, locals)?;
        if of.is_undefined() {
            return Ok(of);
        }
        let mut ends = [None; 3];
        for (end, bound) in ends.iter_mut().zip([&bounds.start, &bounds.stop, &bounds.step]) {
            let Some(bound) = bound else { continue };
            let value = self.eval(bound, locals)?;
            *end = match self.defined(value)? {
                Val::None => None,
                other => Some(other.as_int().ok_or("slice indices must be integers or None or have an __index__ method")?),
            };
        }
        self.slice(&of, ends)
    }

    fn call_expr(&mut self, callee: &Expr, args: &Arguments, locals: &Rc<Locals>) -> Res<Val> {
        let callee = self.eval(callee, locals)?;
        let args = self.arguments(args, locals)?;
        self.call(&callee, args, locals)
    }

    pub(crate) fn arguments(&mut self, args: &Arguments, locals: &Rc<Locals>) -> Res<Args> {
        let mut evaluated = Args { positional: self.all(&args.positional, locals)?, named: Vec::new() };
        for (name, expr) in &args.named {
            evaluated.named.push((name.clone(), self.eval(expr, locals)?));
        }
        if let Some(splat) = &args.splat {
            let splat = self.eval(splat, locals)?;
            evaluated.positional.extend(self.elements(&splat)?);
        }
        if let Some(splat) = &args.named_splat {
            let splat = self.eval(splat, locals)?;
            let Val::Dict(dict) = self.defined(splat)? else { return Err("argument after ** must be a mapping".into()) };
            for (key, value) in dict.entries() {
                evaluated.named.push((key.to_string().into(), self.resolve(value)?));
            }
        }
        Ok(evaluated)
    }

    /// `input` is the body of a block that is filtered.
    pub(crate) fn filter_expr(&mut self, call: &FilterCall, input: Option<&Val>, locals: &Rc<Locals>) -> Res<Val> {
        let value = match &call.input {
            Some(Expr { kind: ExprKind::Filter(inner), .. }) if input.is_some() => self.filter_expr(inner, input, locals)?,
            Some(expr) => match self.eval(expr, locals) {
                Ok(value) => value,
                // A vault that is opened by the filter itself needs no secret of the run.
                Err(mut error) => match &mut error.problem {
                    super::failure::Problem::Undecryptable { vault, .. } if filters::plain_name(&call.name) == "unvault" => {
                        Val::from(std::mem::take(vault))
                    }
                    _ => return Err(error),
                },
            },
            None => input.cloned().unwrap_or(Val::None),
        };
        let args = self.arguments(&call.args, locals)?;
        filters::apply(self, &call.name, value, args, locals).map_err(|error| self.locate(error, call.name_at))
    }

    fn test_expr(&mut self, call: &TestCall, locals: &Rc<Locals>) -> Res<Val> {
        let value = self.eval(&call.input, locals)?;
        let args = self.arguments(&call.args, locals)?;
        tests::apply(self, &call.name, value, args, locals).map_err(|error| self.locate(error, call.name_at))
    }
}

pub(crate) fn constant(value: &Const) -> Val {
    match value {
        Const::None => Val::None,
        Const::Bool(truth) => Val::Bool(*truth),
        Const::Int(number) => Val::Int(*number),
        Const::Float(number) => Val::Float(*number),
        Const::Text(text) => Val::text(text.clone()),
    }
}
