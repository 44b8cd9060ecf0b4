//! TLS of the server: a certificate for loopback and for `store.peat.test`, by an authority of its own.
//!
//! Both are valid for a hundred years and vouch for nothing: their keys are for everybody to read (`certificates/`).

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Whom to trust, as PEM.
pub const AUTHORITY: &str = include_str!("certificates/authority.pem");

/// What accepts connections.
pub(super) fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("certificates/server.pem")).expect("it is PEM");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("certificates/server.key")).expect("it is PEM");
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate], key));
    TlsAcceptor::from(Arc::new(config.expect("the certificate belongs to the key")))
}
