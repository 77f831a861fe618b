//! Shell patterns: `*`, `?`, `[…]`, as Python's `fnmatch` and `glob` read them.

use super::Look;

/// Paths that match, sorted; a pattern without wildcards matches the path itself if it is there.
pub fn matches(look: &dyn Look, pattern: &str) -> Vec<String> {
    let (root, rest) = match pattern.strip_prefix('/') {
        Some(rest) => ("/", rest),
        None => ("", pattern),
    };
    let mut found = vec![root.to_owned()];
    for part in rest.split('/').filter(|part| !part.is_empty()) {
        found = found.iter().flat_map(|dir| step(look, dir, part)).collect();
    }
    found
}

fn step(look: &dyn Look, dir: &str, part: &str) -> Vec<String> {
    let joined = |name: &str| if dir.is_empty() || dir.ends_with('/') { format!("{dir}{name}") } else { format!("{dir}/{name}") };
    if !part.contains(['*', '?', '[']) {
        return Some(joined(part)).filter(|path| look.exists(path)).into_iter().collect();
    }
    let names = look.list(if dir.is_empty() { "." } else { dir }).unwrap_or_default();
    let wanted = |name: &String| (part.starts_with('.') || !name.starts_with('.')) && is_match(part, name);
    names.into_iter().filter(wanted).map(|name| joined(&name)).collect()
}

/// Whether a whole name matches a pattern.
pub fn is_match(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut from) = (0, 0);
    // Where the last `*` stands, and how much of the name it has taken.
    let mut star: Option<(usize, usize)> = None;
    while from < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
                continue;
            }
            Some(_) => {
                if let Some(next) = one(&pattern, at, name[from]) {
                    at = next;
                    from += 1;
                    continue;
                }
            }
            None => {}
        }
        let Some((back, taken)) = star else { return false };
        star = Some((back, taken + 1));
        at = back + 1;
        from = taken + 1;
    }
    pattern[at..].iter().all(|c| *c == '*')
}

/// Where the pattern goes on after its element at `at` has matched `c`.
fn one(pattern: &[char], at: usize, c: char) -> Option<usize> {
    match pattern[at] {
        '?' => Some(at + 1),
        '[' => {
            let is_negated = matches!(pattern.get(at + 1), Some('!' | '^'));
            let first = at + 1 + usize::from(is_negated);
            let Some(end) = (first + 1..pattern.len()).find(|end| pattern[*end] == ']') else {
                return (c == '[').then_some(at + 1);
            };
            (in_set(&pattern[first..end], c) != is_negated).then_some(end + 1)
        }
        literal => (literal == c).then_some(at + 1),
    }
}

fn in_set(set: &[char], c: char) -> bool {
    let mut rest = set;
    while let Some((first, after)) = rest.split_first() {
        match after {
            ['-', last, more @ ..] => {
                if (*first..=*last).contains(&c) {
                    return true;
                }
                rest = more;
            }
            _ if *first == c => return true,
            _ => rest = after,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_patterns() {
        for (pattern, name) in [
            ("*.conf", "a.conf"),
            ("a?c", "abc"),
            ("[a-c]x", "bx"),
            ("[!a]x", "bx"),
            ("*a*b*", "xxaxxbxx"),
            ("[]]", "]"),
            ("[", "["),
        ] {
            assert!(is_match(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("*.conf", "a.conf2"), ("a?c", "ac"), ("[a-c]x", "dx"), ("[!a]x", "ax"), ("", "a")] {
            assert!(!is_match(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        assert!(!is_match(&"*a".repeat(30), &"a".repeat(29)));
    }
}
