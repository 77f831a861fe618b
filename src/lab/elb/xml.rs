//! Answers as the API writes them.

/// An element tree; names are those of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Xml {
    Text(String),
    Children(Vec<(&'static str, Xml)>),
    /// A list: each item in a `<member>`.
    Members(Vec<Xml>),
}

const NAMESPACE: &str = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";

pub(super) fn text(value: impl ToString) -> Xml {
    Xml::Text(value.to_string())
}

impl Xml {
    fn write(&self, out: &mut String) {
        match self {
            Xml::Text(text) => out.push_str(&escaped(text)),
            Xml::Children(children) => children.iter().for_each(|(name, child)| child.write_in(name, out)),
            Xml::Members(members) => members.iter().for_each(|member| member.write_in("member", out)),
        }
    }

    fn write_in(&self, name: &str, out: &mut String) {
        out.push_str(&format!("<{name}>"));
        self.write(out);
        out.push_str(&format!("</{name}>"));
    }
}

pub(super) fn answer(action: &str, result: &Xml, request: &str) -> String {
    let mut out = format!("<{action}Response xmlns=\"{NAMESPACE}\">");
    result.write_in(&format!("{action}Result"), &mut out);
    out.push_str(&format!("<ResponseMetadata><RequestId>{request}</RequestId></ResponseMetadata></{action}Response>"));
    out
}

pub(super) fn error(kind: &str, code: &str, said: &str, request: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{kind}</Type><Code>{code}</Code><Message>{}</Message></Error>\
         <RequestId>{request}</RequestId></ErrorResponse>",
        escaped(said)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_written_with_members_and_without_markup_in_texts() {
        let result = Xml::Children(vec![("Names", Xml::Members(vec![text("a<b"), text("c & d")])), ("Empty", text(""))]);
        let written = answer("DescribeX", &result, "r-1");
        assert_eq!(
            written,
            format!(
                "<DescribeXResponse xmlns=\"{NAMESPACE}\"><DescribeXResult><Names><member>a&lt;b</member><member>c &amp; d</member>\
                 </Names><Empty></Empty></DescribeXResult><ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></DescribeXResponse>"
            )
        );
    }
}
