//! The setting whose name was probably meant.

use super::FIELDS;

/// The setting whose name differs least from this one, if it differs by at most `most` letters.
pub(super) fn nearest(name: &str, most: usize) -> Option<&'static str> {
    let by_distance = FIELDS.iter().map(|field| (distance(name, field.name), field.name));
    by_distance.min().filter(|(distance, _)| *distance <= most).map(|(_, name)| name)
}

/// How many letters must be inserted, removed or replaced to turn one into the other (the Levenshtein distance).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    // For the letters of `one` so far: the distance to each prefix of `other`.
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (count, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = count + 1;
        for at in 0..other.len() {
            let replaced = diagonal + usize::from(letter != other[at]);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_counted_in_letters() {
        for (one, other, letters) in [
            ("", "", 0),
            ("max_size", "max_size", 0),
            ("max_site", "max_size", 1),
            ("maxsize", "max_size", 1),
            ("max_sizes", "max_size", 1),
            ("amx_size", "max_size", 2),
            ("", "name", 4),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!((distance(one, other), distance(other, one)), (letters, letters), "{one} {other}");
        }
    }

    #[test]
    fn the_nearest_name_is_found_unless_it_is_far() {
        assert_eq!(nearest("maxsize", 2), Some("max_size"));
        assert_eq!(nearest("idletimeout", 2), Some("idle_timeout"));
        assert_eq!(nearest("password", 2), None);
    }
}
