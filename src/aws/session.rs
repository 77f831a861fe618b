//! What is kept for the run: one session for each way in, and the thread that speaks to AWS.

use super::{Access, AwsError};
use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::runtime::{Builder, Runtime};

/// What was made of an [`Access`].
pub(crate) struct Session {
    pub(super) config: SdkConfig,
    /// An endpoint that was said, which counts for every service.
    pub(super) endpoint: Option<String>,
    pub(super) ssm: OnceLock<aws_sdk_ssm::Client>,
    pub(super) secrets: OnceLock<aws_sdk_secretsmanager::Client>,
    pub(super) s3: OnceLock<aws_sdk_s3::Client>,
    pub(super) elb: OnceLock<aws_sdk_elasticloadbalancingv2::Client>,
    pub(super) http: OnceLock<reqwest::Client>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Session").field("region", &self.config.region()).finish_non_exhaustive()
    }
}

/// Credentials are looked for once: on a machine that has none, that takes seconds.
static SESSIONS: Mutex<Vec<(Access, Arc<Session>)>> = Mutex::new(Vec::new());

/// Templates are rendered where nothing may wait, and connections belong to the runtime that opened them: so AWS has one of its own.
static RUNTIME: OnceLock<Runtime> = OnceLock::new();

impl Session {
    pub(crate) async fn open(access: &Access) -> Result<Arc<Session>, AwsError> {
        let known = |sessions: &Vec<(Access, Arc<Session>)>| {
            sessions.iter().find(|(other, _)| other == access).map(|(_, session)| Arc::clone(session))
        };
        if let Some(session) = known(&SESSIONS.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(session);
        }
        let config = access.load_patiently().await.ok_or(AwsError::NoRegion)?;
        let session = Arc::new(Session {
            config,
            endpoint: access.endpoint.clone(),
            ssm: OnceLock::new(),
            secrets: OnceLock::new(),
            s3: OnceLock::new(),
            elb: OnceLock::new(),
            http: OnceLock::new(),
        });
        SESSIONS.lock().unwrap_or_else(PoisonError::into_inner).push((access.clone(), Arc::clone(&session)));
        Ok(session)
    }

    pub(crate) fn region(&self) -> &str {
        self.config.region().map_or("", |region| region.as_ref())
    }

    /// The endpoint of a service that is not AWS's own: what was said counts most, then the setting for the service, then that for all.
    pub(super) fn endpoint_of(&self, service: &str) -> Option<String> {
        let of_service = || {
            let key = ServiceConfigKey::builder().service_id(service).profile("endpoint_url").env("AWS_ENDPOINT_URL").build();
            self.config.service_config()?.load_config(key.ok()?)
        };
        let all = || self.config.endpoint_url().map(str::to_owned);
        self.endpoint.clone().or_else(of_service).or_else(all)
    }

    /// Asks with a session for `access`, from where nothing can wait.
    pub(crate) fn wait<T, F>(access: Access, ask: impl FnOnce(Arc<Session>) -> F + Send + 'static) -> Result<T, AwsError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AwsError>> + Send + 'static,
    {
        let (tell, hear) = std::sync::mpsc::sync_channel(1);
        runtime()?.spawn(async move {
            let answer = match Session::open(&access).await {
                Ok(session) => ask(session).await,
                Err(error) => Err(error),
            };
            let _ = tell.send(answer);
        });
        hear.recv().unwrap_or_else(|_| Err(AwsError::NoThread { why: "the call broke off".to_owned() }))
    }

    /// The same from where one can.
    pub(crate) async fn ask<T, F>(access: Access, ask: impl FnOnce(Arc<Session>) -> F + Send + 'static) -> Result<T, AwsError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AwsError>> + Send + 'static,
    {
        let call = runtime()?.spawn(async move {
            let session = Session::open(&access).await?;
            ask(session).await
        });
        call.await.unwrap_or_else(|error| Err(AwsError::NoThread { why: error.to_string() }))
    }
}

fn runtime() -> Result<&'static Runtime, AwsError> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let made = Builder::new_multi_thread().worker_threads(1).thread_name("aws").enable_all().build();
    let made = made.map_err(|error| AwsError::NoThread { why: error.to_string() })?;
    Ok(RUNTIME.get_or_init(|| made))
}
