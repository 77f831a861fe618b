//! What a remote repository has, as `git ls-remote --symref` lists it.

use super::Wanted;

#[derive(Debug, Default)]
pub(super) struct Refs {
    /// Full name and commit; an annotated tag is followed by its `^{}` with the commit it stands for.
    refs: Vec<(String, String)>,
    /// The branch that the remote's `HEAD` is.
    head: Option<String>,
}

impl Refs {
    pub(super) fn parse(text: &str) -> Refs {
        let mut refs = Refs::default();
        for (commit, name) in text.lines().filter_map(|line| line.split_once('\t')) {
            match commit.strip_prefix("ref: refs/heads/") {
                Some(branch) if name == "HEAD" => refs.head = Some(branch.to_owned()),
                Some(_) => {}
                None => refs.refs.push((name.to_owned(), commit.to_owned())),
            }
        }
        refs
    }

    fn get(&self, name: &str) -> Option<String> {
        self.refs.iter().find(|(known, _)| known == name).map(|(_, commit)| commit.clone())
    }

    /// `HEAD`, a branch, then a tag.
    pub(super) fn find(&self, version: &str) -> Option<Wanted> {
        if version == "HEAD" {
            let commit = self.get("HEAD")?;
            return Some(match &self.head {
                Some(branch) => Wanted::Branch { name: branch.clone(), commit },
                None => Wanted::Commit(commit),
            });
        }
        let name = version.strip_prefix("refs/heads/").unwrap_or(version);
        if let Some(commit) = self.get(&format!("refs/heads/{name}")) {
            return Some(Wanted::Branch { name: name.to_owned(), commit });
        }
        let name = version.strip_prefix("refs/tags/").unwrap_or(version);
        let tag = format!("refs/tags/{name}");
        let commit = self.get(&format!("{tag}^{{}}")).or_else(|| self.get(&tag))?;
        Some(Wanted::Tag { name: name.to_owned(), commit })
    }

    /// A branch or tag whose name holds the wanted one or is held by it, such as `v1.2` for `1.2`.
    pub(super) fn closest(&self, version: &str) -> Option<&str> {
        self.refs
            .iter()
            .filter_map(|(name, _)| name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/tags/")))
            .find(|name| !name.ends_with("^{}") && (name.contains(version) || version.contains(*name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "ref: refs/heads/main\tHEAD\naaa\tHEAD\naaa\trefs/heads/main\nbbb\trefs/heads/next\nccc\trefs/tags/v1.2\nddd\trefs/tags/v1.2^{}\n";

    #[test]
    fn versions_are_found_as_branches_and_tags() {
        let refs = Refs::parse(LIST);
        assert_eq!(refs.find("HEAD"), Some(Wanted::Branch { name: "main".into(), commit: "aaa".into() }));
        assert_eq!(refs.find("next"), Some(Wanted::Branch { name: "next".into(), commit: "bbb".into() }));
        assert_eq!(refs.find("v1.2"), Some(Wanted::Tag { name: "v1.2".into(), commit: "ddd".into() }));
        assert_eq!(refs.find("1.2"), None);
        assert_eq!(refs.closest("1.2"), Some("v1.2"));
    }
}
