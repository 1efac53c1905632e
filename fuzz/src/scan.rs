//! Tests a scanner of SQL for panics and for time.

use crate::campaign::{Campaign, is_linear};
use crate::texts::{Grammar, Texts};
use anyhow::{Result, ensure};

/// Makes it read texts of the grammar, with a few random bytes inserted, until the time is up.
///
/// # Errors
///
/// If a longer text takes too long.
pub fn scan(name: &str, grammar: Grammar, scanner: impl Fn(&[u8])) -> Result<()> {
    let mut campaign = Campaign::begin(name)?;
    let mut texts = Texts::new(grammar, campaign.rng());
    let mut rng = campaign.rng();
    while campaign.goes_on() {
        let mut text = texts.next_text().into_bytes();
        for _ in 0..rng.usize(..4) {
            let at = rng.usize(..=text.len());
            text.insert(at, rng.u8(..));
        }
        scanner(&text);
        if rng.u16(..1_000) == 0 {
            ensure!(is_linear(&text, &scanner), "longer texts take too long: {:?}", String::from_utf8_lossy(&text));
        }
    }
    campaign.end();
    Ok(())
}
