//! Calling what can be called, and giving plugins their arguments.

use super::evaluate::Eval;
use super::failure::{Fault, Plugin, Problem, Res, fault};
use super::frame::Locals;
use super::methods;
use super::runtime::{Macro, Object, Val, repr};
use super::syntax::tree::Name;
use crate::value::Text;
use std::rc::Rc;

/// Evaluated arguments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args {
    pub(crate) positional: Vec<Val>,
    pub(crate) named: Vec<(Name, Val)>,
}

/// A filter, test or function at work: its input and its arguments by the order of its parameters.
pub(crate) struct Call<'c, 'e> {
    pub(crate) eval: &'c mut Eval<'e>,
    pub(crate) input: Val,
    pub(crate) locals: &'c Rc<Locals>,
    args: Vec<Option<Val>>,
    pub(crate) rest: Vec<Val>,
    pub(crate) named: Vec<(Name, Val)>,
}

/// Text of a value longer than this is cut in messages.
const SHOWN_MAX: usize = 80;

impl Eval<'_> {
    pub(crate) fn call(&mut self, callee: &Val, args: Args, locals: &Rc<Locals>) -> Res<Val> {
        if callee.is_undefined() {
            return Ok(callee.clone());
        }
        let Val::Object(object) = callee else { return Err(format!("'{}' object is not callable", callee.kind()).into()) };
        match &**object {
            Object::Function(function) => {
                let undefined = if function.takes_undefined { None } else { first_undefined(&args) };
                match undefined {
                    Some(undefined) => Ok(undefined),
                    None => {
                        let mut call = bind(self, function.params, Val::None, args, locals)
                            .map_err(|error| named(error, Plugin::Function, function.name, None))?;
                        (function.run)(&mut call).map_err(|error| named(error, Plugin::Function, function.name, None))
                    }
                }
            }
            Object::Macro(shape) => self.call_macro(shape, args),
            Object::Method(of, name) => match first_undefined(&args) {
                Some(undefined) if &**name != "append" && &**name != "get" => Ok(undefined),
                _ => methods::call(self, of, name, args),
            },
            Object::Loop(state) => {
                let items = args.positional.first().cloned().unwrap_or(Val::None);
                self.loop_again(state, &items)
            }
            Object::Joiner { separator, is_used } => Ok(if is_used.replace(true) { separator.clone() } else { Val::from("") }),
            Object::Block(name, level) => self.block_at(name, *level, locals),
            Object::DictType => super::functions::make_dict(self, args),
            other => Err(format!(
                "'{}' object is not callable",
                Val::kind(&Val::Object(object.clone())).replace("Macro", other_name(other))
            )
            .into()),
        }
    }

    fn call_macro(&mut self, shape: &Macro, args: Args) -> Res<Val> {
        let Some(outer) = shape.locals.upgrade() else {
            return Err(format!("macro '{}' outlived the template that defines it", shape.definition.name).into());
        };
        let definition = &shape.definition;
        let name = &definition.name;
        let locals = Locals::inside(&outer);
        let mut positional = args.positional.into_iter();
        let mut keywords = args.named;
        let caller = keywords.iter().position(|(name, _)| &**name == "caller").map(|index| keywords.remove(index).1);
        for (param, default) in &definition.params {
            let by_name = keywords.iter().position(|(name, _)| name == param).map(|index| keywords.remove(index).1);
            let value = match (positional.next(), by_name, default) {
                (Some(_), Some(_), _) => return Err(format!("macro '{name}' got multiple values for argument '{param}'").into()),
                (Some(value), None, _) | (None, Some(value), _) => value,
                (None, None, Some(default)) => self.eval(default, &locals)?,
                (None, None, None) if &**param == "caller" => caller.clone().unwrap_or(Val::None),
                (None, None, None) => {
                    let hint = format!("parameter '{param}' was not provided");
                    self.undefined(Problem::Hint { hint }, super::syntax::tree::Spot::default())
                }
            };
            locals.set(param.clone(), value);
        }
        let rest: Vec<Val> = positional.collect();
        if definition.uses_varargs {
            locals.set("varargs".into(), Val::tuple(rest));
        } else if !rest.is_empty() {
            return Err(format!("macro '{name}' takes not more than {} argument(s)", definition.params.len()).into());
        }
        if definition.uses_kwargs {
            let entries = keywords.into_iter().map(|(name, value)| (crate::value::Key::from(&*name), value));
            locals.set("kwargs".into(), entries.collect());
        } else if let Some((keyword, _)) = keywords.first() {
            return Err(format!("macro '{name}' takes no keyword argument '{keyword}'").into());
        }
        if definition.uses_caller {
            let missing =
                || self.undefined(Problem::Hint { hint: "No caller defined".to_owned() }, super::syntax::tree::Spot::default());
            locals.set("caller".into(), caller.unwrap_or_else(missing));
        } else if caller.is_some() && !definition.params.iter().any(|(param, _)| &**param == "caller") {
            return Err(format!("macro '{name}' was invoked with a caller that it never calls").into());
        }
        self.deeper(|eval| eval.captured(&definition.body, &locals))
    }
}

fn other_name(object: &Object) -> &'static str {
    match object {
        Object::Macro(_) => "macro",
        _ => "object",
    }
}

pub(crate) fn first_undefined(args: &Args) -> Option<Val> {
    args.positional.iter().chain(args.named.iter().map(|(_, value)| value)).find(|value| value.is_undefined()).cloned()
}

/// Turns the reason of an operation into the failure of a plugin.
pub(crate) fn named(mut error: Fault, plugin: Plugin, name: &str, value: Option<&Val>) -> Fault {
    if let Problem::Operation { reason } = error.problem {
        error.problem = Problem::PluginFailed { plugin, name: name.to_owned(), reason, value: value.map(shown) };
    }
    error
}

/// A value as messages show it.
pub(crate) fn shown(value: &Val) -> String {
    if value.is_secret() {
        return "secret".to_owned();
    }
    let text = repr(value);
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Gives every argument to its parameter. A parameter `*name` takes all further ones, `**name` all other named ones.
pub(crate) fn bind<'c, 'e>(
    eval: &'c mut Eval<'e>,
    params: &[&str],
    input: Val,
    args: Args,
    locals: &'c Rc<Locals>,
) -> Res<Call<'c, 'e>> {
    let plain: Vec<&str> = params.iter().copied().filter(|param| !param.starts_with('*')).collect();
    let takes_rest = params.iter().any(|param| param.starts_with('*') && !param.starts_with("**"));
    let takes_named = params.iter().any(|param| param.starts_with("**"));
    let mut bound: Vec<Option<Val>> = vec![None; plain.len()];
    let mut rest = Vec::new();
    let given = args.positional.len();
    for (index, value) in args.positional.into_iter().enumerate() {
        match bound.get_mut(index) {
            Some(slot) => *slot = Some(value),
            None if takes_rest => rest.push(value),
            None => return Err(format!("takes at most {} arguments but {given} were given", plain.len()).into()),
        }
    }
    let mut named = Vec::new();
    for (name, value) in args.named {
        match plain.iter().position(|param| *param == &*name) {
            Some(index) if bound[index].is_some() => return Err(format!("got multiple values for argument '{name}'").into()),
            Some(index) => bound[index] = Some(value),
            None if takes_named => named.push((name, value)),
            None => return Err(format!("got an unexpected keyword argument '{name}'").into()),
        }
    }
    Ok(Call { eval, input, locals, args: bound, rest, named })
}

impl Call<'_, '_> {
    pub(crate) fn arg(&self, index: usize) -> Option<&Val> {
        self.args.get(index).and_then(Option::as_ref)
    }

    /// The argument, unless it is missing or `none`.
    pub(crate) fn given(&self, index: usize) -> Option<&Val> {
        self.arg(index).filter(|value| !matches!(value, Val::None))
    }

    pub(crate) fn needed(&self, index: usize, name: &str) -> Res<Val> {
        self.arg(index).cloned().ok_or_else(|| format!("missing a required argument: '{name}'").into())
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Val> {
        self.named.iter().find(|(other, _)| &**other == name).map(|(_, value)| value)
    }

    pub(crate) fn text_arg(&self, index: usize, default: &str) -> Text {
        self.given(index).map_or_else(|| default.into(), Val::to_text)
    }

    pub(crate) fn int_arg(&self, index: usize, default: i64) -> Res<i64> {
        match self.given(index) {
            None => Ok(default),
            Some(value) => whole(value),
        }
    }

    pub(crate) fn flag(&self, index: usize, default: bool) -> bool {
        self.arg(index).and_then(Val::truth).unwrap_or(default)
    }

    /// The input as text, everything in it rendered.
    pub(crate) fn text(&mut self) -> Res<Text> {
        let input = self.input.clone();
        self.text_of(&input)
    }

    pub(crate) fn text_of(&mut self, value: &Val) -> Res<Text> {
        Ok(self.eval.deep(value)?.to_text())
    }

    /// The items of the input, rendered.
    pub(crate) fn items(&mut self) -> Res<Vec<Val>> {
        let input = self.input.clone();
        self.eval.elements(&input)
    }

    pub(crate) fn deep_input(&mut self) -> Res<Val> {
        let input = self.input.clone();
        self.eval.deep(&input)
    }
}

pub(crate) fn whole(value: &Val) -> Res<i64> {
    match value {
        Val::Str(text) => text.trim().parse().map_err(|_| format!("'{}' is not an integer", text.as_str()).into()),
        Val::Float(number) => Ok(*number as i64),
        other => other.as_int().ok_or_else(|| format!("'{}' object cannot be interpreted as an integer", other.kind()).into()),
    }
}

pub(crate) fn unknown<'n>(plugin: Plugin, name: &str, known: impl Iterator<Item = &'n str>) -> Fault {
    let closest = crate::diag::closest(name, known).map(str::to_owned);
    fault(Problem::UnknownPlugin { plugin, name: name.to_owned(), closest })
}
