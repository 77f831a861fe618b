//! Values as text, as Python prints them.

use super::{Object, Val};
use crate::template::Problem;
use crate::value::{Key, Text, Value};

/// Text under construction that remembers whether a secret went in.
#[derive(Debug, Default)]
pub(crate) struct TextBuilder {
    pub(crate) text: String,
    pub(crate) is_secret: bool,
}

impl TextBuilder {
    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// `str(value)`
    pub(crate) fn push_val(&mut self, val: &Val) {
        match val {
            Val::Str(text) => {
                self.is_secret |= text.is_secret();
                self.text.push_str(text);
            }
            Val::Object(object) => self.push_object(object),
            other => self.push_repr(other),
        }
    }

    /// `repr(value)`
    pub(crate) fn push_repr(&mut self, val: &Val) {
        match val {
            Val::None => self.push("None"),
            Val::Bool(true) => self.push("True"),
            Val::Bool(false) => self.push("False"),
            Val::Int(number) => self.push(&number.to_string()),
            Val::Float(number) => self.push(&Value::Float(*number).to_text()),
            Val::Str(text) => {
                self.is_secret |= text.is_secret();
                self.push(&repr_text(text));
            }
            Val::Pending(template) => self.push(&repr_text(&template.text)),
            Val::Object(object) if matches!(**object, Object::DateTime(_)) => self.push_moment(object),
            Val::List(items) => self.push_items("[", &items.items(), "]"),
            Val::Tuple(items) if items.len() == 1 => self.push_items("(", items, ",)"),
            Val::Tuple(items) => self.push_items("(", items, ")"),
            Val::Dict(entries) => {
                self.push("{");
                for (position, (key, value)) in entries.entries().iter().enumerate() {
                    self.push(if position == 0 { "" } else { ", " });
                    self.push_key(key);
                    self.push(": ");
                    self.push_repr(value);
                }
                self.push("}");
            }
            Val::Undefined(error) => match &error.problem {
                Problem::Undefined { name, .. } => {
                    self.push(&format!("AnsibleUndefined(hint=None, obj=missing, name={})", repr_text(name)));
                }
                _ => self.push("AnsibleUndefined"),
            },
            Val::Object(object) => self.push_object(object),
        }
    }

    /// As Python makes one; of the seconds and their parts only what is not zero.
    fn push_moment(&mut self, object: &Object) {
        let Object::DateTime(time) = object else { return };
        let at = time.fields();
        let mut parts = vec![at.year, at.month, at.day, at.hour, at.minute];
        if at.second != 0 || time.microsecond != 0 {
            parts.push(at.second);
        }
        if time.microsecond != 0 {
            parts.push(time.microsecond.into());
        }
        let parts: Vec<String> = parts.iter().map(i64::to_string).collect();
        self.push(&format!("datetime.datetime({})", parts.join(", ")));
    }

    fn push_items(&mut self, open: &str, items: &[Val], close: &str) {
        self.push(open);
        for (position, item) in items.iter().enumerate() {
            self.push(if position == 0 { "" } else { ", " });
            self.push_repr(item);
        }
        self.push(close);
    }

    fn push_key(&mut self, key: &Key) {
        match key {
            Key::String(text) => self.push(&repr_text(text)),
            other => self.push(&other.to_string()),
        }
    }

    fn push_object(&mut self, object: &Object) {
        match object {
            Object::Range(range) if range.step == 1 => self.push(&format!("range({}, {})", range.start, range.stop)),
            Object::Range(range) => self.push(&format!("range({}, {}, {})", range.start, range.stop, range.step)),
            Object::Module(module) => self.push_val(&module.text),
            Object::DateTime(time) => self.push(&time.to_string()),
            Object::Delta(delta) => self.push(&delta.to_string()),
            Object::Vaulted(text) => self.push(text),
            Object::Nothing => {}
            other => self.push(&format!("<{}>", other.kind())),
        }
    }

    pub(crate) fn finish(self) -> Val {
        Val::text_of(self.text, self.is_secret)
    }
}

impl Val {
    /// `str(value)`; nothing inside may be pending.
    pub(crate) fn to_text(&self) -> Text {
        if let Val::Str(text) = self {
            return text.clone();
        }
        let mut builder = TextBuilder::default();
        builder.push_val(self);
        if builder.is_secret { Text::secret(builder.text) } else { builder.text.into() }
    }
}

pub(crate) fn repr(val: &Val) -> String {
    let mut builder = TextBuilder::default();
    builder.push_repr(val);
    builder.text
}

/// A string in Python's quotes.
pub(crate) fn repr_text(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 0x20 || (0x7f..0xa1).contains(&(c as u32)) || c == '\u{ad}' => {
                out.push_str(&format!("\\x{:02x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}
