//! What Terraform made, as hosts: a directory, outputs, a state, or a YAML file that says how to read them.
//!
//! The output `roll_hosts` needs no mapping, and neither do the `ansible_host` and `ansible_group` resources of the Ansible provider; a file with
//! `plugin: terraform` maps everything else (`mapping`). All outputs are the variable `terraform` of every host, sensitive ones as
//! secrets. All of it is data: nothing that Terraform says is ever templated.

mod convention;
mod expression;
mod made;
mod mapping;

pub(super) use mapping::read as read_mapping;

use super::problem::TerraformProblem;
use super::{Given, Loading};
use crate::diag::closest;
use crate::value::{Map, Value};
use made::{Made, Program};

/// The names under which a YAML inventory asks for this source.
pub(super) const PLUGINS: [&str; 3] = ["terraform", "cloud.terraform.terraform_provider", "cloud.terraform.terraform_state"];

pub(super) fn is_for(given: &Given) -> bool {
    if given.is_file() { made::is_terraform(given.text(), given.extension()) } else { made::is_directory(&given.path) }
}

pub(super) fn read(loading: &mut Loading<'_>, given: &Given) {
    match Made::read(&given.path, &Program::usual()) {
        Ok(mut made) => read_made(loading, given, &mut made),
        Err(problem) => loading.report(&problem),
    }
}

/// Takes the hosts that need no mapping.
fn read_made(loading: &mut Loading<'_>, given: &Given, made: &mut Made) {
    set_outputs(loading, made);
    if !made.outputs.contains_key(convention::OUTPUT) {
        made.read_resources();
    }
    match convention::read(loading, made) {
        Ok(true) => {}
        Ok(false) => {
            let near = closest(convention::OUTPUT, made.outputs.keys().filter_map(|name| name.as_str())).map(str::to_owned);
            let instances = made.addresses("aws_instance");
            let is_empty = made.outputs.is_empty() && made.resources.is_empty();
            loading.report(&TerraformProblem::NoHosts { path: given.path.clone(), near, instances, is_empty }.into());
        }
        Err(problem) => loading.report(&problem),
    }
}

/// Makes the outputs variables of all hosts; those of several sources are put together.
fn set_outputs(loading: &mut Loading<'_>, made: &Made) {
    let known = loading.inventory.groups.get("all").and_then(|group| group.vars.get("terraform"));
    let mut outputs: Map = known.and_then(Value::as_map).cloned().unwrap_or_default();
    outputs.extend(made.outputs.clone());
    loading.inventory.set_group_var("all", "terraform", Value::map(outputs));
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Reads a text as if it were a file; whether it was Terraform's at all.
    pub(in super::super) fn read_made_of(loading: &mut Loading<'_>, text: &str) -> bool {
        let path = std::path::PathBuf::from("outputs.json");
        match Made::of_text(text, &path) {
            Ok(mut made) => {
                read_made(loading, &Given { name: "outputs.json".to_owned(), path, text: None }, &mut made);
                true
            }
            Err(problem) => {
                loading.report(&problem);
                false
            }
        }
    }
}
