//! The data plane: what the rules say, given to an HAProxy through its admin socket.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::config::Plane;
use super::world::Route;

const ANSWER_MAX: Duration = Duration::from_secs(2);

/// A server that should be so.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    pub(super) backend: String,
    pub(super) name: String,
    pub(super) address: SocketAddr,
    pub(super) route: Route,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Ready,
    Draining,
    Maintenance,
}

/// Makes the servers as they should be. Asked again and again, it heals what was changed behind its back.
pub(super) async fn apply(plane: &Plane, wanted: &[Wanted]) -> io::Result<()> {
    let stat = ask(plane, "show stat").await?;
    let found = servers(&stat);
    for server in wanted {
        let place = (server.backend.as_str(), server.name.as_str());
        for command in commands(server, found.get(&place).copied()) {
            let answer = ask(plane, &command).await?;
            let is_fine = answer.trim().is_empty() || answer.contains("New server registered");
            if !is_fine {
                return Err(io::Error::other(format!("`{command}`: {}", answer.trim())));
            }
        }
    }
    // What nobody wants gets nothing.
    for ((backend, name), (state, _)) in &found {
        let is_wanted = wanted.iter().any(|server| server.backend == *backend && server.name == *name);
        let is_ours = wanted.iter().any(|server| server.backend == *backend);
        if !is_wanted && is_ours && *state != Found::Maintenance {
            ask(plane, &format!("set server {backend}/{name} state maint")).await?;
        }
    }
    Ok(())
}

/// What makes a server as it should be. When nothing is under way any more a draining one is done at once, whatever the API still shows.
fn commands(server: &Wanted, found: Option<(Found, u64)>) -> Vec<String> {
    let place = format!("{}/{}", server.backend, server.name);
    let set = |state: &str| format!("set server {place} state {state}");
    let Some((state, sessions)) = found else {
        return match server.route {
            Route::In => vec![format!("add server {place} {} pool-purge-delay 1s", server.address), set("ready")],
            Route::Draining | Route::Cut | Route::Out => Vec::new(),
        };
    };
    match (server.route, state) {
        (Route::In, Found::Ready) | (Route::Draining | Route::Cut | Route::Out, Found::Maintenance) => Vec::new(),
        (Route::In, _) => vec![set("ready")],
        (Route::Draining, Found::Ready) if sessions > 0 => vec![set("drain")],
        (Route::Draining, Found::Draining) if sessions > 0 => Vec::new(),
        (Route::Cut, _) if sessions > 0 => vec![set("maint"), format!("shutdown sessions server {place}")],
        (Route::Draining | Route::Cut | Route::Out, _) => vec![set("maint")],
    }
}

/// State and sessions of every server, by backend and name.
fn servers(stat: &str) -> BTreeMap<(&str, &str), (Found, u64)> {
    let mut lines = stat.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().trim_start_matches("# ").split(',').collect();
    let column = |name: &str| names.iter().position(|known| *known == name).unwrap_or(usize::MAX);
    let (backend, name, status) = (column("pxname"), column("svname"), column("status"));
    let (current, queued) = (column("scur"), column("qcur"));
    lines
        .filter_map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let cell = |at: usize| cells.get(at).copied();
            let key = (cell(backend)?, cell(name)?);
            let count = |at: usize| cell(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
            let state = match cell(status)?.split_whitespace().next()? {
                "MAINT" => Found::Maintenance,
                "DRAIN" => Found::Draining,
                _ => Found::Ready,
            };
            (!matches!(key.1, "FRONTEND" | "BACKEND")).then(|| (key, (state, count(current) + count(queued))))
        })
        .collect()
}

async fn ask(plane: &Plane, command: &str) -> io::Result<String> {
    let answer = async {
        match plane {
            Plane::Unix(path) => exchange(UnixStream::connect(path).await?, command).await,
            Plane::Tcp(address) => exchange(TcpStream::connect(address).await?, command).await,
        }
    };
    timeout(ANSWER_MAX, answer).await.map_err(|_| io::Error::other("no answer of the data plane"))?
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, command: &str) -> io::Result<String> {
    stream.write_all(format!("{command}\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(route: Route) -> Wanted {
        Wanted { backend: "app".into(), name: "web1".into(), address: ([10, 0, 0, 1], 5000).into(), route }
    }

    #[test]
    fn only_what_differs_is_told() {
        let told = |route, found| commands(&wanted(route), found).join("; ");
        assert_eq!(told(Route::In, Some((Found::Ready, 3))), "");
        assert_eq!(told(Route::In, Some((Found::Maintenance, 0))), "set server app/web1 state ready");
        assert_eq!(told(Route::Draining, Some((Found::Ready, 2))), "set server app/web1 state drain");
        assert_eq!(told(Route::Draining, Some((Found::Draining, 2))), "");
        assert_eq!(told(Route::Draining, Some((Found::Draining, 0))), "set server app/web1 state maint");
        assert_eq!(
            told(Route::Cut, Some((Found::Draining, 1))),
            "set server app/web1 state maint; shutdown sessions server app/web1"
        );
        assert_eq!(
            told(Route::In, None),
            "add server app/web1 10.0.0.1:5000 pool-purge-delay 1s; set server app/web1 state ready"
        );
        assert_eq!(told(Route::Out, None), "");
    }

    #[test]
    fn statistics_become_states_and_sessions() {
        let stat = "# pxname,svname,qcur,scur,status\nf,FRONTEND,,1,OPEN\napp,a,1,2,no check\napp,b,0,0,MAINT\napp,c,0,4,DRAIN\n";
        let found = servers(stat);
        assert_eq!(found.get(&("app", "a")), Some(&(Found::Ready, 3)));
        assert_eq!(found.get(&("app", "b")), Some(&(Found::Maintenance, 0)));
        assert_eq!((found.get(&("app", "c")), found.len()), (Some(&(Found::Draining, 4)), 3));
    }
}
