//! A command line split into words as a POSIX shell splits it, without any expansion (Python's `shlex.split`).

/// What went wrong is said in the words that users of Ansible know.
pub fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => loop {
                let word = word.get_or_insert_default();
                match chars.next().ok_or("No closing quotation")? {
                    '\'' => break,
                    c => word.push(c),
                }
            },
            '"' => quoted(word.get_or_insert_default(), &mut chars)?,
            '\\' => word.get_or_insert_default().push(chars.next().ok_or("No escaped character")?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Inside double quotes only `\"` and `\\` are escapes.
fn quoted(word: &mut String, chars: &mut std::str::Chars<'_>) -> Result<(), String> {
    loop {
        match chars.next().ok_or("No closing quotation")? {
            '"' => return Ok(()),
            '\\' => match chars.next().ok_or("No closing quotation")? {
                c @ ('"' | '\\') => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

/// One word for a shell.
pub fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@%_-+=:,./".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\"'\"'")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        let words = |text: &str| split(text).unwrap();
        assert_eq!(words("  echo 'a b'  \"c \\\"d\\\" \\n\" e\\ f ''"), ["echo", "a b", "c \"d\" \\n", "e f", ""]);
        assert_eq!(words("a'b'\"c\"d\n e"), ["abcd", "e"]);
        assert!(words(" \t").is_empty());
        assert_eq!(split("it's"), Err("No closing quotation".to_owned()));
        assert_eq!(split("x\\"), Err("No escaped character".to_owned()));
    }

    #[test]
    fn a_quoted_word_is_read_back_as_it_was() {
        for word in ["", "plain", "a b", "it's", "$HOME", "\"", "\\", "a\nb"] {
            assert_eq!(split(&quote(word)).unwrap(), [word]);
        }
    }
}
