//! Tasks that are added while a play runs.

use super::plays::{PlayRun, selected};
use super::{Run, locked};
use crate::diag::Diagnostic;
use crate::event::Event;
use crate::playbook::keyword::{Keywords, find};
use crate::playbook::{Context, Parts, Program, Role, Task};
use crate::strategy::Host;
use crate::value::{Map, Value};
use std::path::PathBuf;
use std::sync::Arc;

/// What one host wants included; hosts that want the same share it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Include {
    pub(crate) what: What,
    pub(crate) apply: Option<Map>,
    /// Loop variables and the like: parameters of the include.
    pub(crate) params: Map,
    /// What the output calls the item of its loop.
    pub(crate) label: Option<Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    Tasks(PathBuf),
    Role { name: String, parts: Parts, public: bool },
}

impl Include {
    pub(crate) fn shown(&self) -> String {
        match &self.what {
            What::Tasks(path) => {
                std::path::absolute(path).unwrap_or_else(|_| path.clone()).components().collect::<PathBuf>().display().to_string()
            }
            What::Role { name, .. } => name.clone(),
        }
    }
}

/// Hosts with equal includes together, in the order of the first host of each.
pub(crate) fn grouped(includes: Vec<(Host, Include)>) -> Vec<(Include, Vec<Host>)> {
    let mut groups: Vec<(Include, Vec<Host>)> = Vec::new();
    for (host, include) in includes {
        match groups.iter_mut().find(|(group, hosts)| *group == include && !hosts.contains(&host)) {
            Some((_, hosts)) => hosts.push(host),
            None => groups.push((include, vec![host])),
        }
    }
    groups
}

/// The steps of an include. What is wrong in its files is found here.
pub(crate) fn read(run: &Run, play: &PlayRun, task: &Task, include: &Include) -> Result<Program, Vec<Diagnostic>> {
    let context = Arc::new(context(task, include));
    let mut reader = locked(&run.reader);
    let (role, items) = reader.within(&play.playbook, |reader| match &include.what {
        What::Tasks(path) => (None, reader.tasks_file(path, &context, task.span, task.is_handler).unwrap_or_default()),
        What::Role { name, parts, .. } => {
            let found = reader.included_role(name, parts, &context, &task.file, task.span);
            found.map_or_else(Default::default, |(role, items)| (Some(role), items))
        }
    });
    let found = reader.take_diagnostics();
    let handlers = reader.take_handlers();
    let imported = reader.take_imported();
    drop(reader);
    if found.iter().any(Diagnostic::is_error) {
        return Err(found);
    }
    if let Ok(mut known) = play.handlers.write() {
        known.extend(handlers);
    }
    let mut program = Program::default();
    program.add(&selected(run, &items), None);
    imported.iter().for_each(|role| publish(play, role));
    if let Some(role) = role.filter(|_| matches!(include.what, What::Role { public: true, .. })) {
        publish(play, &role);
    }
    Ok(program)
}

/// The role's variables stay for the rest of the play.
fn publish(play: &PlayRun, role: &Role) {
    if let Ok(mut ground) = play.ground.write() {
        ground.role_defaults.insert(0, role.defaults.clone());
        ground.role_vars.insert(0, role.vars.clone());
    }
}

/// The tasks stand where the include stands. Of its own keywords they get the variables, and what `apply` says.
fn context(task: &Task, include: &Include) -> Context {
    let mut keywords = Keywords::new();
    // As strong as parameters: stronger than facts and registered results.
    let mut params = include.params.clone();
    if let Some(Value::Map(vars)) = task.own("vars").map(|written| &written.value) {
        params.extend(vars.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    for (key, value) in include.apply.iter().flatten() {
        if let Some(keyword) = key.as_str().and_then(find) {
            keywords.insert(keyword.name, value.clone().into());
        }
    }
    Context { keywords, params, parent: task.context.parent.clone(), ..Context::default() }
}

/// A broken include fails its hosts.
pub(crate) fn report(run: &Run, host: &str, task: u64, problems: &[Diagnostic]) {
    for diagnostic in problems {
        run.emitter.emit(&Event::Explained { host: host.to_owned(), diagnostic: diagnostic.clone() });
    }
    let msg = problems.first().map(|problem| problem.title.clone()).unwrap_or_default();
    let result = Map::from_iter([("msg".into(), Value::from(msg)), ("failed".into(), Value::Bool(true))]);
    run.emitter.emit(&Event::HostEnded { host: host.to_owned(), task, outcome: crate::event::Outcome::Failed, result });
}
