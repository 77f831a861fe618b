//! `--tags` and `--skip-tags`.

/// Which tasks are wanted. Empty: all but those tagged `never`.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    pub only: Vec<String>,
    pub skip: Vec<String>,
}

impl Selection {
    /// Whether a task with these tags runs.
    pub fn wants(&self, tags: &[String]) -> bool {
        self.is_chosen(tags) && !self.is_skipped(tags)
    }

    fn is_chosen(&self, tags: &[String]) -> bool {
        let has = |tag: &str| tags.iter().any(|one| one == tag);
        let asks = |tag: &str| self.only.iter().any(|one| one == tag);
        let is_named = tags.iter().any(|tag| asks(tag));
        if has("always") || is_named {
            return true;
        }
        if has("never") {
            return false;
        }
        self.only.is_empty() || asks("all") || (asks("tagged") && !tags.is_empty()) || (asks("untagged") && tags.is_empty())
    }

    fn is_skipped(&self, tags: &[String]) -> bool {
        let asks = |tag: &str| self.skip.iter().any(|one| one == tag);
        let is_always = tags.iter().any(|tag| tag == "always");
        if asks("all") {
            return !is_always || asks("always");
        }
        tags.iter().any(|tag| asks(tag)) || (asks("tagged") && !tags.is_empty()) || (asks("untagged") && tags.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(only: &[&str], skip: &[&str], tags: &[&str]) -> bool {
        let owned = |list: &[&str]| list.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        Selection { only: owned(only), skip: owned(skip) }.wants(&owned(tags))
    }

    #[test]
    fn tags_choose_and_skip_as_in_ansible() {
        assert!(wants(&[], &[], &[]) && wants(&[], &[], &["a"]));
        assert!(!wants(&[], &[], &["never"]) && !wants(&[], &[], &["never", "a"]));
        assert!(wants(&["a"], &[], &["a", "never"]));
        assert!(wants(&["a"], &[], &["always"]) && !wants(&["a"], &[], &["b"]) && !wants(&["a"], &[], &[]));
        assert!(wants(&["tagged"], &[], &["b"]) && !wants(&["tagged"], &[], &[]));
        assert!(wants(&["untagged"], &[], &[]) && !wants(&["untagged"], &[], &["b"]));
        assert!(!wants(&[], &["a"], &["a"]) && wants(&[], &["a"], &["b"]));
        assert!(!wants(&[], &["always"], &["always"]) && wants(&[], &["all"], &["always"]));
    }
}
