//! `~/.netrc`: names and passwords for servers, as curl and Python read it.

use super::Look;

/// Name and password for a server, where the user of the host has written some down.
pub(super) fn login(look: &dyn Look, server: &str) -> Option<(String, String)> {
    let path = look.env("NETRC").or_else(|| look.env("HOME").map(|home| format!("{home}/.netrc")))?;
    find(&look.text(&path).ok()??, server)
}

fn find(text: &str, server: &str) -> Option<(String, String)> {
    let mut words = words(text).into_iter();
    let mut is_here = false;
    let (mut name, mut password) = (None, None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "machine" | "default" if is_here => break,
            "machine" => is_here = words.next().as_deref() == Some(server),
            "default" => is_here = true,
            "login" | "user" if is_here => name = words.next(),
            "password" if is_here => password = words.next(),
            "login" | "user" | "password" | "account" => drop(words.next()),
            _ => {}
        }
    }
    Some((name.unwrap_or_default(), password?))
}

/// Macros and comments are left out.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut is_macro = false;
    for line in text.lines() {
        is_macro &= !line.trim().is_empty();
        if is_macro || line.trim_start().starts_with('#') {
            continue;
        }
        is_macro = line.split_whitespace().next() == Some("macdef");
        if !is_macro {
            words.extend(super::words::split(line).unwrap_or_else(|_| line.split_whitespace().map(str::to_owned).collect()));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::find;

    const TEXT: &str = "# mine\nmachine a.example login ada password \"two words\"\nmachine b.example\n  password b#1\n  login bob\n\
                        macdef init\ncd /machine c.example password no\n\nmachine c.example login carl\ndefault login anyone password me\n";

    #[test]
    fn the_entry_of_the_server_counts_and_then_the_default() {
        let is = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(find(TEXT, "a.example"), is("ada", "two words"));
        assert_eq!(find(TEXT, "b.example"), is("bob", "b#1"));
        assert_eq!(find(TEXT, "d.example"), is("anyone", "me"));
        assert_eq!(find(TEXT, "c.example"), None);
        assert_eq!(find("", "a"), None);
    }
}
