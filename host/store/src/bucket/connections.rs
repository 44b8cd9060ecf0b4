//! Connections of the SDK's client: TLS, proxies. The certificates of the system are read for the first request by TLS: to parse
//! them takes a small command's time again, and a store on the same machine or a trusted network is asked without.

use std::env;
use std::path::Path;
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use peat_core::ports::ObjectError;

use super::settings::misconfigured;

/// How long a connection may take: longer than three losses of its first packet.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept: less than servers do, so that a write rarely meets one that was just closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// A proxy for requests without TLS may itself be one that is asked by TLS.
const PROXIES: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// Trusts the certificates of the system and those in the file `ca_bundle`.
pub(super) fn http_client(ca_bundle: Option<&Path>) -> Result<SharedHttpClient, ObjectError> {
    let mut trusted = TrustStore::default();
    if let Some(path) = ca_bundle {
        let unusable = |reason: String| misconfigured("AWS_CA_BUNDLE", format!("{}: {reason}", path.display()));
        trusted.add_pem_certificate(std::fs::read(path).map_err(|error| unusable(error.to_string()))?);
    }
    let context = TlsContext::builder()
        .with_trust_store(trusted)
        .build()
        .map_err(|error| misconfigured("certificates", error.to_string()))?;
    let secure = Builder::new().build_with_connector_fn(move |settings, components| {
        connector(settings, components)
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(context.clone())
            .build()
    });
    if PROXIES.iter().any(|name| env::var_os(name).is_some()) {
        return Ok(secure);
    }
    let plain =
        Builder::new().build_with_connector_fn(|settings, components| connector(settings, components).build_http());
    Ok(SharedHttpClient::new(ByScheme { plain, secure }))
}

fn connector(settings: Option<&HttpConnectorSettings>, components: Option<&RuntimeComponents>) -> ConnectorBuilder {
    let timeouts = || HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
    let mut connector = Connector::builder()
        .proxy_config(ProxyConfig::from_env())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .connector_settings(settings.cloned().unwrap_or_else(timeouts));
    if let Some(sleep) = components.and_then(RuntimeComponents::sleep_impl) {
        connector = connector.sleep_impl(sleep);
    }
    connector
}

/// Two clients, of which a request's scheme chooses.
#[derive(Debug)]
struct ByScheme {
    plain: SharedHttpClient,
    secure: SharedHttpClient,
}

impl HttpClient for ByScheme {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Chosen {
            plain: self.plain.http_connector(settings, components),
            secure: self.secure.clone(),
            settings: settings.clone(),
            components: components.clone(),
        })
    }
}

/// A connector by TLS is asked for when it is wanted. Its client keeps it.
#[derive(Debug)]
struct Chosen {
    plain: SharedHttpConnector,
    secure: SharedHttpClient,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

impl HttpConnector for Chosen {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if request.uri().starts_with("https:") {
            self.secure.http_connector(&self.settings, &self.components).call(request)
        } else {
            self.plain.call(request)
        }
    }
}
