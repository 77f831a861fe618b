//! Modules that playbooks name and that are not built in.

use crate::diag::closest;
use crate::modules;

/// Short names of modules that are known to exist, one a line, sorted. Those that are built in meanwhile may stay: they are found
/// before this list is asked.
static KNOWN: &str = include_str!("elsewhere.txt");

fn is_listed(name: &str) -> bool {
    KNOWN.lines().any(|known| known == name)
}

/// Whether a module of this name may exist. Of a collection that is built in, a name that is nearly one of its modules is a slip.
pub(super) fn is_known(name: &str) -> bool {
    let Some((collection, short)) = name.rsplit_once('.') else { return is_listed(name) };
    match collection {
        "ansible.builtin" | "ansible.legacy" => is_listed(short),
        _ => {
            let own = modules::rows().filter(|module| module.collection == collection).map(|module| module.name);
            is_listed(short) || collection.contains('.') && closest(short, own).is_none()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_may_exist_and_slips_do_not() {
        assert!(is_known("nagios") && is_known("win_ping") && is_known("ansible.builtin.zfs"));
        assert!(is_known("zypper") && is_known("community.general.zypper") && is_known("my.own.thing"));
        assert!(!is_known("comand") && !is_known("ansible.builtin.comand") && !is_known("community.docker.docker_contianer"));
        assert!(KNOWN.lines().is_sorted());
    }
}
