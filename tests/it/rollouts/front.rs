//! HAProxy's admin socket without HAProxy: what it is told it does, and who is healthy it asks the hosts' books.

use super::engine::Books;
use super::fleet::{App, Host};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

#[derive(Debug, Default)]
pub(super) struct Front {
    /// What each server was told to be: `ready`, `drain`, `maint`.
    pub(super) told: BTreeMap<String, String>,
    /// Requests that never end.
    pub(super) sessions: BTreeMap<String, u64>,
    /// It gives no answer any more.
    pub(super) is_frozen: bool,
    /// Every order, in its order.
    pub(super) orders: Vec<String>,
    /// The fewest servers that got requests at any time, once anybody has looked.
    pub(super) fewest: Option<usize>,
}

pub(super) struct Server {
    pub(super) name: String,
    /// Where a host has two of them.
    port: Option<u16>,
    books: Arc<Mutex<Books>>,
    app: Arc<Mutex<App>>,
}

impl Server {
    fn is_healthy(&self) -> bool {
        let books = self.books.lock().unwrap();
        let release = self.port.map_or_else(|| books.running("shop"), |port| books.listening("shop", port));
        release.is_some_and(|release| !self.app.lock().unwrap().broken.contains(&release.as_str()))
    }
}

impl Front {
    fn count(&mut self, servers: &[Server]) {
        let gets = |server: &&Server| {
            let is_in = !matches!(self.told.get(&server.name).map(String::as_str), Some("drain" | "maint"));
            is_in && server.is_healthy()
        };
        let serving = servers.iter().filter(gets).count();
        self.fewest = Some(self.fewest.map_or(serving, |fewest| fewest.min(serving)));
    }

    fn stat(&self, servers: &[Server]) -> String {
        let mut out = "# pxname,svname,qcur,scur,status,weight,check_status,check_code,addr,\n".to_owned();
        for server in servers {
            let (status, check) = match (self.told.get(&server.name).map(String::as_str), server.is_healthy()) {
                (Some("drain"), _) => ("DRAIN", "L7OK,200"),
                (Some("maint"), _) => ("MAINT", ","),
                (_, true) => ("UP", "L7OK,200"),
                (_, false) => ("DOWN", "L7STS,503"),
            };
            let sessions = self.sessions.get(&server.name).copied().unwrap_or(0);
            let _ = writeln!(out, "shop,{},0,{sessions},{status},1,{check},,", server.name);
        }
        out
    }

    /// `set server shop/web1 state drain`
    fn order(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["set", "server", server, "state", state] = words.as_slice() {
            let name = server.trim_start_matches("shop/");
            self.told.insert(name.to_owned(), (*state).to_owned());
            self.orders.push(format!("{name} {state}"));
        }
        "\n".to_owned()
    }
}

pub(super) fn listen(socket: &Path, front: &Arc<Mutex<Front>>, hosts: &[Host]) {
    let server = |host: &Host| Server::new(host, host.name.clone(), None);
    serve(socket, front, hosts.iter().map(server).collect());
}

impl Server {
    pub(super) fn new(host: &Host, name: String, port: Option<u16>) -> Server {
        Server { name, port, books: Arc::clone(&host.books), app: Arc::clone(&host.app) }
    }
}

pub(super) fn serve(socket: &Path, front: &Arc<Mutex<Front>>, servers: Vec<Server>) {
    let listener = UnixListener::bind(socket).unwrap();
    let front = Arc::clone(front);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut line = String::new();
            let _ = BufReader::new(&stream).read_line(&mut line);
            let mut front = front.lock().unwrap();
            // It hangs up without a word.
            if front.is_frozen {
                continue;
            }
            front.count(&servers);
            let answer = if line.starts_with("show stat") { front.stat(&servers) } else { front.order(&line) };
            front.count(&servers);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
}
