//! The tracker with arbitrary bytes: no panic, no allocation of a size that a peer claims, and the same verdict however the network
//! splits the data.
//!
//! `PROPTEST_CASES` sets the number of cases.

use super::Tracker;
use proptest::collection::vec;
use proptest::prelude::*;

/// Bytes, and their direction.
#[derive(Debug, Clone)]
enum Piece {
    Wrote(Vec<u8>),
    Read(Vec<u8>),
}

fn feed(tracker: &mut Tracker, piece: &Piece) {
    match piece {
        Piece::Wrote(bytes) => tracker.wrote(bytes),
        Piece::Read(bytes) => tracker.read(bytes),
    }
}

/// Everything that a tracker reports.
fn verdict(tracker: &Tracker) -> String {
    format!(
        "{:?} {:?} {:?} {:?} {:?}",
        tracker.session(false),
        tracker.session(true),
        tracker.end(),
        tracker.pid(),
        tracker.effect()
    )
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![tag];
    message.extend_from_slice(&(body.len() as i32 + 4).to_be_bytes());
    message.extend_from_slice(body);
    message
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"SELECT 1\0".to_vec()),
        Just(b"SELECT set_config('a', 'b', false)\0".to_vec()),
        Just(b"COPY t FROM STDIN\0".to_vec()),
        vec(any::<u8>(), 0..40),
        vec(b'x'..b'z', 16_000..20_000),
    ]
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(b"\0".to_vec()), Just(b"s1\0".to_vec()), Just(b"s2\0".to_vec()), vec(b'a'..b'c', 60..70)]
}

fn from_client() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        text().prop_map(|text| message(b'Q', &text)),
        (name(), text()).prop_map(|(name, text)| message(b'P', &[name, text, vec![0, 0]].concat())),
        (name(), name()).prop_map(|(portal, name)| message(b'B', &[portal, name, vec![0; 6]].concat())),
        name().prop_map(|name| message(b'C', &[b"S".to_vec(), name].concat())),
        Just(message(b'S', b"")),
        Just(message(b'c', b"")),
        (any::<u8>(), vec(any::<u8>(), 0..20)).prop_map(|(tag, body)| message(tag, &body)),
    ]
}

fn from_server() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop_oneof![Just(b'I'), Just(b'T'), Just(b'E'), any::<u8>()].prop_map(|status| message(b'Z', &[status])),
        prop_oneof![Just("SELECT 1\0"), Just("LISTEN\0"), Just("PREPARE\0")]
            .prop_map(|tag| message(b'C', tag.as_bytes())),
        Just(message(b'G', &[0, 0, 0])),
        Just(message(b'K', &[0, 0, 1, 0, 9, 9, 9, 9])),
        Just(message(b'S', b"TimeZone\0UTC\0")),
        Just(message(b'E', b"SERROR\0VERROR\0C22012\0Mno\0\0")),
        Just(message(b'E', b"SFATAL\0VFATAL\0C57P01\0Mbye\0\0")),
        vec(any::<u8>(), 0..5_000).prop_map(|row| message(b'D', &row)),
        (any::<u8>(), vec(any::<u8>(), 0..200)).prop_map(|(tag, body)| message(tag, &body)),
    ]
}

/// A plausible or implausible conversation of a server and a client.
fn conversation() -> impl Strategy<Value = Vec<Piece>> {
    let piece = prop_oneof![
        vec(from_client(), 1..4).prop_map(|messages| Piece::Wrote(messages.concat())),
        vec(from_server(), 1..4).prop_map(|messages| Piece::Read(messages.concat())),
    ];
    vec(piece, 0..20).prop_map(|mut pieces| {
        let startup = [0, 0, 0, 9, 0, 3, 0, 0, 0].to_vec();
        pieces.insert(0, Piece::Wrote(startup));
        pieces
    })
}

/// The same bytes in the same order, in smaller pieces.
fn cut(pieces: &[Piece], sizes: &[usize]) -> Vec<Piece> {
    let mut sizes = sizes.iter().copied().cycle();
    let mut smaller = Vec::new();
    for piece in pieces {
        let (bytes, wrap): (_, fn(Vec<u8>) -> Piece) = match piece {
            Piece::Wrote(bytes) => (bytes, Piece::Wrote),
            Piece::Read(bytes) => (bytes, Piece::Read),
        };
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let size = sizes.next().unwrap_or(1).clamp(1, rest.len());
            smaller.push(wrap(rest[..size].to_vec()));
            rest = &rest[size..];
        }
    }
    smaller
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_verdict_does_not_depend_on_where_the_network_cuts(
        pieces in conversation(),
        sizes in vec(1usize..3_000, 1..8),
    ) {
        let mut whole = Tracker::new();
        pieces.iter().for_each(|piece| feed(&mut whole, piece));
        let mut in_parts = Tracker::new();
        for piece in cut(&pieces, &sizes) {
            feed(&mut in_parts, &piece);
            prop_assert!(in_parts.allocated() <= MOST_KEPT);
        }
        prop_assert_eq!(verdict(&whole), verdict(&in_parts));
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(
        pieces in vec((any::<bool>(), vec(any::<u8>(), 0..300)), 0..30),
    ) {
        let mut tracker = Tracker::new();
        for (client, bytes) in pieces {
            feed(&mut tracker, &if client { Piece::Wrote(bytes) } else { Piece::Read(bytes) });
            prop_assert!(tracker.allocated() <= MOST_KEPT);
            verdict(&tracker);
        }
    }

    /// A header that announces up to two gigabytes allocates room only for the bytes that have arrived.
    #[test]
    fn a_length_alone_allocates_nothing(tag in any::<u8>(), length in any::<i32>(), come in 0usize..200) {
        let mut tracker = Tracker::new();
        tracker.wrote(&[0, 0, 0, 8, 0, 3, 0, 0]);
        let promise = [&[tag][..], &length.to_be_bytes(), &vec![b'x'; come]].concat();
        tracker.wrote(&promise);
        tracker.read(&promise);
        prop_assert!(tracker.allocated() <= 4 * (come + 8), "{}", tracker.allocated());
    }
}

const MOST_KEPT: usize = 2 * 40 * 1024;
