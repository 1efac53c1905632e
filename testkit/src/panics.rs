//! Panics that a test orders are not worth a line on the screen: those whose message begins with [`ORDERED`].

use std::sync::Once;

/// From now on panics whose message begins with [`ORDERED`] are not printed. Others are, as before.
pub fn hush() {
    static HUSH: Once = Once::new();
    HUSH.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let payload = panic.payload();
            let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
            if !text.is_some_and(|text| text.starts_with(ORDERED)) {
                usual(panic);
            }
        }));
    });
}

/// How the message of a panic begins that a test has ordered.
pub const ORDERED: &str = "as ordered";
