//! `script`: a local script runs on the host, without being left there.

use super::{Answer, Bodies, Hands, Problem};
use crate::modules::Args;
use crate::value::Map;

pub(super) async fn script(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let line = args.text("cmd").or_else(|| args.text("_raw_params")).unwrap_or_default();
    let words = shell_words::split(&line).map_err(|_| Problem::new(format!("a quote is not closed in `{line}`")))?;
    let Some(name) = words.first() else {
        return Err(Problem::new("one of the following is required: cmd, or the path of a script as bare text"));
    };
    let path = hands.find("files", name)?;
    let mut bodies = Bodies::default();
    let body = bodies.add_opened(&path, args.all(), hands)?;
    let mut host = Map::new();
    host.insert("_blob".into(), body.into());
    host.insert("_arguments".into(), behind_first(&line, name).into());
    for name in ["creates", "removes", "chdir", "executable"] {
        if let Some(value) = args.get(name) {
            host.insert(name.into(), value.clone());
        }
    }
    hands.module("_script", host, bodies).await.map(Answer::of)
}

/// What stands behind the first word of a line, as it is written: the host's shell reads it.
fn behind_first<'a>(line: &'a str, first: &str) -> &'a str {
    let line = line.trim();
    let is_first = |end: &usize| shell_words::split(&line[..*end]).is_ok_and(|words| words == [first]);
    let mut ends = line.match_indices(char::is_whitespace).map(|(end, _)| end);
    ends.find(is_first).map_or("", |end| line[end..].trim())
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_stands_behind_the_script_is_left_as_it_is() {
        let cases = [
            ("x.sh", "x.sh", ""),
            (" x.sh  a 'b c' > $HOME/x ", "x.sh", "a 'b c' > $HOME/x"),
            ("'a dir/x.sh' \"b\"", "a dir/x.sh", "\"b\""),
            ("a\\ dir/x.sh | sort", "a dir/x.sh", "| sort"),
        ];
        for (line, first, behind) in cases {
            assert_eq!(super::behind_first(line, first), behind, "{line}");
        }
    }
}
