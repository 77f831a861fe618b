//! What templates see for one task on one host.

use super::plays::PlayRun;
use super::{Run, magic, said};
use crate::actions::Problem;
use crate::diag::{Diagnostic, Span};
use crate::inventory::Inventory;
use crate::modules::Args;
use crate::modules::clock::Clock;
use crate::playbook::{Context, Task};
use crate::template::{self, FileOptions, Scope, World};
use crate::value::{Map, Text, Value};
use crate::vars::{Ground, HostStore, View};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// A view with everything that rendering needs. Cheap to make.
pub(crate) struct Frame<'a> {
    run: &'a Run,
    play: Option<&'a PlayRun>,
    host: Option<String>,
    view: View,
    /// Directories that relative names are searched in, without their folder.
    places: Vec<PathBuf>,
    /// For the templates of a task: whom it goes to. They see an address even where no variable gives one.
    target: Option<String>,
    /// For these, too: what keywords and options say about the connection, by the names of the variables that would say it.
    reached: Map,
}

/// Names that no playbook has, for the call that stands for `with_KIND`.
const TERMS: &str = "__roll_terms";
const KIND: &str = "__roll_kind";

/// The variables of a task on a host.
pub(crate) fn view(run: &Run, play: &PlayRun, host: &str, task: &Task) -> View {
    view_in(run, play, host, &task.context, Some(task))
}

fn view_in(run: &Run, play: &PlayRun, host: &str, context: &Context, task: Option<&Task>) -> View {
    let ground = play.ground.read().unwrap_or_else(PoisonError::into_inner).clone();
    let ground = play.files.of_host(run, play, host, &ground).unwrap_or(ground);
    let store = run.store.read().unwrap_or_else(PoisonError::into_inner).host(host);
    View::new(&ground, context, &store, Arc::new(magic::magic(run, play, host, task)), &run.inventory_layers(host))
}

impl<'a> Frame<'a> {
    pub(crate) fn new(run: &'a Run, play: &'a PlayRun, host: &str, view: View) -> Frame<'a> {
        Frame {
            run,
            play: Some(play),
            host: Some(host.to_owned()),
            view,
            places: vec![play.play.dir.clone()],
            target: None,
            reached: Map::new(),
        }
    }

    /// For what a play says about itself, before it has hosts.
    pub(crate) fn of_play(run: &'a Run, play: &'a PlayRun) -> Frame<'a> {
        let ground = play.ground.read().unwrap_or_else(PoisonError::into_inner).clone();
        Frame { play: Some(play), ..Frame::of_ground(run, &ground, &play.play.context) }
    }

    pub(crate) fn of_ground(run: &'a Run, ground: &Ground, context: &Context) -> Frame<'a> {
        let magic = Map::from_iter([("groups".into(), magic::groups(run))]);
        let everywhere = run.inventory_layers("");
        let view = View::new(ground, context, &HostStore::default(), Arc::new(magic), &everywhere);
        Frame { run, play: None, host: None, view, places: Vec::new(), target: None, reached: Map::new() }
    }

    /// The same with stronger variables on top.
    pub(crate) fn over(&self, top: Map) -> Frame<'a> {
        Frame {
            run: self.run,
            play: self.play,
            host: self.host.clone(),
            view: self.view.over(top),
            places: self.places.clone(),
            target: self.target.clone(),
            reached: self.reached.clone(),
        }
    }

    /// How the host that a task is delegated to is reached: its connection variables, not the task's host's.
    pub(crate) fn of_delegate(&self, host: &str, play: &'a PlayRun, task: &Task) -> Frame<'a> {
        Frame {
            run: self.run,
            play: Some(play),
            host: Some(host.to_owned()),
            view: view(self.run, play, host, task),
            places: self.places.clone(),
            target: None,
            reached: Map::new(),
        }
    }

    /// What the variables of another host say about its address.
    pub(crate) fn address_of(&self, host: &str) -> Option<String> {
        let there = Scope::of_host(self, host)?;
        let written = there.get("ansible_host")?;
        self.render(&written).ok().map(|address| address.to_text().to_string())
    }

    pub(crate) fn render(&self, value: &Value) -> Result<Value, Problem> {
        template::finalize(value, self, self).map_err(|error| said::failed(&error))
    }

    /// `None` where the argument is to be left out (`omit`).
    pub(crate) fn argument(&self, value: &Value) -> Result<Option<Value>, Problem> {
        template::finalize_argument(value, self, self).map_err(|error| said::failed(&error))
    }

    pub(crate) fn expression(&self, text: &str) -> Result<Value, Problem> {
        template::expression(text, Span::NOWHERE, self, self).map_err(|error| said::failed(&error))
    }

    /// The first condition that does not hold, if any. A list must hold as a whole.
    /// `written` is where it stands, for what carries no place itself.
    pub(crate) fn conditions(&self, condition: &Value, written: Span) -> Result<Option<Value>, Problem> {
        let (text, span) = match condition {
            Value::Null => return Ok(None),
            Value::Bool(truth) => return Ok((!truth).then(|| condition.clone())),
            Value::List(items) => {
                for item in items.iter() {
                    if let Some(failed) = self.conditions(item, Span::NOWHERE)? {
                        return Ok(Some(failed));
                    }
                }
                return Ok(None);
            }
            Value::Template(template) => (template.text.clone(), template.span),
            other => (other.to_text().as_str().to_owned(), written),
        };
        let holds = template::condition(&text, span, self, self).map_err(|error| said::undecided(&error, &text))?;
        Ok((!holds).then(|| Value::from(text)))
    }

    /// What a keyword comes to for a task. Where it says `omit`, the next outer one counts.
    pub(crate) fn keyword(&self, task: &Task, name: &str) -> Result<Option<Value>, Problem> {
        for written in task.context.chain().filter_map(|context| context.keywords.get(name)) {
            let rendered = self.argument(&written.value).map_err(|problem| said::in_keyword(problem, name))?;
            if let Some(value) = rendered {
                return Ok((!value.is_null()).then_some(value));
            }
        }
        Ok(None)
    }

    /// A connection variable, rendered.
    pub(crate) fn text(&self, name: &str) -> Result<Option<Text>, Problem> {
        let Some(value) = self.view.get(name) else { return Ok(None) };
        let rendered = self.render(&value)?;
        Ok((!rendered.is_null()).then(|| rendered.to_text()))
    }

    /// The items of `with_KIND`; files are looked for in `folder`.
    pub(crate) fn with_items(&self, kind: &str, value: &Value, folder: &str) -> Result<Vec<Value>, Problem> {
        let rendered = if kind.ends_with("first_found") { self.known(value)?.unwrap_or_default() } else { self.render(value)? };
        let value_is_no_list = !matches!(rendered, Value::List(_));
        let terms = match rendered {
            Value::List(items) => Value::List(items),
            _ if kind.rsplit('.').next() == Some("indexed_items") => {
                return Err(Problem::new("with_indexed_items expects a list"));
            }
            other if kind.rsplit('.').next() == Some("list") => {
                return Err(Problem::new(format!("with_list expects a list, got a {}", other.kind())));
            }
            other => Value::list(vec![other]),
        };
        let kind = kind.rsplit('.').next().unwrap_or(kind);
        if kind == "list" && value_is_no_list {
            return Err(Problem::new("with_list expects a list"));
        }
        let frame = self.over(Map::from_iter([(TERMS.into(), terms), (KIND.into(), Value::from(kind))]));
        let place = if kind == "first_found" { format!(", _folder='{folder}'") } else { String::new() };
        let answer = frame.expression(&format!("query({KIND}, *{TERMS}{place})"))?;
        match answer {
            Value::List(items) => Ok(items.to_vec()),
            other => Ok(vec![other]),
        }
    }

    /// The value without those parts whose names are not known: a file with such a name is a file that is not there.
    fn known(&self, value: &Value) -> Result<Option<Value>, Problem> {
        match value {
            Value::Template(_) => match template::finalize(value, self, self) {
                Ok(value) => Ok(Some(value)),
                Err(error) if error.is_undefined() => Ok(None),
                Err(error) => Err(said::failed(&error)),
            },
            Value::List(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(|item| self.known(item)).collect();
                Ok(Some(items?.into_iter().flatten().collect()))
            }
            Value::Map(entries) => {
                let mut known = Map::new();
                for (key, value) in entries.iter() {
                    known.extend(self.known(value)?.map(|value| (key.clone(), value)));
                }
                Ok(Some(Value::map(known)))
            }
            other => Ok(Some(other.clone())),
        }
    }

    pub(crate) fn render_file(&self, text: &str, path: &Path, options: &Args) -> Result<String, Problem> {
        let source = self.run.sources.add(path.to_string_lossy().into_owned(), text.to_owned());
        let options_dest = options.get("dest").cloned().unwrap_or_default();
        let options = file_options(source, path, options);
        let top = Map::from_iter([
            ("ansible_managed".into(), Value::from("Ansible managed")),
            ("template_path".into(), path.to_string_lossy().into_owned().into()),
            (
                "template_fullpath".into(),
                std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned().into(),
            ),
            ("template_host".into(), Value::from(node_name())),
            ("template_destpath".into(), options_dest),
        ]);
        let top: Map = top.into_iter().chain(dates(path)).collect();
        // What the user sets himself counts more than these.
        let top = top.into_iter().filter(|(name, _)| name.as_str().is_none_or(|name| self.view.get(name).is_none())).collect();
        let frame = self.over(top);
        template::render_file(text, &options, &frame, &frame)
            .map(|text| text.as_str().to_owned())
            .map_err(|error| said::in_argument(said::failed(&error)))
    }

    /// Whether no inventory names the host.
    pub(crate) fn is_implicit(&self, host: &str) -> bool {
        !self.run.inventory.read().unwrap_or_else(PoisonError::into_inner).hosts.contains_key(host)
    }

    /// The same frame, searching where this task searches.
    #[must_use]
    pub(crate) fn for_task(mut self, task: &Task, play: &PlayRun) -> Frame<'a> {
        let mut places: Vec<PathBuf> =
            task.context.chain().filter_map(|context| context.role.as_ref()).map(|role| role.path.clone()).collect();
        places.extend(task.file.parent().map(Path::to_owned));
        places.push(play.play.dir.clone());
        self.places = places;
        self.reached = self.reached_by(task);
        let delegate = task.keyword("delegate_to").and_then(|written| written.value.as_str().map(str::to_owned));
        self.target = delegate.or_else(|| self.host.clone());
        self
    }

    fn reached_by(&self, task: &Task) -> Map {
        let options = &self.run.options;
        let keyword = |name: &str| self.keyword(task, name).ok().flatten();
        let connection = keyword("connection").or(options.connection.clone().map(Value::from));
        let connection = connection.filter(|name| !matches!(name.as_str(), Some("smart" | "paramiko" | "paramiko_ssh")));
        let key = options.key_file.as_ref().map(|path| Value::from(path.to_string_lossy().into_owned()));
        let rows = [
            ("ansible_connection", connection),
            ("ansible_user", keyword("remote_user").or(options.remote_user.clone().map(Value::from))),
            ("ansible_private_key_file", key),
        ];
        rows.into_iter().filter_map(|(name, value)| Some((name.into(), value?))).collect()
    }

    /// What no variable says about the connection, but the run knows, or a variable of the older name.
    fn of_connection(&self, name: &str) -> Option<Value> {
        let target = self.target.as_deref()?;
        let is_here = || super::target::is_here(target) && self.is_implicit(target);
        let (first, other) = match name {
            "ansible_connection" => {
                let usual = || if is_here() { "local".into() } else { "ssh".into() };
                return Some(self.reached.get(name).cloned().unwrap_or_else(usual));
            }
            "ansible_host" | "ansible_ssh_host" => ("ansible_host", "ansible_ssh_host"),
            "ansible_user" | "ansible_ssh_user" => ("ansible_user", "ansible_ssh_user"),
            "ansible_port" | "ansible_ssh_port" => ("ansible_port", "ansible_ssh_port"),
            "ansible_private_key_file" | "ansible_ssh_private_key_file" => {
                ("ansible_private_key_file", "ansible_ssh_private_key_file")
            }
            _ => return None,
        };
        let partner = if name == first { other } else { first };
        self.view.get(partner).or_else(|| match first {
            "ansible_host" if is_here() => Some("127.0.0.1".into()),
            "ansible_host" => Some(target.into()),
            _ => self.reached.get(first).cloned(),
        })
    }
}

fn node_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}

/// When a template was changed, by whom, and now.
fn dates(path: &Path) -> Map {
    let stamp = |time: SystemTime| {
        let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        Value::from(Clock::here().local(seconds).format("%Y-%m-%d %H:%M:%S.%f"))
    };
    let found = std::fs::metadata(path).ok();
    let changed = found.as_ref().and_then(|found| found.modified().ok());
    let owner = found.map(|found| found.uid().to_string()).unwrap_or_default();
    let owner = account(&owner).unwrap_or(owner);
    Map::from_iter([
        ("template_mtime".into(), changed.map(stamp).unwrap_or_default()),
        ("template_uid".into(), owner.into()),
        ("template_run_date".into(), stamp(SystemTime::now())),
    ])
}

/// The name of a user of this machine.
fn account(uid: &str) -> Option<String> {
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find(|line| line.split(':').nth(2) == Some(uid)).and_then(|line| line.split(':').next().map(str::to_owned))
}

fn file_options(source: u32, path: &Path, args: &Args) -> FileOptions {
    let mut options = FileOptions { source, directory: path.parent().map(Path::to_owned), ..FileOptions::default() };
    options.trim_blocks = args.get("trim_blocks").is_none() || args.bool("trim_blocks");
    options.lstrip_blocks = args.bool("lstrip_blocks");
    if let Some(newline) = args.str("newline_sequence") {
        options.newline = newline.replace("\\r", "\r").replace("\\n", "\n");
    }
    let pair = |start: &str, end: &str, default: &(String, String)| {
        (
            args.str(start).map_or_else(|| default.0.clone(), str::to_owned),
            args.str(end).map_or_else(|| default.1.clone(), str::to_owned),
        )
    };
    options.block = pair("block_start_string", "block_end_string", &options.block);
    options.variable = pair("variable_start_string", "variable_end_string", &options.variable);
    options.comment = pair("comment_start_string", "comment_end_string", &options.comment);
    options
}

impl Scope for Frame<'_> {
    fn get(&self, name: &str) -> Option<Value> {
        match name {
            "vars" => Some(Value::map(self.view.flat())),
            "ansible_search_path" => {
                Some(self.places.iter().map(|place| Value::from(place.to_string_lossy().into_owned())).collect())
            }
            _ => self.view.get(name).or_else(|| self.of_connection(name)),
        }
    }

    fn names(&self) -> Vec<String> {
        self.view.names()
    }

    fn of_host(&self, host: &str) -> Option<Box<dyn Scope + '_>> {
        let play = self.play?;
        let is_known = self.run.inventory.read().unwrap_or_else(PoisonError::into_inner).host(host).is_some();
        is_known.then(|| {
            let view = view_in(self.run, play, host, &play.play.context, None);
            Box::new(Frame::new(self.run, play, host, view)) as Box<dyn Scope>
        })
    }

    fn has_hosts(&self) -> bool {
        true
    }

    fn hosts(&self) -> Vec<String> {
        self.run.inventory.read().unwrap_or_else(PoisonError::into_inner).hosts.keys().cloned().collect()
    }
}

impl World for Frame<'_> {
    fn search_paths(&self, folder: &str) -> Vec<PathBuf> {
        self.places.iter().flat_map(|place| [place.join(folder), place.clone()]).collect()
    }

    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        let opened = self.run.sources.open(std::fs::read(path)?).map_err(std::io::Error::other)?;
        if opened.is_secret {
            self.run.sources.keep_secret(String::from_utf8_lossy(&opened.bytes).trim().into());
        }
        Ok(opened.bytes)
    }

    fn open_vault(&self, vault: &str) -> Result<Text, String> {
        self.run.sources.open_value(vault)
    }

    fn keep_secret(&self, secret: &str) {
        self.run.sources.keep_secret(secret.into());
    }

    fn was_vaulted(&self, text: &str) -> bool {
        self.run.sources.has_opened(text)
    }

    fn setting(&self, name: &str) -> Option<Value> {
        self.run.options.settings.get(name).cloned()
    }

    fn hosts(&self, pattern: &str) -> Result<Vec<String>, String> {
        let inventory = self.run.inventory.read().unwrap_or_else(PoisonError::into_inner);
        let selection = inventory.select(pattern, Span::NOWHERE);
        match selection.diagnostics.into_iter().find(Diagnostic::is_error) {
            Some(diagnostic) => Err(diagnostic.title),
            None => Ok(selection.hosts),
        }
    }
}

impl Run {
    /// What the inventory says about a host, the strongest first. For no host: what holds for all.
    pub(crate) fn inventory_layers(&self, host: &str) -> Vec<Arc<Map>> {
        let known = super::locked(&self.layers).get(host).cloned();
        if let Some(layers) = known {
            return layers;
        }
        let inventory = self.inventory.read().unwrap_or_else(PoisonError::into_inner);
        let layers: Vec<Arc<Map>> = inventory.vars_of(host).into_iter().rev().map(|layer| Arc::new(layer.vars.clone())).collect();
        drop(inventory);
        super::locked(&self.layers).insert(host.to_owned(), layers.clone());
        layers
    }

    /// Changes the inventory; variables of who came new are read.
    pub(crate) fn change_inventory(&self, change: impl FnOnce(&mut Inventory)) {
        let mut inventory = self.inventory.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut inventory);
        let found = inventory.read_beside_newcomers(&self.sources).err().unwrap_or_default();
        drop(inventory);
        found.into_iter().for_each(|diagnostic| self.warn(diagnostic));
        super::locked(&self.layers).clear();
        *super::locked(&self.groups) = None;
    }
}
