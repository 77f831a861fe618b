//! `'%s-%d' % (a, b)`

use super::evaluate::Eval;
use super::failure::Res;
use super::runtime::{TextBuilder, Val};
use crate::value::Text;

/// Wider fields are refused.
const WIDTH_MAX: usize = 1 << 20;

/// One conversion: `%(name)-05.2f`.
#[derive(Default)]
struct Field {
    name: Option<String>,
    is_left: bool,
    has_zeros: bool,
    plus: Option<char>,
    has_prefix: bool,
    width: usize,
    precision: Option<usize>,
}

struct Percent<'f> {
    rest: &'f str,
    values: Vec<Val>,
    next: usize,
    mapping: Option<Val>,
    out: TextBuilder,
}

pub(crate) fn percent(eval: &mut Eval<'_>, format: &Text, values: &Val) -> Res<Val> {
    let values = eval.deep(values)?;
    let (list, mapping) = match &values {
        Val::Tuple(items) => (items.to_vec(), None),
        Val::Dict(_) => (vec![values.clone()], Some(values.clone())),
        other => (vec![other.clone()], None),
    };
    let is_mapping = mapping.is_some();
    let mut percent = Percent { rest: format, values: list, next: 0, mapping, out: TextBuilder::default() };
    percent.run(eval)?;
    if percent.next < percent.values.len() && !is_mapping {
        return Err("not all arguments converted during string formatting".into());
    }
    percent.out.is_secret |= format.is_secret();
    Ok(percent.out.finish())
}

impl Percent<'_> {
    fn run(&mut self, eval: &mut Eval<'_>) -> Res<()> {
        while let Some(position) = self.rest.find('%') {
            self.out.push(&self.rest[..position]);
            self.rest = &self.rest[position + 1..];
            self.conversion(eval)?;
        }
        self.out.push(self.rest);
        Ok(())
    }

    fn take(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn conversion(&mut self, eval: &mut Eval<'_>) -> Res<()> {
        let mut field = Field::default();
        if let Some(rest) = self.rest.strip_prefix('(') {
            let (name, rest) = rest.split_once(')').ok_or("incomplete format key")?;
            field.name = Some(name.to_owned());
            self.rest = rest;
        }
        while let Some(flag) = self.rest.chars().next().filter(|c| "-+ 0#".contains(*c)) {
            self.take();
            match flag {
                '-' => field.is_left = true,
                '0' => field.has_zeros = true,
                '#' => field.has_prefix = true,
                sign => field.plus = Some(sign),
            }
        }
        field.width = self.number()?.unwrap_or(0);
        if let Some(rest) = self.rest.strip_prefix('.') {
            self.rest = rest;
            field.precision = Some(self.number()?.unwrap_or(0));
        }
        self.rest = self.rest.trim_start_matches(['l', 'h', 'L']);
        match self.take() {
            None => Err("incomplete format".into()),
            Some('%') => {
                self.out.push("%");
                Ok(())
            }
            Some(kind) => self.put(eval, &field, kind),
        }
    }

    fn number(&mut self) -> Res<Option<usize>> {
        if let Some(rest) = self.rest.strip_prefix('*') {
            self.rest = rest;
            let value = self.value(None)?;
            let number = value.as_int().and_then(|number| usize::try_from(number).ok()).ok_or("* wants int")?;
            return bounded(number).map(Some);
        }
        let digits = self.rest.chars().take_while(char::is_ascii_digit).count();
        let number = self.rest[..digits].parse().ok();
        self.rest = &self.rest[digits..];
        number.map(bounded).transpose()
    }

    fn value(&mut self, name: Option<&str>) -> Res<Val> {
        if let Some(name) = name {
            let Some(Val::Dict(dict)) = &self.mapping else { return Err("format requires a mapping".into()) };
            return dict.get(name).ok_or_else(|| format!("'{name}'").into());
        }
        let value = self.values.get(self.next).cloned().ok_or("not enough arguments for format string")?;
        self.next += 1;
        Ok(value)
    }

    fn put(&mut self, eval: &mut Eval<'_>, field: &Field, kind: char) -> Res<()> {
        let value = self.value(field.name.as_deref())?;
        // What is undefined can be shown as such, but not used.
        let value = if matches!(kind, 'r' | 'a') { value } else { eval.defined(value)? };
        self.out.is_secret |= value.is_secret();
        let (sign, body) = match kind {
            's' => (String::new(), cut(value.to_text().as_str(), field.precision)),
            'r' | 'a' => (String::new(), cut(&super::runtime::repr(&value), field.precision)),
            'c' => (String::new(), character(&value)?),
            'd' | 'i' | 'u' => {
                let number = value.as_int().or(value.as_float().map(|number| number as i64));
                let number = number.ok_or_else(|| format!("%{kind} format: a real number is required, not {}", value.kind()))?;
                (sign(number < 0, field), number.unsigned_abs().to_string())
            }
            'x' | 'X' | 'o' => {
                let number =
                    value.as_int().ok_or_else(|| format!("%{kind} format: an integer is required, not {}", value.kind()))?;
                radix(number, kind, field)
            }
            'f' | 'F' | 'e' | 'E' | 'g' | 'G' => {
                let number = value.as_float().ok_or_else(|| format!("must be real number, not {}", value.kind()))?;
                let body = float(number.abs(), kind, field.precision.unwrap_or(6), field.has_prefix);
                (sign(number.is_sign_negative() && !number.is_nan(), field), body)
            }
            other => return Err(format!("unsupported format character '{other}' (0x{:x})", other as u32).into()),
        };
        self.pad(field, &sign, &body, !matches!(kind, 's' | 'r' | 'a' | 'c'));
        Ok(())
    }

    fn pad(&mut self, field: &Field, sign: &str, body: &str, is_number: bool) {
        let missing = field.width.saturating_sub(sign.chars().count() + body.chars().count());
        let padded = if field.is_left {
            format!("{sign}{body}{}", " ".repeat(missing))
        } else if field.has_zeros && is_number {
            format!("{sign}{}{body}", "0".repeat(missing))
        } else {
            format!("{}{sign}{body}", " ".repeat(missing))
        };
        self.out.push(&padded);
    }
}

fn bounded(number: usize) -> Res<usize> {
    if number > WIDTH_MAX { Err(format!("a width of {number} is more than {WIDTH_MAX}").into()) } else { Ok(number) }
}

fn sign(is_negative: bool, field: &Field) -> String {
    if is_negative { "-".to_owned() } else { field.plus.map(String::from).unwrap_or_default() }
}

fn cut(text: &str, precision: Option<usize>) -> String {
    precision.map_or_else(|| text.to_owned(), |precision| text.chars().take(precision).collect())
}

fn character(value: &Val) -> Res<String> {
    match value {
        Val::Str(text) if text.chars().count() == 1 => Ok(text.as_str().to_owned()),
        Val::Int(code) => {
            let c = u32::try_from(*code).ok().and_then(char::from_u32).ok_or("%c arg not in range(0x110000)")?;
            Ok(c.to_string())
        }
        _ => Err("%c requires int or char".into()),
    }
}

fn radix(number: i64, kind: char, field: &Field) -> (String, String) {
    let magnitude = number.unsigned_abs();
    let (prefix, digits) = match kind {
        'x' => ("0x", format!("{magnitude:x}")),
        'X' => ("0X", format!("{magnitude:X}")),
        _ => ("0o", format!("{magnitude:o}")),
    };
    (sign(number < 0, field) + if field.has_prefix { prefix } else { "" }, digits)
}

/// The digits of a float that is not negative.
pub(crate) fn float(number: f64, kind: char, precision: usize, keeps_zeros: bool) -> String {
    if !number.is_finite() {
        let text = if number.is_nan() { "nan" } else { "inf" };
        return if kind.is_uppercase() { text.to_uppercase() } else { text.to_owned() };
    }
    match kind {
        'f' | 'F' => format!("{number:.precision$}"),
        'e' | 'E' => scientific(number, precision, kind),
        _ => general(number, precision.max(1), kind, keeps_zeros),
    }
}

fn scientific(number: f64, precision: usize, letter: char) -> String {
    let text = format!("{number:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    format!("{digits}{letter}{sign}{exponent:0>2}")
}

fn general(number: f64, precision: usize, kind: char, keeps_zeros: bool) -> String {
    let text = format!("{number:.0$e}", precision - 1);
    let exponent: i64 = text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let letter = if kind == 'G' { 'E' } else { 'e' };
    let is_scientific = exponent < -4 || exponent >= i64::try_from(precision).unwrap_or(i64::MAX);
    let text = if is_scientific {
        scientific(number, precision - 1, letter)
    } else {
        let decimals = usize::try_from(i64::try_from(precision).unwrap_or(0) - 1 - exponent).unwrap_or(0);
        format!("{number:.decimals$}")
    };
    if keeps_zeros || !text.contains('.') {
        return text;
    }
    let (digits, tail) =
        text.split_once(letter).map_or((text.as_str(), String::new()), |(digits, tail)| (digits, format!("{letter}{tail}")));
    format!("{}{tail}", digits.trim_end_matches('0').trim_end_matches('.'))
}
