//! Lookups of variables, settings and this machine.

use super::{Asked, Lookup, row, settings};
use crate::template::failure::{Problem, Res, fault};
use crate::template::runtime::{Val, from_value};

pub(super) const LOOKUPS: &[Lookup] = &[
    row("env", "an environment variable of this machine", env),
    row("vars", "a variable by a name that is put together", vars),
    row("varnames", "the names of variables that a pattern matches", varnames),
    row("config", "a setting", config),
    row("pipe", "what a command on this machine prints", pipe),
    row("lines", "the lines that a command on this machine prints", lines),
    row("inventory_hostnames", "the hosts that a pattern selects", hostnames),
];

fn env(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let default = asked.option("default").cloned();
    let names = asked.texts()?;
    let value = |name: &String| {
        let name = name.split_whitespace().next().unwrap_or("");
        match (asked.eval.world.environment(name), &default) {
            (Some(value), _) => Ok(Val::from(value)),
            (None, Some(default)) => Ok(default.clone()),
            (None, None) => Ok(Val::from("")),
        }
    };
    names.iter().map(value).collect()
}

fn vars(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let default = asked.option("default").cloned();
    if let Some(term) = asked.terms.iter().find(|term| !matches!(term, Val::Str(_) | Val::List(_) | Val::Tuple(_))) {
        let (shown, kind) = (term.to_text(), term.kind());
        return Err(format!("Invalid setting identifier, \"{}\" is not a string, its a <class '{kind}'>", shown.as_str()).into());
    }
    let names = asked.texts()?;
    let mut values = Vec::new();
    for name in names {
        values.push(match (asked.eval.variable(&name)?, &default) {
            (Some(value), _) => value,
            (None, Some(default)) => default.clone(),
            (None, None) => {
                let known = asked.eval.scope.names();
                let closest = crate::diag::closest(&name, known.iter().map(String::as_str));
                let closest = closest.map(|closest| format!("; a similar one is `{closest}`")).unwrap_or_default();
                return Err(fault(Problem::Hint { hint: format!("No variable found with this name: {name}{closest}") }));
            }
        });
    }
    Ok(values)
}

fn varnames(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let known = asked.eval.scope.names();
    let mut found = Vec::new();
    if let Some(term) = asked.terms.iter().find(|term| !matches!(term, Val::Str(_) | Val::List(_) | Val::Tuple(_))) {
        let (shown, kind) = (term.to_text(), term.kind());
        return Err(
            format!("Invalid setting identifier, \"{}\" is not a string, it is a <class '{kind}'>", shown.as_str()).into()
        );
    }
    for pattern in asked.texts()? {
        let regex = crate::template::filters::regex::compile(&pattern, false, false).map_err(|error| {
            let why = error.replace("Target of repeat operator is invalid", "nothing to repeat");
            format!("Unable to use \"{pattern}\" as a search parameter: {why}")
        })?;
        for name in &known {
            if regex.is_match(name).map_err(|error| crate::template::filters::regex::failed(&error))? {
                found.push(Val::from(name.as_str()));
            }
        }
    }
    Ok(found)
}

fn config(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let on_missing = asked.text_option("on_missing", "error");
    if !matches!(on_missing.as_str(), "error" | "warn" | "skip") {
        return Err(format!(
            "Invalid value '{on_missing}' for config 'on_missing' for 'config' lookup plugin: valid values are error, warn, skip"
        )
        .into());
    }
    let plugin = match (asked.option("plugin_type").cloned(), asked.option("plugin_name").cloned()) {
        (Some(kind), Some(name)) => Some(settings::plugin(&kind.to_text(), &name.to_text())?),
        (None, None) => None,
        _ => return Err("Both plugin_type and plugin_name are required, cannot use one without the other".into()),
    };
    let shows_origin = asked.flag("show_origin", false);
    let mut values = Vec::new();
    for term in asked.terms.clone() {
        let Val::Str(name) = &term else {
            let kind = term.kind();
            let shown = crate::template::calls::shown(&term);
            return Err(format!("Invalid setting identifier, {shown} is not a <class 'str'>, its a <class '{kind}'>.").into());
        };
        let found = match plugin {
            Some(plugin) => settings::of_plugin(asked.eval, plugin, name)?,
            None => asked.eval.world.setting(name).map(|value| (from_value(&value), "default".to_owned())),
        };
        match found {
            Some((value, origin)) if shows_origin => values.push(Val::list(vec![value, Val::from(origin)])),
            Some((value, _)) => values.push(value),
            None if on_missing == "error" => {
                let name = name.as_str();
                let why = if plugin.is_none() && name.chars().any(char::is_lowercase) {
                    "Invalid setting, their names are in capitals".to_owned()
                } else {
                    format!("No config definition exists for '{name}'.")
                };
                return Err(format!("Unable to find setting {name}: {why}").into());
            }
            None => {}
        }
    }
    Ok(values)
}

fn pipe(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let commands = asked.texts()?;
    let output = |command: &String| {
        let output = asked.eval.world.run(command)?;
        Ok(Val::from(String::from_utf8_lossy(&output).trim_end().to_owned()))
    };
    commands.iter().map(output).collect()
}

fn lines(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let mut lines = Vec::new();
    for command in asked.texts()? {
        let output = asked.eval.world.run(&command)?;
        lines.extend(String::from_utf8_lossy(&output).lines().map(Val::from));
    }
    Ok(lines)
}

fn hostnames(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let patterns = asked.texts()?.join(",");
    Ok(asked.eval.world.hosts(&patterns)?.into_iter().map(Val::from).collect())
}
