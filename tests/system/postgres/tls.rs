//! TLS connections to the database, with a private certificate authority.

use brokkr_store_postgres::{ConnectError, PostgresConfig, PostgresStore, migrate};
use brokkr_testbed::{Certificates, Postgres, ScratchFolder};

/// The result of a connection with this TLS mode.
async fn refused(url: &str) -> ConnectError {
    PostgresStore::connect(PostgresConfig::new(url)).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_certificate_is_verified() {
    let folder = ScratchFolder::new("tls").unwrap();
    let place = folder.path().join("postgres");
    let made = Certificates::make(&place.join("certificates")).unwrap();
    let settings = [
        "fsync=off".to_owned(),
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", made.server.display()),
        format!("ssl_key_file={}", made.key.display()),
    ];
    let server = Postgres::start_with(&place, &settings.each_ref().map(String::as_str)).unwrap();
    server.create_brokkr("brokkr").unwrap();
    let url = |role: &str, rest: &str| format!("{}?{rest}", server.url_of(role, "brokkr"));
    let right = format!("sslmode=verify-full&sslrootcert={}", made.authority.display());
    migrate(url("brokkr_owner", &right), Some("brokkr_broker")).await.unwrap();
    let store = PostgresStore::connect(PostgresConfig::new(url("brokkr_broker", &right))).await.unwrap();
    brokkr_core::store::Maintenance::check(&store).await.unwrap();
    let encrypted = "SELECT bool_and(s.ssl) AND count(*) > 0 FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
        WHERE a.application_name = 'brokkr-broker'";
    assert_eq!(server.query(encrypted).unwrap(), "t");

    let other = Certificates::make(&folder.path().join("other")).unwrap();
    let wrong = format!("sslmode=verify-full&sslrootcert={}", other.authority.display());
    for rest in [wrong.as_str(), "sslmode=verify-full", "sslmode=verify-ca"] {
        let error = refused(&url("brokkr_broker", rest)).await;
        assert!(
            matches!(error, ConnectError::Tls(_)) && error.to_string().contains("sslrootcert must name"),
            "{error}"
        );
        let migration = migrate(url("brokkr_owner", rest), None).await.unwrap_err().to_string();
        assert!(migration.contains("sslrootcert must name"), "{migration}");
    }
    // The authority matches, but not the server name.
    let elsewhere = url("brokkr_broker", &right).replace("127.0.0.1", "localhost");
    let error = refused(&elsewhere).await;
    assert!(matches!(error, ConnectError::Tls(_)) && error.to_string().contains("have a name"), "{error}");
    PostgresStore::connect(PostgresConfig::new(elsewhere.replace("verify-full", "verify-ca"))).await.unwrap();

    // A server without TLS is refused too.
    let plain = crate::support::Database::new();
    let error = refused(&format!("{}?{right}", plain.url("brokkr_broker"))).await;
    assert!(matches!(error, ConnectError::Tls(_)), "{error}");
}
