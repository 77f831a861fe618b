//! Calls that no SDK is here for: signed, sent, tried again, and an answer in XML as a tree.

use super::failure::chain;
use super::{AwsError, Session};
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use std::time::{Duration, SystemTime};
use xmlparser::{ElementEnd, Token, Tokenizer};

/// Pauses before the second, third and fourth try.
const PAUSES: [Duration; 3] = [Duration::from_millis(200), Duration::from_millis(800), Duration::from_secs(3)];
const TIME_MAX: Duration = Duration::from_secs(60);
const BYTES_MAX: usize = 64 << 20;
const DEPTH_MAX: usize = 64;

/// One call.
pub(super) struct Post {
    /// As in the name of its endpoint and in signatures.
    pub(super) service: &'static str,
    /// As in the settings of an endpoint: `AWS_ENDPOINT_URL_EC2`.
    pub(super) id: &'static str,
    /// As IAM calls it.
    pub(super) call: &'static str,
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) body: String,
}

impl Session {
    /// The answer to a call, tried again while it is AWS that has the trouble.
    pub(super) async fn post(&self, post: &Post, told_apart: fn(&Post, u16, &str) -> AwsError) -> Result<String, AwsError> {
        let mut pauses = PAUSES.iter();
        loop {
            let error = match self.post_once(post).await {
                Ok((200..=299, answer)) => return Ok(answer),
                Ok((status, answer)) => told_apart(post, status, &answer),
                Err(error) => error,
            };
            let passes = matches!(error, AwsError::Throttled { .. } | AwsError::Failing { .. } | AwsError::Unreachable { .. });
            match pauses.next().filter(|_| passes) {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return Err(error),
            }
        }
    }

    async fn post_once(&self, post: &Post) -> Result<(u16, String), AwsError> {
        let lost = |error: reqwest::Error| AwsError::Unreachable { call: post.call, why: chain(&error.without_url()) };
        let url = self.url(post);
        let mut request = self.http(post.call)?.post(&url);
        for (name, value) in post.headers {
            request = request.header(*name, *value);
        }
        for (name, value) in self.signature(post, &url).await? {
            request = request.header(name, value);
        }
        let mut response = request.body(post.body.clone()).send().await.map_err(lost)?;
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(lost)? {
            if bytes.len() + piece.len() > BYTES_MAX {
                return Err(AwsError::Unreadable { call: post.call, why: format!("it has more than {} MiB", BYTES_MAX >> 20) });
            }
            bytes.extend_from_slice(&piece);
        }
        let text = String::from_utf8(bytes);
        text.map(|text| (status, text)).map_err(|_| AwsError::Unreadable { call: post.call, why: "it is no UTF-8".to_owned() })
    }

    fn http(&self, call: &'static str) -> Result<&reqwest::Client, AwsError> {
        if let Some(client) = self.http.get() {
            return Ok(client);
        }
        let client = crate::https::client().timeout(TIME_MAX).redirect(reqwest::redirect::Policy::none()).build();
        let client = client.map_err(|error| AwsError::Unreachable { call, why: chain(&error) })?;
        Ok(self.http.get_or_init(|| client))
    }

    fn url(&self, post: &Post) -> String {
        let own = || {
            let region = self.region();
            let ending = if region.starts_with("cn-") { ".cn" } else { "" };
            format!("https://{}.{region}.amazonaws.com{ending}", post.service)
        };
        let url = self.endpoint_of(post.id).unwrap_or_else(own);
        format!("{}/", url.trim_end_matches('/'))
    }

    async fn signature(&self, post: &Post, url: &str) -> Result<Vec<(String, String)>, AwsError> {
        let unsigned = |why: String| AwsError::NoCredentials { why };
        let provider = self.config.credentials_provider().ok_or_else(|| unsigned("none were found".to_owned()))?;
        let credentials = provider.provide_credentials().await.map_err(|error| unsigned(chain(&error)))?;
        let identity = credentials.into();
        // The service is part of what an endpoint is called, but not of what is signed for ECR.
        let name = post.service.rsplit('.').next().unwrap_or(post.service);
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region())
            .name(name)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsigned(error.to_string()))?;
        let request = SignableRequest::new("POST", url, post.headers.iter().copied(), SignableBody::Bytes(post.body.as_bytes()));
        let signed = request.and_then(|request| sign(request, &params.into())).map_err(|error| unsigned(chain(&error)))?;
        Ok(signed.output().headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// `name=value`, as a form has it.
pub(super) fn form<'p>(pairs: impl IntoIterator<Item = (String, &'p str)>) -> String {
    let encoded = |text: &str| {
        text.bytes().fold(String::new(), |mut out, byte| {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
                _ => out.push_str(&format!("%{byte:02X}")),
            }
            out
        })
    };
    let pairs = pairs.into_iter().map(|(name, value)| format!("{}={}", encoded(&name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// An element of an answer.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The root of an answer.
    pub(super) fn read(xml: &str) -> Result<Element, String> {
        let mut open = vec![Element::default()];
        for token in Tokenizer::from(xml) {
            match token.map_err(|error| error.to_string())? {
                Token::ElementStart { local, .. } => {
                    if open.len() > DEPTH_MAX {
                        return Err("its elements are too deep inside each other".to_owned());
                    }
                    open.push(Element { name: local.as_str().to_owned(), ..Element::default() });
                }
                Token::ElementEnd { end: ElementEnd::Empty | ElementEnd::Close(..), .. } => close(&mut open)?,
                Token::Text { text } | Token::Cdata { text, .. } => {
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&plain(text.as_str()));
                    }
                }
                _ => {}
            }
        }
        match (open.len(), open.pop().and_then(|root| root.children.into_iter().next())) {
            (1, Some(root)) => Ok(root),
            _ => Err("it breaks off".to_owned()),
        }
    }

    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of a child; empty without one.
    pub(super) fn text_of(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.trim())
    }

    /// The children of a child that is a list.
    pub(super) fn items(&self, name: &str) -> &[Element] {
        self.child(name).map_or(&[], |list| &list.children)
    }
}

fn close(open: &mut Vec<Element>) -> Result<(), String> {
    match (open.pop(), open.last_mut()) {
        (Some(element), Some(parent)) => {
            parent.children.push(element);
            Ok(())
        }
        _ => Err("an element ends that never began".to_owned()),
    }
}

/// Text without its entities.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let Some((name, tail)) = after.split_once(';') else {
            rest = &rest[before.len()..];
            break;
        };
        let letter = match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => {
                let number = name.strip_prefix("#x").map(|hex| u32::from_str_radix(hex, 16));
                let number = number.or_else(|| name.strip_prefix('#').map(str::parse));
                number.and_then(Result::ok).and_then(char::from_u32)
            }
        };
        match letter {
            Some(letter) => out.push(letter),
            None => out.push_str(&format!("&{name};")),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_a_tree() {
        let xml = "<?xml version=\"1.0\"?>\n<A xmlns=\"http://x/\"><!-- no -->\n<b>1 &lt; 2 &amp; &#x41;&#66; &what; &</b><c/><d><item>x</item>\
                   <item><![CDATA[<y>]]></item></d></A>";
        let root = Element::read(xml).unwrap();
        assert_eq!((root.name.as_str(), root.text_of("b")), ("A", "1 < 2 & AB &what; &"));
        assert_eq!(root.child("c"), Some(&Element { name: "c".to_owned(), ..Element::default() }));
        assert_eq!(root.items("d").iter().map(|item| item.text.as_str()).collect::<Vec<_>>(), ["x", "<y>"]);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let deep = "<a>".repeat(100_000);
        for xml in ["", "text", "<a>", "<a><b></a>", "</a>", "<a></a></a>", deep.as_str()] {
            assert!(Element::read(xml).is_err() || xml == "<a><b></a>", "{xml:.20}");
        }
    }

    #[test]
    fn a_form_is_encoded() {
        assert_eq!(
            form([("Filter.1.Name".to_owned(), "tag:A b"), ("é".to_owned(), "*")]),
            "Filter.1.Name=tag%3AA%20b&%C3%A9=%2A"
        );
    }
}
