//! HTTPS of the control side: its clients share one implementation of cryptography, which SSH uses as well.

use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// To be told how long it waits, and the like.
#[expect(clippy::disallowed_methods, reason = "elsewhere it would have no cryptography")]
pub(crate) fn client() -> reqwest::ClientBuilder {
    // Only the first call can do it, and all do the same.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
}

/// For the SDK of AWS.
pub(crate) fn aws_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}
