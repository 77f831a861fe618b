//! Paths as text: their parts, and where they lead.

use super::Look;

/// The path with its links followed, as far as they lead.
pub fn real(look: &dyn Look, path: &str) -> String {
    let mut path = path.to_owned();
    for _ in 0..40 {
        match link_in(look, &path) {
            Some(next) => path = next,
            None => return normal(&path),
        }
    }
    path
}

/// The path with its first link replaced.
fn link_in(look: &dyn Look, path: &str) -> Option<String> {
    let ends = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).chain([path.len()]);
    for end in ends {
        let head = &path[..end];
        if matches!(look.stat(head, false), Ok(Some(found)) if found.kind == "link") {
            let target = look.read_link(head).ok()?;
            return Some(normal(&(join(parent(head), &target) + &path[end..])));
        }
    }
    None
}

pub fn parent(path: &str) -> &str {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some(("", _)) => "/",
        Some((dir, _)) => dir,
        None => ".",
    }
}

pub fn base_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// `path` as seen from `dir`.
pub fn join(dir: &str, path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", dir.trim_end_matches('/')) }
}

/// Without `.`, `..` and doubled slashes.
pub fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if path.starts_with('/') || parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    let joined = format!("{root}{}", parts.join("/"));
    if joined.is_empty() { ".".to_owned() } else { joined }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_plain() {
        assert_eq!(normal("/a/./b//../c/"), "/a/c");
        assert_eq!(normal("/../.."), "/");
        assert_eq!(normal("a/.."), ".");
        assert_eq!(normal("../a"), "../a");
        assert_eq!((parent("/a"), parent("/a/b/"), parent("a")), ("/", "/a", "."));
    }
}
