//! What others wrote for AWS's API, as judges: boto3 drives the double, and moto answers the driver.
//!
//! `tests/run` puts both into `target/aws-venv`, as `requirements.txt` beside this file pins them.

use super::alb::{Bed, Group, group};
use super::bed::PATIENCE;
use super::named;
use roll::balancer::{Access, Alb, Balancer, Member, State};
use serde_json::{Value, json};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) fn program(name: &str) -> Command {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/aws-venv/bin").join(name);
    assert!(path.exists(), "this test needs boto3 and moto in target/aws-venv; `tests/run packages` puts them there");
    let mut command = Command::new(path);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("AWS_ACCESS_KEY_ID", "AKIDOUBLE")
        .env("AWS_SECRET_ACCESS_KEY", "not-a-secret")
        .env("AWS_DEFAULT_REGION", "eu-central-1")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// What a script beside this file writes, as JSON.
fn script(name: &str, args: &[&str]) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/balancer").join(name);
    let output = program("python").arg("-B").arg(path).args(args).output().unwrap();
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {errors}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{name}: {error}: {out}"))
}

pub(crate) struct Moto {
    server: Child,
    pub(crate) url: String,
}

impl Moto {
    pub(crate) fn start() -> Moto {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = program("moto_server");
        server.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let moto = Moto { server: server.spawn().unwrap(), url: format!("http://127.0.0.1:{port}") };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < 3 * PATIENCE, "moto_server does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        moto
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[tokio::test]
async fn boto3_drives_the_double_as_it_drives_aws() {
    let bed = Bed::start(&group("app", Group { delay: 2, ..Group::default() })).await;
    let report = script("drive.py", &[&bed.url, &bed.inner.app_port.to_string()]);
    assert_eq!(report["failed"], json!([]));
    assert!(report["held"].as_u64().unwrap() >= 20, "{report}");
}

/// Every field that moto's answers have, the double's have, too.
#[tokio::test]
async fn the_double_s_answers_have_the_shape_of_moto_s() {
    let bed = Bed::start(&group("app", Group::default())).await;
    let moto = Moto::start();
    let made = script("make.py", &[&moto.url]);
    let lacking = script("shapes.py", &[&bed.url, &moto.url, made["group"].as_str().unwrap()]);
    assert_eq!(lacking, json!([]));
}

/// Its targets are healthy at once and it knows no draining, so this is about the requests.
#[tokio::test]
async fn moto_accepts_what_the_driver_sends() {
    let moto = Moto::start();
    let made = script("make.py", &[&moto.url]);
    let access = Access {
        region: None,
        profile: None,
        endpoint: Some(moto.url.clone()),
        credentials: Some(("AKIDOUBLE".to_owned(), "not-a-secret".to_owned())),
        ..Access::default()
    };
    let member = |(name, id): (&str, &Value)| Member { instance: id.as_str().map(str::to_owned), ..Member::named(name) };
    let members = ["web1", "web2"].into_iter().zip(made["instances"].as_array().unwrap()).map(member).collect();
    let group = made["group"].as_str().unwrap().to_owned();
    let balancer = Alb::new(vec![group], Some(5000), 1, access, members);
    for host in ["web1", "web2"] {
        balancer.enable(host).await.unwrap();
    }
    let targets = balancer.read().await.unwrap();
    assert!(named(&targets, "web1").serves() && named(&targets, "web2").serves(), "{targets:?}");
    balancer.drain("web1").await.unwrap();
    assert_eq!(named(&balancer.read().await.unwrap(), "web1").state, State::Out);
    balancer.enable("web1").await.unwrap();
    assert!(named(&balancer.read().await.unwrap(), "web1").serves());
    let setup = balancer.setup().await.unwrap().remove(0);
    assert_eq!((setup.is_used, setup.drain_seconds, setup.idle_seconds), (Some(true), Some(35.0), Some(60.0)));
}
