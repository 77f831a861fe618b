//! `vars_files`: files whose names may depend on the host.

use super::frame::Frame;
use super::plays::PlayRun;
use super::{Run, locked, magic};
use crate::diag::{Diagnostic, Span};
use crate::playbook::Play;
use crate::playbook::task::texts;
use crate::value::{Map, Value};
use crate::vars::{Ground, View};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The entries of one play.
#[derive(Debug, Default)]
pub(crate) struct VarsFiles {
    /// Each is a name, or a list of names of which the first that exists counts.
    entries: Vec<Value>,
    span: Span,
    dir: PathBuf,
    /// Of a file that was read already, its variables, or why there are none.
    read: Mutex<HashMap<PathBuf, Read>>,
    /// What was complained about already.
    said: Mutex<HashSet<String>>,
    /// Hosts whose files are being looked up: a name that needs `hostvars` may come back here.
    open: Mutex<HashSet<String>>,
    /// Hosts with a file that cannot be read: nothing runs there.
    broken: Mutex<HashMap<String, Box<Diagnostic>>>,
}

type Read = Result<Arc<Map>, Box<Diagnostic>>;

impl VarsFiles {
    pub(crate) fn new(play: &Play) -> VarsFiles {
        let Some(written) = play.context.keywords.get("vars_files") else { return VarsFiles::default() };
        let entries = match &written.value {
            Value::Null => Vec::new(),
            Value::List(items) => items.to_vec(),
            other => vec![other.clone()],
        };
        VarsFiles { entries, span: written.span, dir: play.dir.clone(), ..VarsFiles::default() }
    }

    fn is_for_hosts(&self) -> bool {
        self.entries.iter().any(Value::has_template)
    }

    /// For what a play says about itself: a file whose name needs a host is left out.
    pub(crate) fn of_play(&self, run: &Run, play: &Play, ground: &mut Ground) -> Result<(), Box<Diagnostic>> {
        for entry in &self.entries {
            let rendered = Frame::of_ground(run, ground, &play.context).render(entry);
            if let Ok(names) = rendered {
                self.add(run, &names, !self.is_for_hosts(), ground)?;
            }
        }
        Ok(())
    }

    /// Why a host has not all of its variables.
    pub(crate) fn problem_of(&self, host: &str) -> Option<Box<Diagnostic>> {
        locked(&self.broken).get(host).cloned()
    }

    /// The ground that one host stands on, where names may differ.
    pub(crate) fn of_host(&self, run: &Run, play: &PlayRun, host: &str, ground: &Ground) -> Option<Ground> {
        if !self.is_for_hosts() || !locked(&self.open).insert(host.to_owned()) {
            return None;
        }
        let store = run.store.read().unwrap_or_else(PoisonError::into_inner).host(host);
        let magic = Arc::new(magic::magic(run, play, host, None));
        let mut own = Ground { play_files: Vec::new(), ..ground.clone() };
        own.play_files.extend(play.answers.clone());
        for entry in &self.entries {
            let view = View::new(&own, &play.play.context, &store, magic.clone(), &run.inventory_layers(host));
            // What is not known yet may be known once there are facts.
            if let Ok(names) = Frame::new(run, play, host, view).render(entry)
                && let Err(diagnostic) = self.add(run, &names, true, &mut own)
            {
                locked(&self.broken).insert(host.to_owned(), diagnostic);
            }
        }
        locked(&self.open).remove(host);
        Some(own)
    }

    fn add(&self, run: &Run, names: &Value, is_final: bool, ground: &mut Ground) -> Result<(), Box<Diagnostic>> {
        let names = texts(names);
        match names.iter().map(|name| self.dir.join(name)).find(|path| path.is_file()) {
            Some(path) => ground.play_files.insert(0, self.variables(run, &path)?),
            None if is_final => self.missing(run, &names),
            None => {}
        }
        Ok(())
    }

    fn variables(&self, run: &Run, path: &std::path::Path) -> Read {
        if let Some(known) = locked(&self.read).get(path) {
            return known.clone();
        }
        let mut reader = locked(&run.reader);
        let map = Arc::new(reader.variables(path, self.span).unwrap_or_default());
        let found = reader.take_diagnostics();
        drop(reader);
        let (mut errors, warnings): (Vec<Diagnostic>, Vec<Diagnostic>) = found.into_iter().partition(Diagnostic::is_error);
        warnings.into_iter().for_each(|diagnostic| run.warn(diagnostic));
        run.emitter.hide(&Value::Map(map.clone()));
        let read = if errors.is_empty() { Ok(map) } else { Err(Box::new(errors.swap_remove(0))) };
        locked(&self.read).insert(path.to_owned(), read.clone());
        read
    }

    fn missing(&self, run: &Run, names: &[String]) {
        let names = names.join(", ");
        if locked(&self.said).insert(names.clone()) {
            let title = format!("`vars_files`: none of {names} exists");
            run.warn(Diagnostic::warning("unreadable-file", title).at(self.span, "named here"));
        }
    }
}
