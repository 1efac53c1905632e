//! Words of SQL, by their possible effect on a session. A list of what is known, not of what is forbidden: a missing entry costs a reset,
//! and never causes a leak.

use std::collections::HashMap;
use std::sync::LazyLock;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Word {
    /// Begins a statement that by itself leaves no trace.
    Statement,
    /// A table follows, or something uncertain.
    Into,
    /// A parenthesis after it is not a call.
    Keyword,
    /// A built-in function that depends only on its arguments, and on clocks. A stored function cannot replace it if its name is
    /// unqualified, with the parenthesis right behind it.
    Function,
    /// The session remembers it, or it is the name of a schema with switches.
    Doubtful,
    /// Unknown.
    Other,
}

pub(crate) fn kind(word: &[u8]) -> Word {
    let mut lower = [0; LONGEST];
    let Some(lower) = lower.get_mut(..word.len()) else { return Word::Other };
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    std::str::from_utf8(lower).ok().and_then(|word| WORDS.get(word)).copied().unwrap_or(Word::Other)
}

static WORDS: LazyLock<HashMap<&str, Word>> = LazyLock::new(|| {
    let lists = [
        (FUNCTIONS, Word::Function),
        (KEYWORDS, Word::Keyword),
        (STATEMENTS, Word::Statement),
        (DOUBTFUL, Word::Doubtful),
        ("into", Word::Into),
    ];
    lists.into_iter().flat_map(|(words, kind)| words.split_ascii_whitespace().map(move |word| (word, kind))).collect()
});

/// None of the known ones is longer.
const LONGEST: usize = 32;

/// SELECT, which also occurs within other statements, is judged by its place there.
const STATEMENTS: &str = "delete insert replace select update";

/// The session remembers `SQL_CALC_FOUND_ROWS`; MariaDB remembers the values of sequences, in whatever words they are queried. After a
/// `RETURNING` the server does not report the number of the row that `LAST_INSERT_ID()` remembers.
const DOUBTFUL: &str = "\
    sql_calc_found_rows next nextval previous procedure returning mysql sys performance_schema information_schema";

const KEYWORDS: &str = "\
    all and as between by case distinct else exists from having in interval is join key like limit not on or \
    set then union using value values when where xor";

/// Present in every server that this crate was tested with; `tests/it/functions.rs` queries those.
pub(crate) const FUNCTIONS: &str = "\
    abs adddate addtime avg bin bit_count cast ceil ceiling char_length coalesce concat concat_ws convert count \
    crc32 curdate current_date current_time current_timestamp curtime date date_add date_format date_sub \
    datediff day dayofmonth dayofweek dayofyear elt exp extract field find_in_set floor format from_base64 \
    from_unixtime greatest group_concat hex hour if ifnull instr isnull json_array json_arrayagg json_contains \
    json_extract json_length json_object json_objectagg json_set json_unquote json_valid last_day lcase least \
    left length ln locate log log10 log2 lower lpad ltrim max mid min minute mod month now nullif pi \
    position pow power quarter radians repeat reverse right round rpad rtrim second sha2 sign space sqrt \
    str_to_date strcmp subdate substr substring substring_index subtime sum time timediff timestamp timestampadd \
    timestampdiff to_base64 trim truncate ucase unhex unix_timestamp upper utc_date utc_time utc_timestamp week \
    weekday year";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_known_in_upper_and_lower_case() {
        assert_eq!(kind(b"SELECT"), Word::Statement);
        assert_eq!(kind(b"Count"), Word::Function);
        assert_eq!(kind(b"sql_calc_found_rows"), Word::Doubtful);
        assert_eq!(kind(b"in"), Word::Keyword);
    }

    #[test]
    fn what_changes_a_session_is_not_listed_as_harmless() {
        for name in [
            "get_lock",
            "release_lock",
            "release_all_locks",
            "last_insert_id",
            "sleep",
            "benchmark",
            "set_user_var",
            "rand",
            "lastval",
            "setval",
            "load_file",
            "master_pos_wait",
            "found_rows",
            "row_count",
            "ps_thread_id",
            "",
        ] {
            assert_eq!(kind(name.as_bytes()), Word::Other, "{name}");
        }
        assert_eq!(kind(&[b'x'; 200]), Word::Other);
    }
}
