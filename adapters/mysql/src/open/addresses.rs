//! The addresses of the options' host.

use super::look_up;
use cabrank::Limit;
use mysql::{DriverError, Error, Opts, Result};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// All addresses of the name, in the resolver's order; none if the driver connects by the options.
///
/// The driver's own name look-up cannot be aborted, and it gives up at the first address that refuses. With TLS the name must stay,
/// because the certificate is checked against it: the driver then resolves it again.
pub(super) fn find(opts: &Opts, limit: Option<&Limit>) -> Result<Vec<SocketAddr>> {
    let host = opts.get_ip_or_hostname();
    if opts.get_socket().is_some() || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return Ok(Vec::new());
    }
    let (name, port) = (host.into_owned(), opts.get_tcp_port());
    let found = look_up(limit, || (name.as_str(), port).to_socket_addrs().map(Vec::from_iter))?;
    let found = found.map_err(|error| {
        let host = format!("{name}:{port}");
        Error::DriverError(DriverError::CouldNotConnect(Some((host, error.to_string(), error.kind()))))
    })?;
    if opts.get_ssl_opts().is_some() {
        return Ok(Vec::new());
    }
    let mut addresses = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}
