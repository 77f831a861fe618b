//! One task for each item of its loop.

use super::frame::Frame;
use super::results::Verdict;
use super::said;
use super::work::{Effected, Tried, Work};
use crate::actions::{Effect, Problem};
use crate::event::{Event, Outcome};
use crate::playbook::keyword::Written;
use crate::value::{Map, Span, Value};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What `loop_control` says.
struct Control {
    loop_var: String,
    index_var: Option<String>,
    pause: f64,
    is_extended: bool,
    /// `ansible_loop.allitems` is left out where it would be too much.
    has_all_items: bool,
    label: Option<Value>,
    break_when: Option<Value>,
}

impl Control {
    fn new(written: Option<&Written>, frame: &Frame<'_>) -> Result<Control, Problem> {
        let map = written.and_then(|written| written.value.as_map().cloned()).unwrap_or_default();
        let rendered = |name: &str| map.get(name).map(|value| frame.render(value)).transpose();
        let word = |name: &str| {
            Ok::<_, Problem>(rendered(name)?.filter(|value| !value.is_null()).map(|value| value.to_text().to_string()))
        };
        let says =
            |name: &str, default: bool| Ok::<_, Problem>(rendered(name)?.and_then(|value| value.to_bool()).unwrap_or(default));
        Ok(Control {
            loop_var: word("loop_var")?.unwrap_or_else(|| "item".to_owned()),
            index_var: word("index_var")?,
            pause: rendered("pause")?.and_then(|value| value.to_float()).unwrap_or(0.0),
            is_extended: says("extended", false)?,
            has_all_items: says("extended_allitems", true)?,
            label: map.get("label").filter(|label| label.as_str() != Some("")).cloned(),
            break_when: map.get("break_when").cloned(),
        })
    }

    /// The variables of one turn.
    fn turn(&self, items: &[Value], index: usize) -> Map {
        let item = items.get(index).cloned().unwrap_or_default();
        let mut top = Map::from_iter([
            (self.loop_var.as_str().into(), item),
            ("ansible_loop_var".into(), Value::from(self.loop_var.as_str())),
        ]);
        if let Some(name) = &self.index_var {
            top.insert("ansible_index_var".into(), name.as_str().into());
            top.insert(name.as_str().into(), index.into());
        }
        if self.is_extended {
            top.insert("ansible_loop".into(), extended(items, index, self.has_all_items));
        }
        top
    }
}

/// Where a task looks for the files of `with_first_found`, beside the task's own place.
fn folder_of(action: &str) -> &'static str {
    match action {
        action if action.contains("template") => "templates",
        action if action.contains("var") => "vars",
        _ => "files",
    }
}

impl Work {
    pub(super) fn items(&self, frame: &Frame<'_>) -> Result<Option<Vec<Value>>, Problem> {
        if let Some((kind, written)) = &self.task.with {
            return frame.with_items(kind, &written.value, folder_of(&self.task.action.name)).map(Some);
        }
        let Some(written) = self.task.own("loop") else { return Ok(None) };
        match frame.render(&written.value)? {
            Value::List(items) => Ok(Some(items.to_vec())),
            other => Err(said::no_list(&other)),
        }
    }

    pub(super) async fn each(&self, frame: &Frame<'_>, items: &[Value], no_log: bool) -> Tried {
        let control = match Control::new(self.task.own("loop_control"), frame) {
            Ok(control) => control,
            Err(problem) => return self.failed(problem),
        };
        let mut all = Tried::default();
        let mut verdicts = Vec::new();
        // What one item sets, the next ones see.
        let mut renewed: Option<Frame<'_>> = None;
        // What is tried again is to be done again.
        let is_tried_once = ["until", "retries"].iter().all(|name| self.task.own(name).is_none());
        self.is_idle_loop.store(is_tried_once, Ordering::Relaxed);
        for index in 0..items.len() {
            if index > 0 && control.pause > 0.0 {
                tokio::time::sleep(Duration::from_secs_f64(control.pause.min(1.0e6))).await;
            }
            let top = control.turn(items, index);
            let inner = renewed.as_ref().unwrap_or(frame).over(top.clone());
            let Tried { mut verdict, effects, notify } = self.tries(&inner, &top, no_log).await;
            if verdict.is("changed") || verdict.is("failed") || verdict.is_unreachable {
                self.is_idle_loop.store(false, Ordering::Relaxed);
            }
            verdict.values.extend(top);
            let item = items.get(index).cloned().unwrap_or_default();
            let label = control.label.as_ref().and_then(|label| inner.render(label).ok()).unwrap_or(item);
            let label = if no_log { Value::from("(censored due to no_log)") } else { label };
            all.notify |= notify;
            let (now, later): (Vec<Effected>, Vec<Effected>) =
                effects.into_iter().partition(|effected| is_seen_at_once(&effected.effect));
            for effected in &now {
                self.carry_out(&inner, &effected.effect);
            }
            if !now.is_empty() || verdict.values.contains_key("ansible_facts") {
                renewed = Some(Frame::new(&self.run, &self.play, &self.host, self.view()).for_task(&self.task, &self.play));
            }
            all.effects.extend(later.into_iter().map(|effected| Effected { label: Some(label.clone()), ..effected }));
            self.show_item(&verdict, label, no_log);
            let is_lost = verdict.is_unreachable;
            let is_over = is_lost || self.is_broken(&control, &inner, &verdict);
            verdicts.push(verdict);
            if is_over {
                break;
            }
        }
        if verdicts.is_empty() {
            all.verdict = Verdict::of_no_items();
            return all;
        }
        all.verdict = Verdict::of_loop(verdicts);
        all
    }

    /// `break_when` sees the result of the item under its registered name.
    fn is_broken(&self, control: &Control, inner: &Frame<'_>, verdict: &Verdict) -> bool {
        let Some(condition) = &control.break_when else { return false };
        self.after(inner, verdict).conditions(condition, Span::NOWHERE).is_ok_and(|unmet| unmet.is_none())
    }

    fn show_item(&self, verdict: &Verdict, label: Value, no_log: bool) {
        let outcome = verdict.outcome(false);
        if self.is_include() && matches!(outcome, Outcome::Ok | Outcome::Changed) {
            return;
        }
        let result = verdict.shown(no_log);
        self.warn_of(&result);
        self.run.emitter.emit(&Event::ItemEnded { host: self.host.clone(), task: self.id, label, outcome, result });
    }
}

/// Variables that one item sets are there for the next one.
fn is_seen_at_once(effect: &Effect) -> bool {
    matches!(effect, Effect::SetFacts { .. } | Effect::IncludeVars(_))
}

/// `ansible_loop`, with `extended: true`.
fn extended(items: &[Value], index: usize, has_all_items: bool) -> Value {
    let count = items.len();
    let mut map = Map::new();
    let mut set = |name: &str, value: Value| drop(map.insert(name.into(), value));
    if has_all_items {
        set("allitems", Value::list(items.to_vec()));
    }
    set("index", (index + 1).into());
    set("index0", index.into());
    set("first", (index == 0).into());
    set("last", (index + 1 == count).into());
    set("length", count.into());
    set("revindex", (count - index).into());
    set("revindex0", (count - index - 1).into());
    if let Some(next) = items.get(index + 1) {
        set("nextitem", next.clone());
    }
    if let Some(previous) = index.checked_sub(1).and_then(|index| items.get(index)) {
        set("previtem", previous.clone());
    }
    map.into()
}
