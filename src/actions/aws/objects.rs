//! `s3_object`: files of a host into S3 and out of it. The bytes pass through the control side, piece by piece.

use super::{access, answer, dict, pairs, tag_changes};
use crate::actions::{Answer, Bodies, Hands, Problem};
use crate::aws::objects::{self, Body, Keeping, Place};
use crate::aws::{Access, AwsError, Session};
use crate::modules::Args;
use crate::value::Value;
use base64ct::{Base64, Encoding};
use md5::{Digest, Md5};
use std::fs;
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What is there already.
#[derive(Clone, Copy, PartialEq)]
enum Overwrite {
    Always,
    Never,
    Different,
    Latest,
}

struct Task<'a, H> {
    args: &'a Args,
    hands: &'a H,
    access: Access,
    place: Place,
}

pub(in crate::actions) async fn object<H: Hands>(args: &Args, hands: &H) -> Result<Answer, Problem> {
    let text = |name: &str| args.text(name).map(|text| text.as_str().to_owned()).filter(|text| !text.is_empty());
    let key = text("object").unwrap_or_default();
    let place = Place {
        bucket: args.required("bucket")?.to_owned(),
        key: key.strip_prefix('/').unwrap_or(&key).to_owned(),
        version: text("version"),
        owner: text("expected_bucket_owner"),
    };
    let task = Task { args, hands, access: access(args, hands)?, place };
    let mode = args.required("mode")?;
    if task.place.key.is_empty() && mode != "list" && !(mode == "copy" && task.copies_many()) {
        return Err(Problem::new(format!("mode is {mode} but all of the following are missing: object")));
    }
    if !args.bool("ignore_nonexistent_bucket") && mode != "geturl" {
        task.check_bucket().await?;
    }
    match mode {
        "get" => task.get().await,
        "getstr" => task.get_text().await,
        "geturl" => task.get_link().await,
        "put" => task.put().await,
        "create" => task.create().await,
        "delobj" => task.delete().await,
        "list" => task.list().await,
        _ => task.copy().await,
    }
}

impl<H: Hands> Task<'_, H> {
    fn is_check(&self) -> bool {
        self.hands.is_check()
    }

    fn skipped(&self, what: &str) -> Answer {
        answer(true, [("msg", format!("{what} operation skipped - running in check mode").into())])
    }

    fn overwrite(&self) -> Result<Overwrite, Problem> {
        let given = self.args.text("overwrite").map_or_else(String::new, |text| text.as_str().to_lowercase());
        match given.as_str() {
            "always" | "true" | "yes" => Ok(Overwrite::Always),
            "never" | "false" | "no" => Ok(Overwrite::Never),
            "" | "different" => Ok(Overwrite::Different),
            "latest" => Ok(Overwrite::Latest),
            other => Err(Problem::new(format!("overwrite is always, never, different, latest or a boolean, not `{other}`"))),
        }
    }

    fn keeping(&self) -> Keeping {
        let text = |name: &str| self.args.text(name).map(|text| text.as_str().to_owned());
        let encryption = self
            .args
            .bool("encrypt")
            .then(|| (text("encryption_mode").unwrap_or_else(|| "AES256".to_owned()), text("encryption_kms_key_id")));
        let mut metadata = pairs(self.args.dict("metadata"));
        metadata.extend(pairs(self.args.dict("headers")));
        // S3's own default; to say it is an error where a bucket knows no permissions of objects.
        let acl = self.args.list("permission").into_iter().next().filter(|acl| acl != "private");
        Keeping { acl, encryption, metadata }
    }

    async fn check_bucket(&self) -> Result<(), Problem> {
        let (bucket, owner) = (self.place.bucket.clone(), self.place.owner.clone());
        let found = Session::ask(self.access.clone(), move |session| async move {
            objects::has_bucket(&session, &bucket, owner.as_deref()).await
        });
        if found.await? {
            return Ok(());
        }
        Err(Problem::new(format!("Bucket '{}' not found (during bucket_check).", self.place.bucket)))
    }

    async fn head(&self) -> Result<Option<objects::Head>, Problem> {
        let place = self.place.clone();
        Ok(Session::ask(self.access.clone(), move |session| async move { objects::head(&session, &place).await }).await?)
    }

    async fn head_that_is_there(&self) -> Result<objects::Head, Problem> {
        self.head().await?.ok_or_else(|| Problem::new(format!("Key {} does not exist.", self.place.key)))
    }

    async fn get(&self) -> Result<Answer, Problem> {
        let Some(dest) = self.args.str("dest") else {
            return Err(Problem::new("mode is get but all of the following are missing: dest"));
        };
        let head = self.head_that_is_there().await?;
        if let Some(reason) = self.needs_no_get(dest, &head).await? {
            return Ok(answer(false, [("msg", reason.into())]));
        }
        if self.is_check() {
            return Ok(self.skipped("GET"));
        }
        let folder = Folder::new()?;
        let (place, file) = (self.place.clone(), folder.file());
        let into = file.clone();
        Session::ask(self.access.clone(), move |session| async move { objects::get(&session, &place, &into).await }).await?;
        let mut bodies = Bodies::default();
        let body = bodies.add_file(&file).map_err(|error| Problem::unreadable(&file, &error))?;
        let name = self.place.key.rsplit('/').next().unwrap_or_default();
        let args = [("dest", Value::from(dest)), ("_blob", body.into()), ("_name", name.into())];
        self.hands.module("copy", args.into_iter().map(|(name, value)| (name.into(), value)).collect(), bodies).await?;
        Ok(answer(true, [("msg", "GET operation complete".into())]))
    }

    /// Why the host's file can stay as it is.
    async fn needs_no_get(&self, dest: &str, head: &objects::Head) -> Result<Option<&'static str>, Problem> {
        let overwrite = self.overwrite()?;
        let args = [("path", Value::from(dest)), ("checksum_algorithm", "md5".into()), ("follow", true.into())];
        let args = args.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let found = self.hands.module("stat", args, Bodies::default()).await?;
        let stat = found.get("stat").cloned().unwrap_or_default();
        let is_file = stat.get("isreg").and_then(Value::as_bool) == Some(true);
        let is_same = || stat.get("checksum").and_then(Value::as_str) == Some(head.etag.as_str());
        let is_newer = || stat.get("mtime").and_then(Value::to_float).is_some_and(|time| time >= head.modified as f64);
        Ok(match overwrite {
            _ if !is_file => None,
            Overwrite::Never => Some("Local object already exists and overwrite is disabled."),
            Overwrite::Different if is_same() => {
                Some("Local and remote object are identical, ignoring. Use overwrite=always parameter to force.")
            }
            Overwrite::Latest if is_newer() => Some("Local object is latest, ignoring. Use overwrite=always parameter to force."),
            _ => None,
        })
    }

    async fn get_text(&self) -> Result<Answer, Problem> {
        self.head_that_is_there().await?;
        let place = self.place.clone();
        let text = Session::ask(self.access.clone(), move |session| async move { objects::text(&session, &place).await }).await?;
        Ok(answer(true, [("contents", text.into()), ("msg", "GET operation complete".into())]))
    }

    async fn get_link(&self) -> Result<Answer, Problem> {
        self.linked(true, "Download url:", true).await
    }

    /// An answer with a link to the object and its tags.
    async fn linked(&self, changed: bool, msg: &str, with_expiry: bool) -> Result<Answer, Problem> {
        let seconds = u64::try_from(self.args.int("expiry").unwrap_or(600)).unwrap_or(600);
        let place = self.place.clone();
        let found = Session::ask(self.access.clone(), move |session| async move {
            let tags = match objects::tags(&session, &place).await {
                // Not every store has tags, and not everybody may see them.
                Err(AwsError::Missing { .. } | AwsError::Denied { .. } | AwsError::Refused { .. }) => Vec::new(),
                tags => tags?,
            };
            Ok((objects::link(&session, &place, Duration::from_secs(seconds)).await?, tags))
        });
        let (url, tags) = found.await?;
        let url = Value::secret(url);
        self.hands.hide(&url);
        let mut made = answer(changed, [("msg", msg.into()), ("tags", dict(&tags)), ("url", url)]);
        if with_expiry {
            made.values.insert("expiry".into(), self.args.int("expiry").unwrap_or(600).into());
        }
        Ok(made)
    }

    async fn put(&self) -> Result<Answer, Problem> {
        let folder = Folder::new()?;
        let body = self.body(&folder).await?;
        let digest = md5_of(&body).map_err(|error| Problem::new(format!("cannot read what is to be put: {error}")))?;
        let is_wanted = match (self.head().await?, self.overwrite()?) {
            (None, _) | (Some(_), Overwrite::Always | Overwrite::Latest) => true,
            (Some(_), Overwrite::Never) => false,
            (Some(head), Overwrite::Different) => head.etag != digest,
        };
        if is_wanted && self.is_check() {
            return Ok(self.skipped("PUT"));
        }
        if is_wanted {
            let (place, keeping) = (self.place.clone(), self.keeping());
            Session::ask(self.access.clone(), move |session| async move { objects::put(&session, &place, body, &keeping).await })
                .await?;
        }
        let is_tagged = self.tag().await?;
        match is_wanted {
            true => self.linked(true, "PUT operation complete", false).await,
            false => self.linked(is_tagged, "Download url:", true).await,
        }
    }

    /// What is to be put: a text, or a file of the control side or the host.
    async fn body(&self, folder: &Folder) -> Result<Body, Problem> {
        if let Some(content) = self.args.text("content") {
            return Ok(Body::Bytes(content.as_str().as_bytes().to_vec()));
        }
        if let Some(content) = self.args.text("content_base64") {
            let bytes = Base64::decode_vec(content.as_str()).map_err(|_| Problem::new("content_base64 is not base64"))?;
            return Ok(Body::Bytes(bytes));
        }
        let Some(src) = self.args.str("src") else {
            return Err(Problem::new("Either content, content_base64 or src must be specified for PUT operations"));
        };
        if let Some(found) = self.hands.find("files", src).ok().filter(|found| found.is_file()) {
            return Ok(Body::File(found));
        }
        let file = folder.file();
        let fetched = self.hands.fetch(src, None, &file).await?;
        if fetched.contains_key("missing") {
            return Err(Problem::new(format!("Local object \"{src}\" does not exist for PUT operation")));
        }
        Ok(Body::File(file))
    }

    /// Whether tags had to be changed.
    async fn tag(&self) -> Result<bool, Problem> {
        let Some(wanted) = self.args.dict("tags").map(|tags| pairs(Some(tags))) else { return Ok(false) };
        let (place, purges, is_check) = (self.place.clone(), self.args.bool("purge_tags"), self.is_check());
        let done = Session::ask(self.access.clone(), move |session| async move {
            let mut known = objects::tags(&session, &place).await?;
            let (set, gone) = tag_changes(&known, &wanted, purges);
            if set.is_empty() && gone.is_empty() {
                return Ok(false);
            }
            known.retain(|(name, _)| !gone.contains(name) && !set.iter().any(|(other, _)| other == name));
            known.extend(set);
            if !is_check {
                objects::set_tags(&session, &place, &known).await?;
            }
            Ok(true)
        });
        Ok(done.await?)
    }

    async fn create(&self) -> Result<Answer, Problem> {
        let mut folder = Task { args: self.args, hands: self.hands, access: self.access.clone(), place: self.place.clone() };
        if !folder.place.key.ends_with('/') {
            folder.place.key.push('/');
        }
        let (bucket, key) = (folder.place.bucket.clone(), folder.place.key.clone());
        if folder.head().await?.is_some() {
            return Ok(answer(false, [("msg", format!("Bucket {bucket} and key {key} already exists.").into())]));
        }
        if self.is_check() {
            return Ok(self.skipped("CREATE"));
        }
        let (place, keeping) = (folder.place.clone(), self.keeping());
        let put = Session::ask(self.access.clone(), move |session| async move {
            objects::put(&session, &place, Body::Bytes(Vec::new()), &keeping).await
        });
        put.await?;
        folder.tag().await?;
        folder.linked(true, &format!("Virtual directory {key} created in bucket {bucket}"), false).await
    }

    async fn delete(&self) -> Result<Answer, Problem> {
        if self.is_check() {
            return Ok(self.skipped("DELETE"));
        }
        let place = self.place.clone();
        Session::ask(self.access.clone(), move |session| async move { objects::delete(&session, &place).await }).await?;
        Ok(answer(true, [("msg", format!("Object deleted from bucket {}.", self.place.bucket).into())]))
    }

    async fn list(&self) -> Result<Answer, Problem> {
        let text = |name: &str| self.args.text(name).map(|text| text.as_str().to_owned()).unwrap_or_default();
        let (bucket, prefix, marker) = (self.place.bucket.clone(), text("prefix"), text("marker"));
        let most = self.args.int("max_keys").and_then(|most| usize::try_from(most).ok());
        let keys = Session::ask(self.access.clone(), move |session| async move {
            objects::list(&session, &bucket, &prefix, &marker, most).await
        });
        let keys = keys.await?.into_iter().map(Value::from).collect();
        Ok(answer(false, [("msg", "LIST operation complete".into()), ("s3_keys", keys)]))
    }

    fn copies_many(&self) -> bool {
        self.args.dict("copy_src").is_some_and(|from| from.get("object").is_none_or(Value::is_null))
    }

    async fn copy(&self) -> Result<Answer, Problem> {
        let Some(source) = self.args.dict("copy_src") else {
            return Err(Problem::new("mode is copy but all of the following are missing: copy_src"));
        };
        let text =
            |name: &str| source.get(name).filter(|value| !value.is_null()).map(|value| value.to_text().as_str().to_owned());
        let Some(bucket) = text("bucket") else {
            return Err(Problem::new("missing required arguments: bucket found in copy_src"));
        };
        let from = Place { bucket, key: String::new(), version: text("version_id"), owner: None };
        let (many, prefix, key) = (self.copies_many(), text("prefix").unwrap_or_default(), text("object").unwrap_or_default());
        let (to, keeping, is_check) = (self.place.clone(), self.keeping(), self.is_check());
        let source = from.bucket.clone();
        let done = Session::ask(self.access.clone(), move |session| async move {
            let keys = match many {
                true => objects::list(&session, &from.bucket, &prefix, "", None).await?,
                false => vec![key.trim_start_matches('/').to_owned()],
            };
            let mut count = 0;
            for key in keys {
                let from = Place { key: key.clone(), ..from.clone() };
                let to = if many { Place { key, ..to.clone() } } else { to.clone() };
                let Some(head) = objects::head(&session, &from).await? else {
                    return Err(AwsError::Missing {
                        call: "s3:GetObject",
                        why: format!("there is no key {} in {}", from.key, from.bucket),
                    });
                };
                if objects::head(&session, &to).await?.is_some_and(|known| known.etag == head.etag) {
                    continue;
                }
                count += 1;
                if !is_check {
                    objects::copy(&session, &from, &to, &keeping).await?;
                }
            }
            Ok(count)
        });
        let count: usize = done.await?;
        let is_tagged = !many && count > 0 && !self.is_check() && self.tag().await?;
        let msg = match count {
            0 => "ETag from source and destination are the same".to_owned(),
            _ if self.is_check() => "COPY operation skipped - running in check mode".to_owned(),
            _ => format!("Object copied from bucket {source} to bucket {}.", self.place.bucket),
        };
        Ok(answer(count > 0 || is_tagged, [("msg", msg.into()), ("tags", dict(&pairs(self.args.dict("tags"))))]))
    }
}

fn md5_of(body: &Body) -> std::io::Result<String> {
    let mut digest = Md5::new();
    match body {
        Body::Bytes(bytes) => digest.update(bytes),
        Body::File(path) => {
            let mut file = fs::File::open(path)?;
            let mut piece = vec![0; 1 << 16];
            loop {
                match file.read(&mut piece)? {
                    0 => break,
                    size => digest.update(&piece[..size]),
                }
            }
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A directory that only this user can read; gone when it is dropped.
struct Folder {
    path: PathBuf,
}

static FOLDERS: AtomicU64 = AtomicU64::new(0);

impl Folder {
    fn new() -> Result<Folder, Problem> {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("roll-s3-{}-{number}", std::process::id()));
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| Problem::new(format!("cannot make `{}`: {error}", path.display())))?;
        Ok(Folder { path })
    }

    fn file(&self) -> PathBuf {
        Path::join(&self.path, "object")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
