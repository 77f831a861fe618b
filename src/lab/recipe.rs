//! What the lab's images are made of: one row an image, its script beside it in `recipe/`.

/// The Debian release of every machine in the lab.
pub(super) const SUITE: &str = "bookworm";

/// What an image starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parent {
    /// A bare Debian.
    Base,
    /// Another image of the lab.
    Image(&'static str),
}

/// How to make one image: run a script in its parent.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) what: &'static str,
    pub(super) parent: Parent,
    pub(super) script: &'static str,
    /// What a container of it runs.
    pub(super) command: &'static [&'static str],
    pub(super) env: &'static [&'static str],
}

/// Boots systemd.
const INIT: &[&str] = &["/sbin/init"];

/// The machine that stands for an EC2 instance; every other machine adds something to it.
pub(super) const HOST: Recipe = Recipe {
    what: "host",
    parent: Parent::Base,
    script: include_str!("recipe/host.sh"),
    command: INIT,
    env: &["container=docker"],
};

pub(super) const BALANCER: Recipe = Recipe {
    what: "balancer",
    parent: Parent::Image("host"),
    script: include_str!("recipe/balancer.sh"),
    command: INIT,
    env: &[],
};

pub(super) const SERVICES: Recipe = Recipe {
    what: "services",
    parent: Parent::Image("host"),
    script: include_str!("recipe/services.sh"),
    command: INIT,
    env: &[],
};

/// The registry's program alone; what it serves is pushed into it afterwards.
pub(super) const REGISTRY: Recipe = Recipe {
    what: "registry-empty",
    parent: Parent::Image("host"),
    script: include_str!("recipe/registry.sh"),
    command: INIT,
    env: &[],
};

const PYTHON_3_11: Recipe = Recipe {
    what: "python-3.11",
    parent: Parent::Base,
    script: include_str!("recipe/python.sh"),
    command: &["python3"],
    env: &["LANG=C.UTF-8", "PIP_CERT=/etc/ssl/certs/ca-certificates.crt", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
};

const DEBIAN: Recipe = Recipe { what: "debian", parent: Parent::Base, script: "true\n", command: &["bash"], env: &[] };

/// Adds what this machine trusts to an image that was pulled.
pub(super) const TRUST: &str = include_str!("recipe/trust.sh");

/// An image that Dockerfiles name, and how the lab makes it where it cannot be pulled.
pub(super) struct Served {
    /// Its usual names, without the registry; the first one is the one pulled where that is possible.
    pub(super) names: &'static [&'static str],
    pub(super) made_by: &'static Recipe,
}

/// What the lab's registry serves.
pub(super) const SERVED: &[Served] = &[
    Served {
        names: &["python:3.11-slim", "python:3.11-slim-bookworm", "python:3.11", "python:3.11-bookworm"],
        made_by: &PYTHON_3_11,
    },
    Served { names: &["debian:bookworm-slim", "debian:bookworm", "debian:12-slim", "debian:12"], made_by: &DEBIAN },
];

/// Every recipe, for looking up parents.
const ALL: &[&Recipe] = &[&HOST, &BALANCER, &SERVICES, &REGISTRY, &PYTHON_3_11, &DEBIAN];

pub(super) fn recipe(what: &str) -> Option<&'static Recipe> {
    ALL.iter().copied().find(|recipe| recipe.what == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parent_is_a_recipe_and_every_chain_ends_at_the_base() {
        for start in ALL {
            let mut at = *start;
            let mut steps = 0;
            while let Parent::Image(parent) = at.parent {
                at = recipe(parent).unwrap_or_else(|| panic!("`{}` starts from an unknown `{parent}`", at.what));
                steps += 1;
                assert!(steps <= ALL.len(), "`{}` starts from itself", start.what);
            }
        }
    }

    #[test]
    fn every_served_name_has_a_tag_and_is_served_once() {
        let names: Vec<_> = SERVED.iter().flat_map(|served| served.names).collect();
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(names.len(), distinct.len());
        assert!(names.iter().all(|name| name.contains(':') && !name.contains('/')));
    }

    #[test]
    fn scripts_stop_at_the_first_failure_and_bring_no_docker_or_python_to_a_host() {
        assert!(ALL.iter().all(|recipe| !recipe.script.contains("|| true")));
        for word in ["docker", "python"] {
            assert!(!HOST.script.contains(word), "the host must not bring {word}");
        }
    }
}
