//! The wildcard patterns of ssh_config and known_hosts.

/// Whether `text` matches a pattern with `*` and `?`, ignoring case.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.to_lowercase().chars().collect();
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let (mut at, mut from) = (0, 0);
    // Where the last star was, and how far it reached.
    let mut star = None;
    while from < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(one) if *one == '?' || *one == text[from] => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((star_at, reached)) = star else { return false };
                star = Some((star_at, reached + 1));
                at = star_at + 1;
                from = reached + 1;
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

/// Whether a list of patterns admits `text`: one must match, and none that begins with `!`.
pub(super) fn admits<'a>(patterns: impl IntoIterator<Item = &'a str>, text: &str) -> bool {
    let mut is_admitted = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(refused) if matches(refused, text) => return false,
            Some(_) => {}
            None => is_admitted |= matches(pattern, text),
        }
    }
    is_admitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text, wanted) in [
            ("*", "", true),
            ("web?", "web1", true),
            ("web?", "web", false),
            ("*.example.com", "a.b.Example.com", true),
            ("10.0.*.5", "10.0.3.5", true),
            ("10.0.*.5", "10.0.3.56", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), wanted, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_negated_pattern_refuses_what_another_admits() {
        assert!(admits(["*.example.com", "!db.example.com"], "web.example.com"));
        assert!(!admits(["*.example.com", "!db.example.com"], "db.example.com"));
        assert!(!admits(["!db"], "web"));
    }
}
