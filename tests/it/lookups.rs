//! Lookups that reach outside of the template: a web server, settings.

use super::roll::Roll;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

/// A server for so many requests; answers with the path and what the request said about its sender.
fn serve(count: usize) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let worker = std::thread::spawn(move || {
        let mut seen = Vec::new();
        for _ in 0..count {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let (status, body) = match head.split_whitespace().nth(1) {
                Some("/missing") => ("404 Not Found", "no"),
                _ => ("200 OK", "one\ntwo\n"),
            };
            let length = body.len();
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            seen.push(head);
        }
        seen
    });
    (address, worker)
}

fn play(tasks: &str) -> String {
    format!("- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n{tasks}")
}

#[test]
fn the_url_lookup_asks_with_what_it_is_given() {
    let (address, server) = serve(5);
    let tasks = format!(
        "    - assert:
        that:
          - lookup('url', '{address}/a') == 'one,two'
          - >-
            query('url', '{address}/b', headers={{'X-Token': 'abc'}}) == ['one', 'two']
          - (lookup('url', '{address}/c', split_lines=false, username='me', password='pw', http_agent='tester')).splitlines() == ['one', 'two']
          - lookup('url', '{address}/d', force=true) == 'one,two'
    - debug: {{msg: \"{{{{ lookup('url', '{address}/missing') }}}}\"}}
      ignore_errors: true
      register: missing
    - assert: {{that: [missing is failed, \"'HTTP Error 404: Not Found' in missing.msg\"]}}
"
    );
    let ran = Roll::new().file("site.yaml", &play(&tasks)).args(["site.yaml"]).run();
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let seen = server.join().unwrap();
    let heads: Vec<String> = seen.iter().map(|head| head.to_lowercase()).collect();
    assert!(heads[0].starts_with("get /a ") && heads[0].contains("user-agent: ansible-httpget"), "{seen:?}");
    assert!(heads[1].contains("x-token: abc"), "{seen:?}");
    assert!(seen[2].contains("Basic bWU6cHc=") && heads[2].contains("user-agent: tester"), "{seen:?}");
    assert!(heads[3].contains("cache-control: no-cache") && !heads[0].contains("cache-control"), "{seen:?}");
}

#[test]
fn the_url_lookup_asks_over_a_socket_and_trusts_who_it_is_told_to() {
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("s.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut head = [0; 1024];
        let size = stream.read(&mut head).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi").unwrap();
        String::from_utf8_lossy(&head[..size]).into_owned()
    });
    let socket = socket.display();
    let tasks = format!(
        "    - assert: {{that: \"lookup('url', 'http://engine/version', unix_socket='{socket}') == 'hi'\"}}
    - debug: {{msg: \"{{{{ lookup('url', 'https://engine.invalid/', ca_path='/nowhere.pem') }}}}\"}}
      ignore_errors: true
      register: nowhere
    - assert: {{that: [nowhere is failed, \"'cannot read the certificates of /nowhere.pem' in nowhere.msg\"]}}
"
    );
    let ran = Roll::new().file("site.yaml", &play(&tasks)).args(["site.yaml"]).run();
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(server.join().unwrap().starts_with("GET /version HTTP/1.1\r\n"));
}

#[test]
fn a_server_that_is_not_there_is_named_without_its_password() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tasks = format!(
        "    - debug: {{msg: \"{{{{ lookup('url', 'http://{free}/', timeout=5, password='hunter2', username='u') }}}}\"}}\n"
    );
    let ran = Roll::new().file("site.yaml", &play(&tasks)).args(["site.yaml"]).run();
    assert_eq!(ran.code, Some(2), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("Failed lookup url for"), "{}", ran.stdout);
}

#[test]
fn the_config_lookup_says_what_holds_for_this_run() {
    let tasks = "    - assert:
        that:
          - lookup('config', 'DEFAULT_FORKS') == 9
          - lookup('config', 'DEFAULT_BECOME_USER') == 'root'
          - lookup('config', 'DEFAULT_ROLES_PATH')[0] is match('.*/my_roles$')
          - query('config', 'NOPE', on_missing='skip') == []
";
    let roll = Roll::new().file("site.yaml", &play(tasks)).file("ansible.cfg", "[defaults]\nroles_path = my_roles\n");
    let ran = roll.env("ANSIBLE_FORKS", "9").args(["site.yaml"]).run();
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
}
