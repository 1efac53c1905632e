//! The server of a URL, observed from outside the pool, and a proxy in front of it.

use crate::Failure;
use cabrank_testing::Proxy;
use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use std::process;
use url::Url;

pub(crate) struct Server {
    url: Url,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl Server {
    pub(crate) fn new(url: &str) -> Result<Self, Failure> {
        let mut url = Url::parse(url)?;
        url.set_query(Some("sslmode=disable"));
        Ok(Self { url })
    }

    /// The URL for the application, whose sessions have a distinct name.
    pub(crate) fn url(&self) -> String {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("application_name", &name());
        url.into()
    }

    /// A proxy in front of this server, and the URL that leads through it.
    pub(crate) fn behind_proxy(&self) -> Result<(Proxy, String), Failure> {
        let host = self.url.host_str().ok_or("a URL without host")?.to_owned();
        let proxy = Proxy::start((host, self.url.port().unwrap_or(5432)))?;
        let mut url = Url::parse(&self.url())?;
        url.set_ip_host(proxy.address().ip()).map_err(|()| "a URL without host")?;
        url.set_port(Some(proxy.address().port())).map_err(|()| "a URL without port")?;
        Ok((proxy, url.into()))
    }

    /// A session that is not the application's.
    pub(crate) fn watch(&self) -> Result<Watch, Failure> {
        Ok(Watch(PgConnection::establish(self.url.as_str())?))
    }
}

pub(crate) struct Watch(PgConnection);

impl Watch {
    /// The number of the application's sessions.
    pub(crate) fn sessions(&mut self) -> Result<i64, Failure> {
        let query = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{}'", name());
        Ok(diesel::sql_query(query).get_result::<Count>(&mut self.0)?.count)
    }

    /// Runs a statement without a result, as an administrator.
    pub(crate) fn execute(&mut self, sql: &str) -> Result<(), Failure> {
        Ok(self.0.batch_execute(sql)?)
    }

    /// Ends them all. Returns how many there were.
    pub(crate) fn kill_all(&mut self) -> Result<usize, Failure> {
        let query = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '{}'",
            name()
        );
        Ok(diesel::sql_query(query).get_result::<Count>(&mut self.0)?.count as usize)
    }
}

/// The sessions' name, which contains the process id: several processes may use one server.
pub(crate) fn name() -> String {
    format!("trouble-{}", process::id())
}
