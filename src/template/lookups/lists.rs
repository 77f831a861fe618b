//! Lookups that shape lists, mostly for `with_*`.

use super::{Asked, Lookup, row};
use crate::template::failure::Res;
use crate::template::methods::resolved;
use crate::template::runtime::Val;

pub(super) const LOOKUPS: &[Lookup] = &[
    row("items", "the items, flattened by one level", items),
    row("list", "the items as they are", |asked| Ok(asked.terms.clone())),
    row("dict", "keys and values", dict),
    row("nested", "every item with every item of the other lists", nested),
    row("community.general.cartesian", "every item with every item of the other lists", cartesian),
    row("together", "the first items together, the second items together, …", together),
    row("indexed_items", "the items with their positions", indexed),
    row("sequence", "numbers", sequence),
    row("subelements", "every item with each of its elements", subelements),
    row("flattened", "the items, flattened wholly", flattened),
    row("random_choice", "one item by chance", random_choice),
];

/// More results than this are refused.
const RESULTS_MAX: usize = 2_000_000;

fn flat(asked: &mut Asked<'_, '_>, terms: &[Val], levels: usize, into: &mut Vec<Val>) -> Res<()> {
    for term in terms {
        match term {
            Val::List(_) | Val::Tuple(_) if levels > 0 => {
                let inner = asked.eval.elements(term)?;
                flat(asked, &inner, levels - 1, into)?;
            }
            other => into.push(other.clone()),
        }
    }
    Ok(())
}

fn items(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let terms = asked.terms.clone();
    let mut items = Vec::new();
    flat(asked, &terms, 1, &mut items)?;
    Ok(items)
}

fn flattened(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let terms = asked.terms.clone();
    let mut items = Vec::new();
    flat(asked, &terms, 64, &mut items)?;
    Ok(items)
}

fn dict(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let mut pairs = Vec::new();
    for term in asked.terms.clone() {
        let Val::Dict(dict) = &term else {
            let (shown, kind) = (crate::template::calls::shown(&term), term.kind());
            return Err(format!(
                "with_dict expects a dict: the 'dict' lookup plugin expects a dictionary, got '{shown}' of type <class '{kind}'>)"
            )
            .into());
        };
        for (key, value) in resolved(asked.eval, dict)? {
            pairs.push([("key".into(), Val::from_key(&key)), ("value".into(), value)].into_iter().collect());
        }
    }
    Ok(pairs)
}

fn lists(asked: &mut Asked<'_, '_>) -> Res<Vec<Vec<Val>>> {
    let terms = asked.terms.clone();
    let mut lists = Vec::new();
    for term in &terms {
        lists.push(match term {
            Val::List(_) | Val::Tuple(_) => asked.eval.elements(term)?,
            other => vec![other.clone()],
        });
    }
    Ok(lists)
}

fn nested(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let lists = lists(asked)?;
    if lists.is_empty() {
        return Err("with_nested requires at least one element in the nested list".into());
    }
    product(asked, &lists)
}

/// As `nested`, also over the keys of maps.
fn cartesian(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let mut lists = lists(asked)?;
    if lists.is_empty() {
        return Err("with_cartesian requires at least one element in each list".into());
    }
    for (list, term) in lists.iter_mut().zip(asked.terms.clone()) {
        if matches!(term, Val::Dict(_)) {
            *list = asked.eval.elements(&term)?;
        }
    }
    product(asked, &lists)
}

/// Every item with every item of the other lists, flattened by one level.
fn product(asked: &mut Asked<'_, '_>, lists: &[Vec<Val>]) -> Res<Vec<Val>> {
    let count = lists.iter().try_fold(1_usize, |count, list| count.checked_mul(list.len()));
    if count.is_none_or(|count| count > RESULTS_MAX) {
        return Err(format!("this gives more than {RESULTS_MAX} results").into());
    }
    let mut rows: Vec<Vec<Val>> = vec![Vec::new()];
    for list in lists {
        rows = rows
            .iter()
            .flat_map(|row| list.iter().map(move |item| row.iter().cloned().chain([item.clone()]).collect()))
            .collect();
    }
    let mut flat_rows = Vec::with_capacity(rows.len());
    for row in rows {
        let mut items = Vec::new();
        flat(asked, &row, 1, &mut items)?;
        flat_rows.push(Val::list(items));
    }
    Ok(flat_rows)
}

fn together(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let lists = lists(asked)?;
    if lists.is_empty() {
        return Err("with_together requires at least one element in each list".into());
    }
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    let row = |index: usize| Val::list(lists.iter().map(|list| list.get(index).cloned().unwrap_or(Val::None)).collect());
    Ok((0..longest).map(row).collect())
}

fn indexed(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let items = items(asked)?;
    Ok(items.into_iter().enumerate().map(|(index, item)| Val::list(vec![Val::size(index), item])).collect())
}

/// `start-end/step:format` or `start= end= count= stride= format=`.
#[derive(Default)]
struct Sequence {
    start: Option<i64>,
    end: Option<i64>,
    count: Option<i64>,
    stride: Option<i64>,
    format: Option<String>,
}

impl Sequence {
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let number = || {
            let (digits, radix) = match value.get(..2) {
                Some("0x") => (&value[2..], 16),
                _ if value.len() > 1 && value.starts_with('0') => (&value[1..], 8),
                _ => (value, 10),
            };
            i64::from_str_radix(digits, radix).map_err(|_| {
                format!(
                    "Invalid type for configuration option plugin_type: lookup plugin: sequence setting: {name} \
                     (from Direct): Invalid value provided for 'integer': '{value}'"
                )
            })
        };
        match name {
            "start" => self.start = Some(number()?),
            "end" => self.end = Some(number()?),
            "count" => self.count = Some(number()?),
            "stride" => self.stride = Some(number()?),
            "format" => self.format = Some(value.to_owned()),
            other => return Err(format!("unrecognized arguments to with_sequence: ['{other}']")),
        }
        Ok(())
    }

    fn parse(text: &str) -> Result<Sequence, String> {
        let mut sequence = Sequence::default();
        if text.contains('=') {
            for pair in text.split_whitespace() {
                let (name, value) = pair.split_once('=').ok_or_else(|| format!("can't parse sequence `{text}`"))?;
                sequence.set(name, value)?;
            }
            return Ok(sequence);
        }
        let (range, format) = text.split_once(':').map_or((text, None), |(range, format)| (range, Some(format.to_owned())));
        let (range, stride) = range.split_once('/').map_or((range, None), |(range, stride)| (range, Some(stride)));
        match range.split_once('-').filter(|(start, _)| !start.is_empty()) {
            Some((start, end)) => {
                sequence.set("start", start)?;
                sequence.set("end", end)?;
            }
            None => sequence.set("end", range)?,
        }
        if let Some(stride) = stride {
            sequence.set("stride", stride)?;
        }
        sequence.format = format;
        Ok(sequence)
    }

    fn numbers(&self) -> Result<Vec<i64>, String> {
        let start = self.start.unwrap_or(1);
        let (end, stride) = match (self.count, self.end) {
            (None, None) => return Err("must specify count or end in with_sequence".to_owned()),
            (Some(_), Some(_)) => return Err("can't specify both count and end in with_sequence".to_owned()),
            (Some(0), None) => return Ok(Vec::new()),
            (Some(count), None) => {
                let stride = self.stride.unwrap_or(1);
                (start.saturating_add(count.saturating_sub(1).saturating_mul(stride)), stride)
            }
            (None, Some(end)) => (end, self.stride.unwrap_or(1)),
        };
        if stride > 0 && end < start {
            return Err("to count backwards make stride negative".to_owned());
        }
        if stride < 0 && end > start {
            return Err("to count forward don't make stride negative".to_owned());
        }
        if stride == 0 {
            return Ok(Vec::new());
        }
        let mut numbers = Vec::new();
        let mut number = start;
        while if stride > 0 { number <= end } else { number >= end } {
            numbers.push(number);
            if numbers.len() > RESULTS_MAX {
                return Err(format!("the sequence has more than {RESULTS_MAX} numbers"));
            }
            number = number.saturating_add(stride);
        }
        Ok(numbers)
    }
}

fn sequence(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let mut sequences = Vec::new();
    for text in asked.texts()? {
        sequences.push(Sequence::parse(&text)?);
    }
    if sequences.is_empty() {
        sequences.push(Sequence::default());
    }
    let mut results = Vec::new();
    for mut sequence in sequences {
        for (name, value) in &asked.options {
            sequence.set(name, &value.to_text())?;
        }
        let format = sequence.format.clone().unwrap_or_else(|| "%d".to_owned());
        for number in sequence.numbers()? {
            let formatted = crate::template::format_percent::percent(asked.eval, &format.as_str().into(), &Val::Int(number));
            results.push(formatted.map_err(|_| format!("bad formatting string: {format}"))?);
        }
    }
    Ok(results)
}

const EXPECTS: &str = "subelements lookup expects a list of two or three items,";

fn subelements(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let terms = asked.terms.clone();
    let (Some(source), Some(path)) = (terms.first(), terms.get(1).filter(|_| terms.len() <= 3)) else {
        return Err(EXPECTS.into());
    };
    let items = match source {
        Val::Dict(dict) if dict.get("skipped").is_some_and(|flag| !matches!(flag, Val::Bool(false))) => return Ok(Vec::new()),
        Val::Dict(dict) => resolved(asked.eval, dict)?.into_iter().map(|(_, value)| value).collect(),
        Val::List(_) | Val::Tuple(_) => asked.eval.elements(source)?,
        other => {
            return Err(format!(
                "{EXPECTS} first a dict or a list, second a string pointing to the subkey; \
                 it expects a dictionary or a list of such, not {}",
                crate::template::calls::shown(other)
            )
            .into());
        }
    };
    let Val::Str(path) = path else {
        return Err(format!("{EXPECTS} first a dict or a list, second a string pointing to the subkey").into());
    };
    let skips = match terms.get(2) {
        None => false,
        Some(Val::Dict(flags)) => flags.get("skip_missing").and_then(|flag| flag.to_value().ok()?.to_bool()).unwrap_or(false),
        Some(_) => return Err("the optional third item must be a dict with flags ('skip_missing',)".into()),
    };
    let steps: Vec<String> = path.split('.').map(str::to_owned).collect();
    let mut pairs = Vec::new();
    for item in items {
        let Val::Dict(dict) = &item else {
            let shown = crate::template::calls::shown(&item);
            return Err(format!("subelements lookup expects a dictionary, got '{shown}'").into());
        };
        let is_skipped = match dict.get("skipped") {
            Some(flag) => asked.eval.resolve(flag)?.to_value().is_ok_and(|flag| flag.as_bool() == Some(true)),
            None => false,
        };
        if is_skipped {
            continue;
        }
        match taken_out(asked, &item, &steps, skips)? {
            Some((rest, elements)) => {
                for element in asked.eval.elements(&elements)? {
                    pairs.push(Val::tuple(vec![rest.clone(), element]));
                }
            }
            None if skips => {}
            None => {
                let shown = crate::template::calls::shown(&item);
                let missing = steps.last().map_or("", String::as_str);
                return Err(format!("could not find '{missing}' key in iterated item '{shown}'").into());
            }
        }
    }
    Ok(pairs)
}

/// A map without the list at the end of the path, and that list.
fn taken_out(asked: &mut Asked<'_, '_>, item: &Val, steps: &[String], skips: bool) -> Res<Option<(Val, Val)>> {
    let Some((step, further)) = steps.split_first() else { return Ok(None) };
    let Val::Dict(dict) = item else {
        if skips {
            return Ok(None);
        }
        let shown = crate::template::calls::shown(item);
        return Err(format!("the key {step} should point to a dictionary, got '{shown}'").into());
    };
    let Some(value) = dict.get(step.as_str()) else { return Ok(None) };
    let value = asked.eval.resolve(value)?;
    let mut entries = dict.entries();
    if further.is_empty() {
        if !matches!(value, Val::List(_)) {
            return Err(format!("the key {step} should point to a list, got '{}'", crate::template::calls::shown(&value)).into());
        }
        entries.shift_remove(step.as_str());
        return Ok(Some((entries.into_iter().collect(), value)));
    }
    let Some((rest, elements)) = taken_out(asked, &value, further, skips)? else { return Ok(None) };
    entries.insert(step.as_str().into(), rest);
    Ok(Some((entries.into_iter().collect(), elements)))
}

fn random_choice(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let count = asked.terms.len();
    let chosen = crate::template::filters::random_below(count);
    Ok(asked.terms.iter().skip(chosen).take(1).cloned().collect())
}
