//! The Query form of a request: `Action=RegisterTargets&Targets.member.1.Id=i-1&…`.

use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn parse(body: &str) -> Self {
        let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
        Self(pairs.map(|(name, value)| (decoded(name), decoded(value))).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn action(&self) -> &str {
        self.get("Action").unwrap_or_default()
    }

    /// `Names.member.1`, `Names.member.2`, …
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        (1..).map_while(|number| self.get(&format!("{name}.member.{number}"))).collect()
    }

    /// One field of `Targets.member.1.Id` and so on; the entries end where there is no `Id` or `Key`.
    pub(super) fn entries(&self, name: &str, key: &str, other: &str) -> Vec<(&str, Option<&str>)> {
        let entry = |number| {
            let at = |field: &str| self.get(&format!("{name}.member.{number}.{field}"));
            at(key).map(|value| (value, at(other)))
        };
        (1..).map_while(entry).collect()
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                std::str::from_utf8(&digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_values_and_lists_are_read() {
        let query = Query::parse(
            "Action=RegisterTargets&TargetGroupArn=arn%3Aaws%3Aa%2Fb&Targets.member.1.Id=i-1&Targets.member.1.Port=5000\
             &Targets.member.2.Id=i-2&Names.member.1=a+b&Names.member.2=c&bad%zz",
        );
        assert_eq!((query.action(), query.get("TargetGroupArn")), ("RegisterTargets", Some("arn:aws:a/b")));
        assert_eq!(query.entries("Targets", "Id", "Port"), [("i-1", Some("5000")), ("i-2", None)]);
        assert_eq!(query.list("Names"), ["a b", "c"]);
        assert_eq!((query.list("Nothing").len(), Query::parse("").action()), (0, ""));
    }
}
