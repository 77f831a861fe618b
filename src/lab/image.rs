//! The lab's images: built once, named after the hash of their recipe, and used again until the recipe changes.
//!
//! An image is a container of its parent in which a script ran, committed. That needs no builder, so it is the same on every
//! engine. The bare Debian at the bottom is pulled where a registry can be reached, and made with debootstrap where none can.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::authority;
use super::engine::{self, Engine};
use super::failure::LabError;
use super::http;
use super::machines::{LABEL, LabId};
use super::process::Call;
use super::recipe::{BALANCER, HOST, Parent, REGISTRY, Recipe, SERVED, SERVICES, SUITE, Served, TRUST, recipe};
use super::state;
use super::voice::Voice;

/// How long one image may take to build, pull or push.
const BUILD_MAX: Duration = Duration::from_secs(900);
/// How long a registry may take to show that it can be reached.
const PROBE_MAX: Duration = Duration::from_secs(10);
/// The smallest image that every public registry has.
const PROBE_IMAGE: &str = "hello-world:latest";
const REGISTRY_PORT: u16 = 5000;

/// The names of the images that machines are made of.
#[derive(Debug, Clone)]
pub(super) struct Images {
    pub(super) host: String,
    pub(super) balancer: String,
    pub(super) services: String,
    pub(super) registry: String,
}

/// Builds what is missing. What is left behind by an interrupted build belongs to the lab `id`, and goes with it.
pub(super) async fn prepare(engine: &Engine, id: &LabId, voice: &Voice) -> Result<Images, LabError> {
    let authorities = authority::additional();
    let mut builder = Builder { engine, id, voice, authorities, reachable: None, lock: None };
    Ok(Images {
        host: builder.made(&HOST).await?,
        balancer: builder.made(&BALANCER).await?,
        services: builder.made(&SERVICES).await?,
        registry: builder.registry().await?,
    })
}

struct Builder<'a> {
    engine: &'a Engine,
    id: &'a LabId,
    voice: &'a Voice,
    authorities: Vec<String>,
    /// Whether a registry can be reached, once that was tried.
    reachable: Option<bool>,
    /// Held from the first build on, so that two labs do not build the same.
    lock: Option<std::fs::File>,
}

/// A build step: what becomes of a parent.
struct Derivation<'a> {
    what: &'a str,
    parent: &'a str,
    script: String,
    /// Changes to the image's configuration, in the words of a Dockerfile.
    changes: Vec<String>,
}

impl Builder<'_> {
    /// The image of a recipe, built if it is missing.
    async fn made(&mut self, wanted: &Recipe) -> Result<String, LabError> {
        let mut chain = vec![wanted];
        while let Some(Parent::Image(parent)) = chain.last().map(|last| last.parent) {
            chain.extend(recipe(parent));
        }
        let mut image = self.base().await?;
        for step in chain.into_iter().rev() {
            image = self.step(step, &image).await?;
        }
        Ok(image)
    }

    async fn step(&mut self, recipe: &Recipe, parent: &str) -> Result<String, LabError> {
        let command = serde_json::json!(recipe.command);
        let changes = recipe.env.iter().map(|env| format!("ENV {env}")).chain([format!("CMD {command}")]);
        let derivation = Derivation { what: recipe.what, parent, script: recipe.script.to_owned(), changes: changes.collect() };
        self.derived(derivation).await
    }

    /// A bare Debian that trusts what this machine trusts.
    async fn base(&mut self) -> Result<String, LabError> {
        let own = self.tag("base", &["debootstrap", SUITE]);
        if self.exists(&own).await? {
            return Ok(own);
        }
        let usual = format!("debian:{SUITE}-slim");
        if let Some(pulled) = self.pulled_before(&usual).await? {
            return Ok(pulled);
        }
        self.lock().await?;
        if self.exists(&own).await? {
            return Ok(own);
        }
        if self.can_pull().await {
            return self.pulled(&usual).await;
        }
        self.debootstrap(&own).await?;
        Ok(own)
    }

    async fn debootstrap(&self, tag: &str) -> Result<(), LabError> {
        if !state::is_root() {
            let because = "no registry can be reached, and making a Debian here needs root".into();
            return Err(LabError::NoTool { tool: "debootstrap", because });
        }
        let program = engine::tool("debootstrap", self.voice).await?;
        let dir = state::labs_dir()?.join("debootstrap");
        state::remove_dir(&dir)?;
        let root = dir.join("root");
        state::make_private(&dir)?;
        self.voice.step(format!("no image registry can be reached: making a Debian {SUITE} with debootstrap"));
        // In namespaces of its own: what it mounts and starts is gone with it, however it ends.
        let args = ["--mount", "--pid", "--fork", "--kill-child"].map(Into::into);
        let args = args.into_iter().chain([program.into_os_string(), "--variant=minbase".into()]);
        let args = args.chain(["--include=ca-certificates".into(), SUITE.into(), root.clone().into_os_string()]);
        let call = Call::new("debootstrap", "unshare").args(args).ending_with_us().within(BUILD_MAX);
        self.voice.during("debootstrap", call.run()).await?;
        let bare = format!("{tag}-bare");
        let import = Call::new("importing the base image", "sh")
            .args(["-c", r#"tar -C "$0" -c . | "$1" import - "$2""#])
            .args([root.as_os_str(), self.engine.program(), bare.as_ref()])
            .within(BUILD_MAX);
        self.voice.during("the base image", import.run()).await?;
        state::remove_dir(&dir)?;
        self.trusting("base", &bare, tag, vec![r#"CMD ["bash"]"#.into()]).await?;
        self.engine.docker(["rmi", &bare]).await?;
        Ok(())
    }

    /// The image of that name which an earlier run pulled.
    async fn pulled_before(&self, usual: &str) -> Result<Option<String>, LabError> {
        let tag = self.pulled_tag(usual);
        Ok(self.exists(&tag).await?.then_some(tag))
    }

    fn pulled_tag(&self, usual: &str) -> String {
        self.tag(&usual.replace(':', "-"), &["pulled", usual])
    }

    async fn pulled(&self, usual: &str) -> Result<String, LabError> {
        let tag = self.pulled_tag(usual);
        self.voice.step(format!("pulling `{usual}`"));
        let pull = self.engine.call(format!("pulling `{usual}`"), ["pull", "-q", usual]).within(BUILD_MAX).run();
        self.voice.during(usual, pull).await?;
        if self.authorities.is_empty() {
            self.engine.docker(["tag", usual, &tag]).await?;
        } else {
            let command = self.engine.docker(["inspect", "--format", "{{json .Config.Cmd}}", usual]).await?;
            self.trusting(usual, usual, &tag, vec![format!("CMD {command}")]).await?;
        }
        Ok(tag)
    }

    /// Makes an image trust what this machine trusts.
    async fn trusting(&self, what: &str, from: &str, tag: &str, changes: Vec<String>) -> Result<(), LabError> {
        let mut script = String::from("mkdir -p /usr/local/share/ca-certificates\n");
        for (number, certificate) in self.authorities.iter().enumerate() {
            let path = format!("/usr/local/share/ca-certificates/of-the-machine-{number}.crt");
            script.push_str(&format!("cat > {path} <<'CERTIFICATE'\n{certificate}CERTIFICATE\n"));
        }
        script.push_str(TRUST);
        self.commit(tag, Derivation { what, parent: from, script, changes }).await
    }

    /// The image that a script makes of its parent; the name says all that went into it.
    async fn derived(&mut self, derivation: Derivation<'_>) -> Result<String, LabError> {
        let changes = derivation.changes.join("\n");
        let tag = self.tag(derivation.what, &[derivation.parent, &derivation.script, &changes]);
        if self.exists(&tag).await? {
            return Ok(tag);
        }
        self.lock().await?;
        if !self.exists(&tag).await? {
            self.voice.step(format!("building the image `{tag}`"));
            self.commit(&tag, derivation).await?;
            self.forget_older(&tag).await;
        }
        Ok(tag)
    }

    async fn commit(&self, tag: &str, derivation: Derivation<'_>) -> Result<(), LabError> {
        let container = format!("roll-{}-build", self.id);
        let label = format!("{LABEL}={}", self.id);
        let Derivation { what, parent, script, changes } = derivation;
        self.remove(&container).await?;
        let args = ["run", "-i", "--name", &container, "--label", &label, parent, "sh", "-e", "-s"];
        let build = self.engine.call(format!("building `{what}`"), args).input(script).within(BUILD_MAX);
        self.voice.during(what, build.run()).await?;
        let mut commit = vec!["commit".to_owned()];
        commit.extend([format!("LABEL {LABEL}=")].into_iter().chain(changes).flat_map(|change| ["--change".to_owned(), change]));
        commit.extend([container.clone(), tag.to_owned()]);
        self.engine.call(format!("committing `{what}`"), commit).within(BUILD_MAX).run().await?;
        self.remove(&container).await
    }

    async fn remove(&self, container: &str) -> Result<(), LabError> {
        let found = self.engine.docker(["ps", "-aq", "--filter", &format!("name=^/{container}$")]).await?;
        if !found.is_empty() {
            self.engine.docker(["rm", "-f", "-v", container]).await?;
        }
        Ok(())
    }

    /// The registry with all that it serves in it.
    async fn registry(&mut self) -> Result<String, LabError> {
        let empty = self.made(&REGISTRY).await?;
        let mut sources = Vec::new();
        for served in SERVED {
            sources.push((served, self.source(served).await?));
        }
        let content: Vec<&str> = sources.iter().map(|(_, image)| image.as_str()).collect();
        let names: Vec<&str> = SERVED.iter().flat_map(|served| served.names).copied().collect();
        let tag = self.tag("registry", &[&empty, &content.join(" "), &names.join(" ")]);
        if self.exists(&tag).await? {
            return Ok(tag);
        }
        self.lock().await?;
        self.voice.step(format!("building the image `{tag}`"));
        let filled = self.fill(&empty, &tag, &sources).await;
        self.remove(&format!("roll-{}-build", self.id)).await?;
        filled?;
        self.forget_older(&tag).await;
        Ok(tag)
    }

    /// What the registry serves under the names of `served`: pulled, or made.
    async fn source(&mut self, served: &Served) -> Result<String, LabError> {
        let usual = served.names.first().copied().unwrap_or_default();
        if let Some(pulled) = self.pulled_before(usual).await? {
            return Ok(pulled);
        }
        if self.reachable == Some(true) {
            return self.pulled(usual).await;
        }
        self.made(served.made_by).await
    }

    async fn fill(&self, empty: &str, tag: &str, sources: &[(&Served, String)]) -> Result<(), LabError> {
        let container = format!("roll-{}-build", self.id);
        let label = format!("{LABEL}={}", self.id);
        let publish = format!("127.0.0.1::{REGISTRY_PORT}");
        self.remove(&container).await?;
        let serve = ["runuser", "-u", "docker-registry", "--", "docker-registry", "serve", "/etc/docker/registry/config.yml"];
        let args = ["run", "-d", "--name", &container, "--label", &label, "-p", &publish, empty];
        self.engine.docker(args.into_iter().chain(serve)).await?;
        let port = self.engine.docker(["port", &container, &format!("{REGISTRY_PORT}/tcp")]).await?;
        let address = port.lines().next().unwrap_or_default().trim().to_owned();
        http::wait_for_ok(&address, "/v2/", Duration::from_secs(20)).await?;
        for (served, image) in sources {
            for name in served.names {
                self.push(image, &format!("{address}/library/{name}")).await?;
            }
        }
        self.engine.docker(["stop", &container]).await?;
        let command = format!("CMD {}", serde_json::json!(REGISTRY.command));
        let label = format!("LABEL {LABEL}=");
        let commit = ["commit", "--change", &command, "--change", &label, &container, tag];
        self.engine.call("committing the registry", commit).within(BUILD_MAX).run().await?;
        Ok(())
    }

    async fn push(&self, image: &str, name: &str) -> Result<(), LabError> {
        self.engine.docker(["tag", image, name]).await?;
        let push = self.engine.call(format!("pushing `{name}`"), ["push", "-q", name]).within(BUILD_MAX);
        let pushed = self.voice.during(name, push.run()).await;
        self.engine.docker(["rmi", "--no-prune", name]).await?;
        pushed.map(drop)
    }

    /// Tries once whether images can be pulled at all.
    async fn can_pull(&mut self) -> bool {
        if let Some(known) = self.reachable {
            return known;
        }
        self.voice.step("looking for an image registry");
        let probe = self.engine.call("looking for an image registry", ["pull", "-q", PROBE_IMAGE]).within(PROBE_MAX);
        let reachable = self.voice.during("an image registry", probe.run()).await.is_ok();
        if reachable {
            let _ = self.engine.docker(["rmi", PROBE_IMAGE]).await;
        }
        self.reachable = Some(reachable);
        reachable
    }

    async fn lock(&mut self) -> Result<(), LabError> {
        if self.lock.is_none() {
            self.lock = Some(self.voice.during("another lab that builds images", state::lock_builds()).await?);
        }
        Ok(())
    }

    async fn exists(&self, tag: &str) -> Result<bool, LabError> {
        Ok(!self.engine.docker(["images", "-q", tag]).await?.is_empty())
    }

    /// Removes what the image of that name was before; one that is still in use stays.
    async fn forget_older(&self, tag: &str) {
        let repository = tag.split(':').next().unwrap_or(tag);
        let listed = self.engine.docker(["images", "--format", "{{.Repository}}:{{.Tag}}", repository]).await;
        for older in listed.unwrap_or_default().lines().filter(|older| *older != tag) {
            let _ = self.engine.docker(["rmi", older]).await;
        }
    }

    /// A name that changes whenever something that goes into the image does.
    fn tag(&self, what: &str, parts: &[&str]) -> String {
        let authorities = self.authorities.iter().map(String::as_str);
        let mut hash = Sha256::new();
        for part in authorities.chain([std::env::consts::ARCH]).chain(parts.iter().copied()) {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        let digits: String = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        format!("roll-lab-{what}:{digits}")
    }
}
