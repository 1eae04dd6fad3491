//! An issuer behind TLS, with a certificate authority of its own.

use std::sync::Arc;

use hallpass_verify::client::{ConnectError, RequestError, Validator, ValidatorBuilder};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::issuer::*;
use crate::support::*;
use crate::tokens::*;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut parameters = CertificateParams::new([]).expect("parameters");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().expect("a key")).expect("a certificate")
}

/// What stands before the issuer; the answer is its URL.
async fn terminate_tls(issuer: &Issuer, authority: &Authority, name: &str) -> String {
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new([name.to_owned()])
        .and_then(|parameters| parameters.signed_by(&key, authority))
        .expect("a certificate");
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        )
        .expect("a configuration");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
    let behind = issuer.url().replace("http://", "");
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                let mut outer = acceptor.accept(connection).await?;
                let mut inner = TcpStream::connect(behind).await?;
                copy_bidirectional(&mut outer, &mut inner).await
            });
        }
    });
    for (member, path) in [
        ("issuer", ""),
        ("jwks_uri", JWKS),
        ("token_endpoint", TOKEN),
        ("introspection_endpoint", INTROSPECT),
        ("hallpass_revocations_endpoint", REVOCATIONS),
        ("hallpass_revocations_stream_endpoint", STREAM),
    ] {
        issuer.set_metadata(member, json!(format!("{url}{path}")));
    }
    url
}

fn builder_at(url: &str) -> ValidatorBuilder {
    Validator::builder(url, AUDIENCE).credentials(CLIENT, SECRET).clock(|| at(NOW))
}

async fn is_unreachable(builder: ValidatorBuilder) -> bool {
    matches!(builder.connect().await, Err(ConnectError::Metadata(RequestError::Unreachable(_))))
}

#[tokio::test]
async fn an_own_certificate_authority_is_trusted_if_it_is_named_and_no_other() {
    let (issuer, authority) = (Issuer::start(&[es256()]), authority());
    let url = terminate_tls(&issuer, &authority, "localhost").await;
    let validator = builder_at(&url).root_certificates(authority.pem()).connect().await.expect("connected");
    let token = es256().token_of(&es256().header(), &with(claims(), "iss", url.clone()));
    eventually("the token is accepted", || validator.check(&token).is_ok()).await;
    eventually("the stream is open", || issuer.open_streams() == 1).await;

    let asked = issuer.requests(METADATA);
    assert!(is_unreachable(builder_at(&url)).await);
    assert!(is_unreachable(builder_at(&url).root_certificates(self::authority().pem())).await);
    assert_eq!(issuer.requests(METADATA), asked);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let (issuer, authority) = (Issuer::start(&[es256()]), authority());
    let url = terminate_tls(&issuer, &authority, "id.example.com").await;
    assert!(is_unreachable(builder_at(&url).root_certificates(authority.pem())).await);
}
