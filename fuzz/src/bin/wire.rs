//! The reader of PostgreSQL's protocol: for any bytes, in pieces of any size, it neither panics nor keeps more than a little, and its
//! verdict does not depend on where the network splits them.

#![allow(dead_code, unused_imports, reason = "the adapter's own sources, of which the tracker is looked at")]

#[path = "../../../adapters/postgres/src/sql/mod.rs"]
mod sql;
#[path = "../../../adapters/postgres/src/tracker/mod.rs"]
mod tracker;
#[path = "../../../adapters/postgres/src/wire/mod.rs"]
mod wire;

use fastrand::Rng;
use fuzz::Campaign;
use std::iter::repeat_with;
use tracker::Tracker;

fn main() -> anyhow::Result<()> {
    let mut campaign = Campaign::begin("wire")?;
    let mut rng = campaign.rng();
    while campaign.goes_on() {
        let conversation = conversation(&mut rng);
        let mut whole = Tracker::new();
        let mut in_parts = Tracker::new();
        for (client, bytes) in &conversation {
            feed(&mut whole, *client, bytes);
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let size = if rng.u8(..4) == 0 { rng.usize(1..=rest.len()) } else { rng.usize(1..=rest.len().min(7)) };
                feed(&mut in_parts, *client, &rest[..size]);
                assert!(in_parts.allocated() <= MOST_KEPT, "{} bytes are kept: {conversation:?}", in_parts.allocated());
                rest = &rest[size..];
            }
            assert_eq!(verdict(&whole), verdict(&in_parts), "{conversation:?}");
        }
    }
    campaign.end();
    Ok(())
}

fn feed(tracker: &mut Tracker, client: bool, bytes: &[u8]) {
    if client { tracker.wrote(bytes) } else { tracker.read(bytes) }
}

/// All public results of a tracker.
fn verdict(tracker: &Tracker) -> impl PartialEq + std::fmt::Debug + use<> {
    (tracker.session(false), tracker.session(true), tracker.end(), tracker.pid(), tracker.effect())
}

type Conversation = Vec<(bool, Vec<u8>)>;

fn conversation(rng: &mut Rng) -> Conversation {
    let startup = (true, vec![0, 0, 0, 9, 0, 3, 0, 0, 0]);
    let begins = if rng.u8(..20) == 0 { None } else { Some(startup) };
    let pieces = rng.usize(1..25);
    begins.into_iter().chain(repeat_with(|| piece(rng)).take(pieces)).collect()
}

fn piece(rng: &mut Rng) -> (bool, Vec<u8>) {
    let client = rng.bool();
    let messages = rng.usize(1..5);
    (client, repeat_with(|| message(rng, client)).take(messages).collect::<Vec<_>>().concat())
}

fn message(rng: &mut Rng, client: bool) -> Vec<u8> {
    let tags: &[u8] = if client { b"QPBECDSHFXdcfp" } else { b"ZCEKSGHWIDT123ANRvtns" };
    let tag = if rng.u8(..10) == 0 { rng.u8(..) } else { tags[rng.usize(..tags.len())] };
    let mut body = body(rng, tag);
    if rng.u8(..8) == 0 && !body.is_empty() {
        let at = rng.usize(..body.len());
        body[at] = rng.u8(..);
    }
    let length = match rng.u8(..40) {
        0 => rng.i32(..),
        1 => rng.i32(-8..8),
        2 => body.len() as i32 + rng.i32(-5..5) + 4,
        _ => body.len() as i32 + 4,
    };
    [&[tag][..], &length.to_be_bytes(), &body].concat()
}

fn body(rng: &mut Rng, tag: u8) -> Vec<u8> {
    let texts: &[&[u8]] = &[
        b"SELECT 1\0",
        b"SELECT set_config('a', 'b', false)\0",
        b"COPY t FROM STDIN\0",
        b"SET LOCAL a = 1\0",
        b"BEGIN; COMMIT\0",
        b"DEALLOCATE ALL\0",
        b"\0",
    ];
    let names: &[&[u8]] = &[b"\0", b"s1\0", b"s2\0", &[b'n'; 70]];
    let tags: &[&[u8]] =
        &[b"SELECT 1\0", b"LISTEN\0", b"PREPARE\0", b"DISCARD ALL\0", b"INSERT 0 1\0", b"ROLLBACK\0", b"SET\0"];
    let errors: &[&[u8]] = &[
        b"SERROR\0VERROR\0C22012\0Mno\0\0",
        b"SFATAL\0VFATAL\0C57P01\0Mbye\0\0",
        b"SERROR\0C26000\0\0",
        b"C0A000\0\0",
    ];
    match tag {
        b'Q' => pick(rng, texts),
        b'P' => [pick(rng, names), pick(rng, texts), vec![0, 0]].concat(),
        b'B' => [pick(rng, names), pick(rng, names), vec![0; 6]].concat(),
        b'C' if rng.bool() => [b"S".to_vec(), pick(rng, names)].concat(),
        b'C' => pick(rng, tags),
        b'Z' => vec![b"ITE?"[rng.usize(..4)]],
        b'K' => vec![0, 0, 1, 0, 9, 9, 9, 9],
        b'E' => pick(rng, errors),
        _ => {
            let length = if rng.u8(..30) == 0 { rng.usize(..40_000) } else { rng.usize(..40) };
            repeat_with(|| rng.u8(..)).take(length).collect()
        }
    }
}

fn pick(rng: &mut Rng, among: &[&[u8]]) -> Vec<u8> {
    among[rng.usize(..among.len())].to_vec()
}

/// For both directions together, in bytes.
const MOST_KEPT: usize = 2 * 40 * 1024;
