//! Image names: `registry/repository:tag@digest`.

/// A parsed image name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// With the registry, as written: `registry:5000/team/app`.
    pub(super) repository: String,
    pub(super) tag: Option<String>,
    pub(super) digest: Option<String>,
}

impl Reference {
    pub(super) fn parse(name: &str) -> Reference {
        let (name, digest) = match name.split_once('@') {
            Some((name, digest)) => (name, Some(digest.to_owned())),
            None => (name, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let (repository, tag) = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag.to_owned())),
            _ => (name, None),
        };
        Reference { repository: repository.to_owned(), tag, digest }
    }

    /// With the tag filled in where neither tag nor digest was written.
    pub(super) fn or_tag(mut self, tag: &str) -> Reference {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(tag.to_owned());
        }
        self
    }

    /// The registry as `docker login` keys it.
    pub(super) fn registry(&self) -> &str {
        match self.repository.split_once('/') {
            Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
            _ => DOCKER_HUB,
        }
    }
}

/// The key under which credentials for images without a registry are kept.
pub(super) const DOCKER_HUB: &str = "https://index.docker.io/v1/";

impl std::fmt::Display for Reference {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(out, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(out, "@{digest}")?;
        }
        Ok(())
    }
}

/// An image id, whole or short with its `sha256:`; such a name has no tag.
pub(super) fn is_id(name: &str) -> bool {
    let hex = name.strip_prefix("sha256:").unwrap_or(name);
    (name.starts_with("sha256:") || hex.len() == 64) && !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let plain = Reference::parse("registry:5000/team/app");
        assert_eq!((plain.repository.as_str(), plain.tag.as_deref()), ("registry:5000/team/app", None));
        assert_eq!(plain.registry(), "registry:5000");
        assert_eq!(plain.or_tag("latest").to_string(), "registry:5000/team/app:latest");
        let full = Reference::parse("redis:7@sha256:abc");
        assert_eq!((full.tag.as_deref(), full.digest.as_deref()), (Some("7"), Some("sha256:abc")));
        assert_eq!(full.registry(), DOCKER_HUB);
    }
}
