//! `'{} {name:>5}'.format(a, name=b)`

use super::calls::Args;
use super::evaluate::Eval;
use super::failure::Res;
use super::format_percent::float;
use super::runtime::{TextBuilder, Val, repr};
use super::syntax::tree::Spot;
use crate::value::Text;

/// Wider fields are refused.
const WIDTH_MAX: usize = 1 << 20;

pub(crate) fn format_string(eval: &mut Eval<'_>, format: &Text, args: &Args) -> Res<Val> {
    let mut out = TextBuilder { is_secret: format.is_secret(), ..TextBuilder::default() };
    let mut next = 0;
    fields(eval, format, args, &mut next, &mut out)?;
    Ok(out.finish())
}

fn fields(eval: &mut Eval<'_>, format: &str, args: &Args, next: &mut usize, out: &mut TextBuilder) -> Res<()> {
    let mut rest = format;
    while let Some(position) = rest.find(['{', '}']) {
        out.push(&rest[..position]);
        let brace = &rest[position..=position];
        rest = &rest[position + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            out.push(brace);
            rest = after;
        } else if brace == "}" {
            return Err("Single '}' encountered in format string".into());
        } else {
            let end = closing(rest).ok_or("expected '}' before end of string")?;
            field(eval, &rest[..end], args, next, out)?;
            rest = &rest[end + 1..];
        }
    }
    out.push(rest);
    Ok(())
}

/// Where the field ends; its specification may hold fields of its own.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (offset, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(offset),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn field(eval: &mut Eval<'_>, field: &str, args: &Args, next: &mut usize, out: &mut TextBuilder) -> Res<()> {
    let (name, spec) = field.split_once(':').unwrap_or((field, ""));
    let (name, conversion) = name.split_once('!').unwrap_or((name, ""));
    let value = lookup(eval, name, args, next)?;
    let value = eval.defined(value)?;
    let value = eval.deep(&value)?;
    out.is_secret |= value.is_secret();
    let value = match conversion {
        "" => value,
        "s" => Val::Str(value.to_text()),
        "r" | "a" => Val::from(repr(&value)),
        other => return Err(format!("Unknown conversion specifier {other}").into()),
    };
    let mut inner = TextBuilder::default();
    if spec.contains('{') {
        fields(eval, spec, args, next, &mut inner)?;
    } else {
        inner.push(spec);
    }
    out.push(&formatted(&value, &inner.text)?);
    Ok(())
}

/// `name.attribute[index]`, where an empty name is the next argument.
fn lookup(eval: &mut Eval<'_>, path: &str, args: &Args, next: &mut usize) -> Res<Val> {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (first, mut rest) = path.split_at(end);
    let mut value = if first.is_empty() || first.chars().all(|c| c.is_ascii_digit()) {
        let index = if first.is_empty() {
            *next += 1;
            *next - 1
        } else {
            first.parse().unwrap_or(usize::MAX)
        };
        let missing = || format!("Replacement index {index} out of range for positional args tuple");
        args.positional.get(index).cloned().ok_or_else(missing)?
    } else {
        let found = args.named.iter().find(|(name, _)| &**name == first).map(|(_, value)| value.clone());
        found.ok_or_else(|| format!("'{first}'"))?
    };
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (index, after) = inner.split_once(']').ok_or("Missing ']' in format string")?;
            let index = index.parse().map_or_else(|_| Val::from(index), Val::Int);
            value = eval.item(&value, &index, Spot::default())?;
            rest = after;
        } else {
            let inner = rest.trim_start_matches('.');
            let end = inner.find(['.', '[']).unwrap_or(inner.len());
            value = eval.attribute(&value, &inner[..end].into(), Spot::default())?;
            rest = &inner[end..];
        }
    }
    Ok(value)
}

/// `[[fill]align][sign][#][0][width][,][.precision][type]`
#[derive(Default)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    has_prefix: bool,
    has_zeros: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

fn parse(text: &str) -> Res<Spec> {
    let mut spec = Spec::default();
    let chars: Vec<char> = text.chars().collect();
    let is_align = |c: Option<&char>| c.is_some_and(|c| "<>^=".contains(*c));
    let mut at = 0;
    if is_align(chars.get(1)) {
        spec.fill = chars.first().copied();
        spec.align = chars.get(1).copied();
        at = 2;
    } else if is_align(chars.first()) {
        spec.align = chars.first().copied();
        at = 1;
    }
    let mut take = |wanted: &str| {
        let found = chars.get(at).copied().filter(|c| wanted.contains(*c));
        at += usize::from(found.is_some());
        found
    };
    spec.sign = take("+- ");
    spec.has_prefix = take("#").is_some();
    spec.has_zeros = take("0").is_some();
    let mut width = String::new();
    while let Some(digit) = take("0123456789") {
        width.push(digit);
    }
    spec.grouping = take(",_");
    let mut precision = None;
    if take(".").is_some() {
        let mut digits = String::new();
        while let Some(digit) = take("0123456789") {
            digits.push(digit);
        }
        precision = Some(digits.parse().map_err(|_| "Format specifier missing precision")?);
    }
    spec.kind = take("sdbcoxXneEfFgG%");
    spec.precision = precision;
    spec.width = width.parse().unwrap_or(0);
    if at < chars.len() {
        return Err("Invalid format specifier".into());
    }
    if spec.width > WIDTH_MAX || spec.precision.is_some_and(|precision: usize| precision > WIDTH_MAX) {
        return Err(format!("a width of more than {WIDTH_MAX}").into());
    }
    Ok(spec)
}

fn formatted(value: &Val, spec_text: &str) -> Res<String> {
    if spec_text.is_empty() {
        return Ok(value.to_text().as_str().to_owned());
    }
    if let Val::Object(object) = value
        && let super::runtime::Object::DateTime(time) = &**object
    {
        return Ok(time.format(spec_text));
    }
    let spec = parse(spec_text)?;
    let unknown = |kind: char| format!("Unknown format code '{kind}' for object of type '{}'", value.kind());
    let (sign, body, is_number) = match (value, spec.kind) {
        (Val::Int(number), None | Some('d' | 'n' | 'b' | 'o' | 'x' | 'X' | 'c')) => integer(*number, &spec),
        (Val::Int(_) | Val::Float(_), kind) => floating(value.as_float().unwrap_or(0.0), kind, &spec),
        (Val::Bool(truth), Some('d')) => integer(i64::from(*truth), &spec),
        (other, None | Some('s')) => {
            let text = other.to_text();
            let cut = spec.precision.map_or_else(|| text.as_str().to_owned(), |precision| text.chars().take(precision).collect());
            (String::new(), cut, false)
        }
        (_, Some(kind)) => return Err(unknown(kind).into()),
    };
    Ok(aligned(&spec, &sign, &body, is_number))
}

fn sign_of(is_negative: bool, spec: &Spec) -> String {
    match (is_negative, spec.sign) {
        (true, _) => "-".to_owned(),
        (false, Some(sign @ ('+' | ' '))) => sign.to_string(),
        _ => String::new(),
    }
}

fn integer(number: i64, spec: &Spec) -> (String, String, bool) {
    let magnitude = number.unsigned_abs();
    let (prefix, digits) = match spec.kind {
        Some('b') => ("0b", format!("{magnitude:b}")),
        Some('o') => ("0o", format!("{magnitude:o}")),
        Some('x') => ("0x", format!("{magnitude:x}")),
        Some('X') => ("0X", format!("{magnitude:X}")),
        Some('c') => {
            let c = u32::try_from(magnitude).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
            return (String::new(), c.to_string(), false);
        }
        _ => ("", grouped(&magnitude.to_string(), spec.grouping)),
    };
    (sign_of(number < 0, spec) + if spec.has_prefix { prefix } else { "" }, digits, true)
}

fn floating(number: f64, kind: Option<char>, spec: &Spec) -> (String, String, bool) {
    let magnitude = number.abs();
    let body = match (kind, spec.precision) {
        (Some('%'), precision) => format!("{}%", float(magnitude * 100.0, 'f', precision.unwrap_or(6), false)),
        (None, None) => Val::Float(magnitude).to_text().as_str().to_owned(),
        (None, Some(precision)) => float(magnitude, 'g', precision, false),
        (Some(kind), precision) => float(magnitude, kind, precision.unwrap_or(6), spec.has_prefix),
    };
    let body = match body.split_once('.') {
        Some((whole, fraction)) => format!("{}.{fraction}", grouped(whole, spec.grouping)),
        None => grouped(&body, spec.grouping),
    };
    (sign_of(number.is_sign_negative() && !number.is_nan(), spec), body, true)
}

fn grouped(digits: &str, separator: Option<char>) -> String {
    let Some(separator) = separator else { return digits.to_owned() };
    let mut out = String::new();
    for (position, c) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(separator);
        }
        out.push(c);
    }
    out
}

fn aligned(spec: &Spec, sign: &str, body: &str, is_number: bool) -> String {
    let missing = spec.width.saturating_sub(sign.chars().count() + body.chars().count());
    let zeros = spec.has_zeros && spec.align.is_none();
    let fill = spec.fill.unwrap_or(if spec.has_zeros { '0' } else { ' ' });
    let align = spec.align.unwrap_or(match (zeros && is_number, is_number) {
        (true, _) => '=',
        (false, true) => '>',
        (false, false) => '<',
    });
    let pad = |count: usize| std::iter::repeat_n(fill, count).collect::<String>();
    match align {
        '<' => format!("{sign}{body}{}", pad(missing)),
        '>' => format!("{}{sign}{body}", pad(missing)),
        '^' => format!("{}{sign}{body}{}", pad(missing / 2), pad(missing - missing / 2)),
        _ => format!("{sign}{}{body}", pad(missing)),
    }
}
