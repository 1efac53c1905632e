//! The trial of a stand-in before it gets its name: it must start, accept the right password, over TLS where it offers TLS, and refuse a
//! wrong one. The program `servers` of `integration-tests` runs the trial, because it starts all containers. HAProxy and Prometheus have no
//! password; their trial checks a configuration.

use super::Image;
use crate::docker::docker;
use crate::setup::Tool;
use crate::{process, servers, setup};
use anyhow::{Context, Result};

/// Fails if the image does not behave as the official one would.
pub(super) fn run(image: Image, tag: &str) -> Result<()> {
    match image {
        Image::Haproxy => return process::run(&mut docker(["run", "--rm", tag, "sh", "-c", CHECK])),
        Image::Prometheus => {
            let shell = ["run", "--rm", "--entrypoint", "/bin/sh", tag, "-c", CHECK_PROMETHEUS];
            return process::run(&mut docker(shell));
        }
        _ => {}
    }
    setup::ready(&[Tool::C], setup::asked(false))?;
    servers::build()?;
    process::run(servers::program().args(["--try", image.name(), tag]))
        .with_context(|| format!("{tag} failed its trial"))
}

/// The smallest configuration that HAProxy accepts without a warning.
const CHECK: &str = r#"
cat > /tmp/haproxy.cfg << END
listen it
mode tcp
timeout connect 1s
timeout client 1s
timeout server 1s
bind :5432
END
haproxy -v && haproxy -c -f /tmp/haproxy.cfg
"#;

/// As in the tests, the image's shell writes the configuration.
const CHECK_PROMETHEUS: &str = r#"
/bin/prometheus --version && echo 'global: {scrape_interval: 1s}' > /tmp/prometheus.yml && /bin/promtool check config /tmp/prometheus.yml
"#;
