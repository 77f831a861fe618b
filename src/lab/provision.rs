//! What makes a booted container the machine it is: the key that may log in, name servers, and the service of its role.

use serde_json::json;
use tokio::task::JoinSet;

use super::engine::Engine;
use super::failure::LabError;
use super::machines::{Balancer, LOGIN_USER, Machine, Role, STATS_PORT, finished};
use super::outputs::{
    ADMIN_SOCKET, ADMIN_USER, APP_PORT, BACKEND, SECOND_PORT, SECOND_SERVER, Secrets, insecure_registries, registry,
};

/// What the machines of a lab need to know of it.
pub(super) struct Site {
    pub(super) public_key: String,
    /// The engine's own `resolv.conf`: the one it gives in the lab's network answers on a loopback address, which containers inside
    /// a machine cannot reach.
    pub(super) nameservers: String,
    pub(super) secrets: Secrets,
    pub(super) machines: Vec<Machine>,
    pub(super) balancer: Balancer,
    pub(super) has_second_port: bool,
}

/// Where the double of the load balancer's API gives HAProxy its orders: the lab's own network only.
pub(super) const ORDERS_PORT: u16 = 9999;

/// Sets up every machine at once.
pub(super) async fn all(engine: &Engine, site: &Site) -> Result<(), LabError> {
    let mut jobs = JoinSet::new();
    for machine in &site.machines {
        let (engine, container, script) = (engine.clone(), machine.container.clone(), script(machine, site));
        jobs.spawn(async move { engine.script(&container, &script).await });
    }
    finished(jobs).await.map(drop)
}

fn script(machine: &Machine, site: &Site) -> String {
    let mut script = String::from("umask 022\n");
    script.push_str(&file("/etc/resolv.conf", &site.nameservers));
    let keys = format!("/home/{LOGIN_USER}/.ssh/authorized_keys");
    script.push_str(&file(&keys, &site.public_key));
    script.push_str(&format!("chown {LOGIN_USER}: {keys}\nchmod 600 {keys}\n"));
    script.push_str(&match machine.role {
        Role::Web => web(site),
        Role::Balancer => balancer(site),
        Role::Redis => redis(&site.secrets),
        Role::Postgres => postgres(&site.secrets),
        Role::Registry => String::new(),
    });
    script
}

/// The lines of a script that write a file.
fn file(path: &str, content: &str) -> String {
    format!("cat > {path} <<'END_OF_FILE'\n{}\nEND_OF_FILE\n", content.trim_end())
}

/// For the Docker that will be installed: where images come from, and, on cgroup v1, a place for its containers' cgroups below the
/// machine's own, so that they go when it goes.
fn web(site: &Site) -> String {
    let registry = registry(&site.machines);
    let insecure = insecure_registries(&site.machines);
    let plain = json!({ "registry-mirrors": [format!("http://{registry}")], "insecure-registries": insecure });
    let mut nested = plain.clone();
    nested["cgroup-parent"] = json!("CGROUP/docker");
    format!(
        "mkdir -p /etc/docker\n\
         cgroup=$(sed -n 's/^[0-9]*:devices://p' /proc/1/cgroup | sed 's|/init.scope$||')\n\
         if [ \"${{cgroup:-/}}\" = / ]; then\n{}else\n{}sed -i \"s|CGROUP|$cgroup|\" /etc/docker/daemon.json\nfi\n",
        file("/etc/docker/daemon.json", &plain.to_string()),
        file("/etc/docker/daemon.json", &nested.to_string()),
    )
}

fn balancer(site: &Site) -> String {
    let is_driven = matches!(site.balancer, Balancer::Alb { .. });
    // Who is healthy and who gets requests is decided elsewhere then.
    let (words, checks) =
        if is_driven { (" disabled", "") } else { ("", "check inter 1s fastinter 1s downinter 1s rise 1 fall 2 ") };
    let orders = if is_driven { format!("stats socket ipv4@0.0.0.0:{ORDERS_PORT} level admin") } else { String::new() };
    let server = |name: &str, machine: &Machine, port: u16| format!("    server {name} {}:{port}{words}\n", machine.address);
    // The double of the API makes its own as they are registered.
    let has_second = site.has_second_port && !is_driven;
    let second = |machine: &Machine| {
        has_second.then(|| server(&format!("{}{SECOND_SERVER}", machine.name), machine, SECOND_PORT)).unwrap_or_default()
    };
    let servers: String = site
        .machines
        .iter()
        .filter(|machine| machine.role == Role::Web)
        .map(|machine| server(&machine.name, machine, APP_PORT) + &second(machine))
        .collect();
    let config = include_str!("recipe/haproxy.cfg")
        .replace("{socket}", ADMIN_SOCKET)
        .replace("{backend}", BACKEND)
        .replace("{stats_port}", &STATS_PORT.to_string())
        .replace("{orders}", &orders)
        .replace("{checks}", checks)
        .replace("{servers}", servers.trim_end());
    file("/etc/haproxy/haproxy.cfg", &config) + "systemctl enable --now haproxy.service\n"
}

fn redis(secrets: &Secrets) -> String {
    let settings = format!("\nbind 0.0.0.0\nprotected-mode no\nrequirepass {}", secrets.redis);
    format!(
        "cat >> /etc/redis/redis.conf <<'END_OF_FILE'\n{settings}\nEND_OF_FILE\n\
         systemctl enable --now redis-server.service\n\
         {}",
        until("printf 'AUTH %s\\nPING\\n' \"$secret\" | redis-cli | grep -q PONG", &secrets.redis)
    )
}

fn postgres(secrets: &Secrets) -> String {
    format!(
        "systemctl enable --now postgresql.service\n\
         {}\
         runuser -u postgres -- psql -q -v ON_ERROR_STOP=1 postgres <<'END_OF_FILE'\n\
         ALTER ROLE {ADMIN_USER} PASSWORD '{}';\n\
         END_OF_FILE\n",
        until("pg_isready -q", ""),
        secrets.database_admin,
    )
}

/// The lines of a script that wait up to 40 s for a command to succeed; `secret` is a variable in it.
fn until(command: &str, secret: &str) -> String {
    format!("secret='{secret}'\ntries=0\nuntil {command}; do\n  tries=$((tries + 1))\n  [ $tries -lt 200 ]\n  sleep 0.2\ndone\n")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn site() -> Site {
        let machine = |name: &str, role, last| Machine {
            name: name.into(),
            container: format!("roll-k3f9-{name}"),
            role,
            address: Ipv4Addr::new(192, 0, 2, last),
            is_running: true,
        };
        let machines = vec![machine("web1", Role::Web, 2), machine("web2", Role::Web, 3), machine("registry", Role::Registry, 9)];
        let secret = |text: &str| text.to_owned();
        let secrets =
            Secrets { database_admin: secret("a"), database_app: secret("b"), database_reader: secret("c"), redis: secret("d") };
        Site {
            public_key: "ssh-ed25519 AAAA lab".into(),
            nameservers: "nameserver 192.0.2.53".into(),
            secrets,
            machines,
            balancer: Balancer::HaProxy,
            has_second_port: false,
        }
    }

    #[test]
    fn the_balancer_knows_every_host_and_hides_no_lost_request() {
        let config = balancer(&site());
        assert!(config.contains("server web1 192.0.2.2:5000\n") && config.contains("server web2 192.0.2.3:5000\n"));
        assert!(config.contains("retries 0") && config.contains("no option redispatch"));
        let driven = balancer(&Site { balancer: Balancer::Alb { lag_seconds: 5.0 }, ..site() });
        assert!(driven.contains("server web1 192.0.2.2:5000 disabled\n") && !driven.contains("server check"), "{driven}");
        let double = balancer(&Site { has_second_port: true, ..site() });
        assert!(double.contains("server web2 192.0.2.3:5000\n    server web2-5001 192.0.2.3:5001\n"), "{double}");
        for config in [config, driven] {
            let left = ["{socket}", "{backend}", "{stats_port}", "{servers}", "{orders}", "{checks}"];
            assert_eq!(left.into_iter().find(|placeholder| config.contains(placeholder)), None);
        }
    }

    #[test]
    fn a_hosts_docker_is_pointed_at_the_labs_registry() {
        let script = web(&site());
        assert!(script.contains(r#""registry-mirrors":["http://192.0.2.9:5000"]"#));
        assert!(script.contains(r#""insecure-registries":["192.0.2.9:5000","http://192.0.2.9:5000"]"#));
    }
}
