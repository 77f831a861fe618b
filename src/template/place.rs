//! From an offset in a template to its place in the YAML source.

use super::syntax::tree::Spot;
use crate::value::Span;

/// The widest indentation of a block scalar that is tried.
const INDENT_MAX: usize = 64;

/// The span of `spot` within a scalar that holds `text` and is written at `scalar`: exact for scalars that are written on one
/// line without escapes and for evenly indented block scalars, else the whole scalar.
pub(crate) fn spot_span(text: &str, scalar: Span, spot: Spot) -> Span {
    if scalar.is_nowhere() {
        return scalar;
    }
    let length = (scalar.end.saturating_sub(scalar.start)) as usize;
    let offset = match length.checked_sub(text.len()) {
        Some(0) => 0,
        Some(2) if !text.contains('\n') => 1,
        _ => return in_block(text, scalar, length, spot).unwrap_or(scalar),
    };
    let start = scalar.start + offset;
    let span = Span { source: scalar.source, start: start + spot.start, end: start + spot.end.max(spot.start + 1) };
    if span.end <= scalar.end { span } else { scalar }
}

/// A block scalar is a header line, then every line of the text after the same indentation. Both widths follow from how
/// much longer the source is than the text.
fn in_block(text: &str, scalar: Span, length: usize, spot: Spot) -> Option<Span> {
    let body = text.trim_end_matches('\n');
    if !body.contains('\n') && !text.ends_with('\n') {
        return None;
    }
    let lines = body.split('\n').filter(|line| !line.is_empty()).count();
    let (header, indent) = [2_usize, 3].into_iter().find_map(|header| {
        let surplus = [0, 1].into_iter().find_map(|newline| {
            length.checked_sub(header + body.len() + newline)?.checked_rem(lines).filter(|rest| *rest == 0).map(|_| newline)
        })?;
        let indent = (length - header - body.len() - surplus) / lines;
        (1..=INDENT_MAX).contains(&indent).then_some((header, indent))
    })?;
    let place = |offset: u32| {
        let before = body.get(..(offset as usize).min(body.len()))?;
        let lines = before.split('\n').count() - before.split('\n').rev().skip(1).filter(|line| line.is_empty()).count();
        u32::try_from(header + lines * indent + before.len()).ok()
    };
    let span = Span { source: scalar.source, start: scalar.start + place(spot.start)?, end: scalar.start + place(spot.end)? };
    (span.start < span.end && span.end <= scalar.end).then_some(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str, scalar: &str, text: &str, part: &str) -> String {
        let start = u32::try_from(source.find(scalar).unwrap()).unwrap();
        let span = Span { source: 1, start, end: start + u32::try_from(scalar.len()).unwrap() };
        let offset = u32::try_from(text.find(part).unwrap()).unwrap();
        let spot = Spot { start: offset, end: offset + u32::try_from(part.len()).unwrap() };
        let found = spot_span(text, span, spot);
        source[found.start as usize..found.end as usize].to_owned()
    }

    #[test]
    fn plain_and_quoted_scalars_are_exact() {
        assert_eq!(shown("a: {{ nope }} x", "{{ nope }} x", "{{ nope }} x", "nope"), "nope");
        assert_eq!(shown("a: \"{{ nope }}\"\n", "\"{{ nope }}\"", "{{ nope }}", "nope"), "nope");
    }

    #[test]
    fn block_scalars_are_mapped_by_line() {
        let source = "a: |\n    one\n    two {{ nope }}\n\n    three\nb: 1\n";
        assert_eq!(
            shown(source, "|\n    one\n    two {{ nope }}\n\n    three\n", "one\ntwo {{ nope }}\n\nthree\n", "nope"),
            "nope"
        );
    }

    #[test]
    fn escapes_fall_back_to_the_whole_scalar() {
        assert_eq!(shown(r#"a: "\t{{ nope }}""#, r#""\t{{ nope }}""#, "\t{{ nope }}", "nope"), r#""\t{{ nope }}""#);
    }
}
