//! The texts with which poolers refuse a log-in.

use cabrank::Fault;

/// Classifies the text, if it may be a pooler's; `None` if it is unknown.
pub(super) fn fault(code: &str, text: &str) -> Option<Fault> {
    if !CODES.iter().any(|class| code.starts_with(class)) {
        return None;
    }
    let text = text.to_ascii_lowercase();
    TEXTS.iter().find(|(words, _)| text.contains(words)).map(|(_, fault)| *fault)
}

/// Poolers use "protocol violation", "connection failure", "system error" or "internal error" for every fault.
const CODES: &[&str] = &["08", "58000", "XX000"];

/// In lower case; the first match counts. PgBouncer also passes on its server's last error.
const TEXTS: &[(&str, Fault)] = &[
    // Full. PgBouncer, Supavisor; and PostgreSQL behind them.
    ("no more connections allowed", Fault::Capacity),
    ("client connections exceeded", Fault::Capacity),
    ("max client connections reached", Fault::Capacity),
    ("maxclientsinsessionmode", Fault::Capacity),
    ("too many clients", Fault::Capacity),
    ("too many connections", Fault::Capacity),
    ("connection slots are reserved", Fault::Capacity),
    // The user, and the way to log in. PgBouncer has had "auth failed" and "password", "sasl", "pam", "ldap" and others before it.
    ("authentication failed", Fault::Permanent),
    ("auth failed", Fault::Permanent),
    ("login rejected", Fault::Permanent),
    ("login failed", Fault::Permanent),
    ("no authentication method", Fault::Permanent),
    ("invalid sasl authentication mechanism", Fault::Permanent),
    ("no such user", Fault::Permanent),
    ("no username supplied", Fault::Permanent),
    ("username too long", Fault::Permanent),
    ("password too long", Fault::Permanent),
    ("empty password", Fault::Permanent),
    ("no pg_hba.conf entry", Fault::Permanent),
    ("not permitted to log in", Fault::Permanent),
    ("permission denied for database", Fault::Permanent),
    ("tenant or user not found", Fault::Permanent),
    // The database: PgBouncer; pgcat; Odyssey; PostgreSQL behind them.
    ("no such database", Fault::Permanent),
    ("no pool configured", Fault::Permanent),
    ("route for ", Fault::Permanent),
    ("does not exist", Fault::Permanent),
    ("not currently accepting connections", Fault::Permanent),
    // Parameters and the protocol.
    ("unsupported startup parameter", Fault::Permanent),
    ("unsupported options startup parameter", Fault::Permanent),
    ("unrecognized configuration parameter", Fault::Permanent),
    ("invalid value for parameter", Fault::Permanent),
    ("invalid server parameter", Fault::Permanent),
    ("bouncer config error", Fault::Permanent),
    ("old v2 protocol", Fault::Permanent),
    ("ssl required", Fault::Permanent),
    ("tls required", Fault::Permanent),
    ("is not supported by this build", Fault::Permanent),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pooler_says_in_words_counts() {
        for (code, text, expected) in [
            // PgBouncer, of several versions.
            ("08P01", "password authentication failed", Some(Fault::Permanent)),
            ("08P01", "SASL authentication failed", Some(Fault::Permanent)),
            ("08P01", "auth failed", Some(Fault::Permanent)),
            ("08P01", "no such database: shop", Some(Fault::Permanent)),
            ("08P01", "no such user: app", Some(Fault::Permanent)),
            ("08P01", "unsupported startup parameter: search_path", Some(Fault::Permanent)),
            ("08P01", "unsupported startup parameter in options: x", Some(Fault::Permanent)),
            ("08P01", "bouncer config error", Some(Fault::Permanent)),
            ("08P01", "SSL required", Some(Fault::Permanent)),
            (
                "08P01",
                "server login has been failing, cached error: database \"shop\" does not exist (server_login_retry)",
                Some(Fault::Permanent),
            ),
            ("08P01", "server login has been failing, cached error: connect failed (server_login_retry)", None),
            ("08P01", "no more connections allowed (max_client_conn)", Some(Fault::Capacity)),
            ("08P01", "client connections exceeded (max_db_client_connections)", Some(Fault::Capacity)),
            ("08P01", "sorry, too many clients already", Some(Fault::Capacity)),
            ("08P01", "database \"shop\" is disabled", None),
            ("08P01", "pgbouncer cannot connect to server", None),
            ("08P01", "query_wait_timeout", None),
            // pgcat, Odyssey, Supavisor.
            ("58000", "No pool configured for database: \"shop\", user: \"app\"", Some(Fault::Permanent)),
            ("58000", "Pool down for database: \"shop\", user: \"app\"", None),
            ("58000", "ldap authentication failed for user \"app\": insufficient access", Some(Fault::Permanent)),
            ("08006", "failed to connect to remote server", None),
            ("XX000", "Tenant or user not found", Some(Fault::Permanent)),
            ("22023", "auth failed", None),
            ("XX000", "Max client connections reached", Some(Fault::Capacity)),
        ] {
            assert_eq!(fault(code, text), expected, "{code} {text}");
        }
    }
}
