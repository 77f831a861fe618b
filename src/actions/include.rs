//! `include_tasks` and `include_role`: what to add is known only while the play runs.

use super::{Answer, Effect, Hands, Problem};
use crate::modules::{Args, Failure};
use crate::playbook::Parts;
use crate::value::{Map, Value};

pub(super) fn tasks(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let name = args.text("file").or_else(|| args.text("_raw_params")).unwrap_or_default();
    let path = hands.find("tasks", name.trim()).map_err(|problem| {
        let reason = problem.failure.msg.clone();
        let mut failure = Failure::new(reason.clone()).with("include", name.trim()).with("reason", reason);
        failure.values.insert("changed".into(), Value::Bool(false));
        Problem { failure, ..problem }
    })?;
    let values = Map::from_iter([("include".into(), Value::from(path.to_string_lossy().into_owned()))]);
    Ok(Answer { values, effect: Some(Effect::IncludeTasks { path, apply: args.dict("apply").cloned() }) })
}

pub(super) fn role(args: &Args) -> Result<Answer, Problem> {
    let part = |name| args.text(name).map_or_else(|| "main".to_owned(), |text| text.to_string());
    let parts = Parts {
        tasks: part("tasks_from"),
        vars: part("vars_from"),
        defaults: part("defaults_from"),
        handlers: part("handlers_from"),
        is_validated: args.bool("rolespec_validate"),
        may_repeat: args.bool("allow_duplicates"),
    };
    let effect = Effect::IncludeRole {
        name: args.required("name")?.to_owned(),
        parts,
        apply: args.dict("apply").cloned(),
        public: args.bool("public"),
    };
    Ok(Answer { values: Map::new(), effect: Some(effect) })
}
