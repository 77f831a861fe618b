//! Facts that outlive a run: one JSON file a host, as Ansible's `jsonfile` cache keeps them.

use crate::value::{Map, Value};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where facts are kept, and for how long.
#[derive(Debug, Clone)]
pub struct FactCache {
    pub folder: PathBuf,
    pub prefix: String,
    /// None: for ever.
    pub lifetime: Option<Duration>,
    /// What is there is not to be used.
    pub is_flushed: bool,
}

impl FactCache {
    fn file(&self, host: &str) -> PathBuf {
        // A host's name must not lead out of the folder.
        self.folder.join(format!("{}{}", self.prefix, host.replace('/', "_")))
    }

    /// Facts as they were gathered, under their `ansible_` names. An old or broken file is none.
    pub(crate) fn load(&self, host: &str) -> Option<Map> {
        let file = self.file(host);
        if self.is_flushed || self.is_old(&file) {
            return None;
        }
        let text = std::fs::read_to_string(file).ok()?;
        Value::from_json(&text).ok()?.as_map().cloned()
    }

    fn is_old(&self, file: &Path) -> bool {
        let age = std::fs::metadata(file).and_then(|found| found.modified()).ok().and_then(|time| time.elapsed().ok());
        matches!((age, self.lifetime), (Some(age), Some(lifetime)) if age > lifetime)
    }

    /// A file that cannot be written costs time in the next run and nothing else.
    pub(crate) fn store(&self, host: &str, facts: &Map) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let file = self.file(host);
        let partial = self.folder.join(format!(".{}.{}", std::process::id(), host.replace('/', "_")));
        std::fs::write(&partial, Value::map(facts.clone()).to_json_pretty())?;
        std::fs::rename(partial, file)
    }

    pub(crate) fn forget(&self, host: &str) {
        // It may never have been there.
        let _ = std::fs::remove_file(self.file(host));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_found_again_until_they_are_old() {
        let dir = tempfile::tempdir().unwrap();
        let cache = FactCache { folder: dir.path().join("facts"), prefix: "p_".into(), lifetime: None, is_flushed: false };
        let facts = Map::from_iter([("ansible_os_family".into(), Value::from("Debian"))]);
        assert_eq!(cache.load("web/1"), None);
        cache.store("web/1", &facts).unwrap();
        assert_eq!(cache.load("web/1"), Some(facts));
        assert!(dir.path().join("facts/p_web_1").is_file());
        assert_eq!(FactCache { lifetime: Some(Duration::ZERO), ..cache.clone() }.load("web/1"), None);
        cache.forget("web/1");
        assert_eq!(cache.load("web/1"), None);
    }
}
