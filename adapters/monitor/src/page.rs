//! The page: one file, assembled at compile time. It loads no other resource.

use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use std::hash::{BuildHasher, RandomState};

/// The page, with a policy that allows a browser to run and load only its own content.
pub(crate) fn page() -> Response {
    let nonce = nonce();
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8".to_owned()), (CONTENT_SECURITY_POLICY, policy)];
    (headers, PAGE.replace(NONCE, &nonce)).into_response()
}

/// Unpredictable, because its keys are random.
fn nonce() -> String {
    let half = || RandomState::new().hash_one(std::time::Instant::now());
    format!("{:016x}{:016x}", half(), half())
}

const NONCE: &str = "{{nonce}}";
const PAGE: &str = concat!(
    include_str!("page/head.html"),
    "<style nonce=\"{{nonce}}\">\n",
    include_str!("page/colours.css"),
    include_str!("page/page.css"),
    "</style>\n",
    include_str!("page/body.html"),
    "<script nonce=\"{{nonce}}\">\n\"use strict\";\n",
    include_str!("page/sentences.js"),
    include_str!("page/texts.js"),
    include_str!("page/charts.js"),
    include_str!("page/tables.js"),
    include_str!("page/pools.js"),
    include_str!("page/tips.js"),
    include_str!("page/stream.js"),
    "</script>\n</body>\n</html>\n",
);
