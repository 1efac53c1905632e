//! TLS: each mode against a server that offers it, tracked and aborted like any other connection.

use crate::closing::close_on_a_long_statement;
use crate::fixture::{PATIENCE, Server, builder, on_server};
use crate::liveness::abort_a_deaf_statement;
use crate::refusals::refused_at_once;
use cabrank_postgres::postgres::Config;
use cabrank_postgres::postgres::config::SslMode;
use cabrank_postgres::{Connection, Pool, PostgresManager};
use cabrank_testing::harness::{alone, skip};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::error::Error as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_postgres_rustls::MakeRustlsConnect;

fn needs_tls(server: &Server) {
    if server.client().query_one("SHOW ssl", &[]).expect("a row").get::<_, String>(0) != "on" {
        skip("the server does not offer TLS");
    }
}

fn pool(server: &Server, mode: SslMode) -> Pool {
    let mut config = server.config.clone();
    config.ssl_mode(mode);
    builder().max_size(1).build(PostgresManager::new(config, connector())).expect("a pool")
}

fn is_encrypted(conn: &mut Connection) -> bool {
    conn.query_one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[]).expect("a row").get(0)
}

fn each_mode_does_as_it_says_and_all_are_tracked(server: Server) {
    needs_tls(&server);
    for (mode, encrypted) in [(SslMode::Disable, false), (SslMode::Prefer, true), (SslMode::Require, true)] {
        let pool = pool(&server, mode);
        let mut conn = pool.get().expect("a connection");
        assert_eq!(is_encrypted(&mut conn), encrypted, "{mode:?}");
        let pid = conn.backend_pid().expect("a pid");
        drop(conn);
        assert_eq!(pool.stats().resets_skipped, 1, "{mode:?}");
        pool.get().expect("a connection").batch_execute("SET work_mem = '1MB'").expect("no error");
        drop(pool.get().expect("a connection"));
        assert_eq!((pool.stats().resets_done, pool.stats().opened), (1, 1), "{mode:?}");
        assert!(pool.close_within(PATIENCE).is_clean());
        assert!(!server.has_session(pid), "{mode:?}");
    }
}

fn a_statement_is_cancelled_through_tls(server: Server) {
    needs_tls(&server);
    close_on_a_long_statement(&server, || pool(&server, SslMode::Require));
}

fn a_connection_is_aborted_through_tls(server: Server) {
    needs_tls(&server);
    abort_a_deaf_statement(&server, || pool(&server, SslMode::Require));
}

fn a_listener_that_never_answers_the_request_for_tls_holds_nobody_up() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut config = Config::new();
    config.host("127.0.0.1").port(listener.local_addr().expect("its number").port()).user("nobody");
    config.ssl_mode(SslMode::Require);
    let manager = PostgresManager::new(config, connector());
    let pool = builder().connect_timeout(Duration::from_millis(200)).build_lazy(manager).expect("a pool");
    let began = Instant::now();
    assert!(pool.get_timeout(Duration::from_millis(500)).is_err());
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert!(pool.close_within(PATIENCE).is_clean());
}

fn a_certificate_that_nobody_vouches_for_is_told_at_once(server: Server) {
    needs_tls(&server);
    let mut config = server.config.clone();
    config.ssl_mode(SslMode::Require);
    let provider = Arc::new(ring::default_provider());
    let trusting_nobody = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let connector = MakeRustlsConnect::new(trusting_nobody);
    let error = refused_at_once("a certificate", config, |asked| PostgresManager::with_config(asked, connector));
    assert!(error.source().expect("a source").to_string().contains("invalid peer certificate"), "{error:?}");
}

fn connector() -> MakeRustlsConnect {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    MakeRustlsConnect::new(config)
}

/// Accepts any certificate, because the server's was made for the test.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

cabrank_testing::tests! {
    on_server:
        each_mode_does_as_it_says_and_all_are_tracked,
        a_statement_is_cancelled_through_tls,
        a_connection_is_aborted_through_tls,
        a_certificate_that_nobody_vouches_for_is_told_at_once;
    alone:
        a_listener_that_never_answers_the_request_for_tls_holds_nobody_up,
}
