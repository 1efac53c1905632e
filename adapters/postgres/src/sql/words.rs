//! Harmless command tags, and functions by name.
//!
//! A list of what is known, not of what is forbidden: a missing entry costs a reset, and never causes a leak.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Whether a command with this tag (`INSERT 0 1`) leaves the session unchanged. The scan of the text finds effects behind `SELECT` and
/// the like, and a plain `SET`.
pub(crate) fn is_harmless_tag(tag: &[u8]) -> bool {
    let words = tag.iter().position(u8::is_ascii_digit).map_or(tag, |digit| &tag[..digit]);
    TAGS.contains(&words.trim_ascii_end())
}

/// Whether this function changes nothing in the session.
pub(super) fn is_harmless_function(name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok_and(|name| NAMES.contains(name))
}

/// Whether this word cannot be a function's name.
pub(super) fn is_keyword(word: &[u8]) -> bool {
    KEYWORDS.split_ascii_whitespace().any(|keyword| word.eq_ignore_ascii_case(keyword.as_bytes()))
}

/// `SET` is here because the scan of the text distinguishes `SET LOCAL` from the rest.
const TAGS: &[&[u8]] = &[
    b"SELECT",
    b"INSERT",
    b"UPDATE",
    b"DELETE",
    b"BEGIN",
    b"COMMIT",
    b"ROLLBACK",
    b"START TRANSACTION",
    b"SAVEPOINT",
    b"RELEASE",
    b"MERGE",
    b"COPY",
    b"FETCH",
    b"MOVE",
    b"CLOSE CURSOR",
    b"LOCK TABLE",
    b"TRUNCATE TABLE",
    b"NOTIFY",
    b"SHOW",
    b"SET",
    b"SET CONSTRAINTS",
];

/// Looked up by name, for each call in a text that is seen for the first time.
static NAMES: LazyLock<HashSet<&str>> = LazyLock::new(|| FUNCTIONS.split_ascii_whitespace().collect());

/// Words before a parenthesis that is never a call: no function can have such a name. (For those that may be names, such as `SETS` or
/// `JOIN`, the scan decides by the preceding token.)
const KEYWORDS: &str = "\
    all and any array as between bit case char decimal distinct else except exists float from group grouping having \
    in intersect interval lateral limit not numeric offset on or returning row select some table then time timestamp \
    union using values varchar when where with";

/// Pairs of words before a parenthesis that is not a call, though the second alone might be a function's name. (The scan handles pairs
/// that depend on more of the statement.)
pub(super) const PAIRS: &[(&str, &str)] =
    &[("group", "by"), ("order", "by"), ("partition", "by"), ("grouping", "sets"), ("as", "materialized")];

/// Words that may be names, too, or that join expressions, and after which an expression may begin.
pub(super) const EXPECTING: &[&str] = &[
    "asymmetric",
    "both",
    "by",
    "collate",
    "default",
    "escape",
    "first",
    "for",
    "groups",
    "ilike",
    "join",
    "key",
    "leading",
    "like",
    "next",
    "only",
    "overlaps",
    "placing",
    "range",
    "rows",
    "symmetric",
    "tablesample",
    "to",
    "trailing",
    "value",
    "variadic",
    "zone",
];

/// The words that may begin the statement after `WITH`.
pub(super) const VERBS: &[&str] = &["select", "values", "table", "insert", "update", "delete", "merge"];

/// The usual ones of PostgreSQL's built-in functions. None changes the session, runs SQL that it is given, or keeps anything beyond the
/// transaction.
pub(crate) const FUNCTIONS: &str = "\
    abs age array_agg array_append array_cat array_dims array_length array_lower array_ndims array_position \
    array_positions array_prepend array_remove array_replace array_to_json array_to_string array_upper ascii avg \
    bit_and bit_length bit_or bool_and bool_or btrim cardinality cast cbrt ceil ceiling char_length \
    character_length chr clock_timestamp coalesce concat concat_ws convert_from convert_to corr count cume_dist \
    current_database current_schema current_setting current_time current_timestamp date_bin date_part date_trunc \
    decode degrees dense_rank div encode every exp extract factorial first_value floor format format_type gcd \
    gen_random_uuid generate_series generate_subscripts greatest hashtext initcap isfinite json_agg \
    json_array_elements json_array_elements_text json_array_length json_build_array json_build_object json_each \
    json_each_text json_extract_path json_extract_path_text json_object json_object_agg json_object_keys \
    json_strip_nulls json_to_record json_to_recordset json_typeof jsonb_agg jsonb_array_elements \
    jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text \
    jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg jsonb_object_keys \
    jsonb_path_exists jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_pretty jsonb_set \
    jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_typeof justify_interval lag last_value lcm lead \
    least left length ln localtime localtimestamp log lower lower_inc lower_inf lpad ltrim make_date make_interval \
    make_time make_timestamp make_timestamptz max md5 min mod mode now nth_value ntile nullif num_nonnulls \
    num_nulls numrange obj_description octet_length overlay percent_rank percentile_cont percentile_disc \
    pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_backend_pid pg_column_size pg_database_size \
    pg_get_constraintdef pg_get_expr pg_get_indexdef pg_get_serial_sequence pg_get_viewdef pg_indexes_size \
    pg_is_in_recovery pg_notify pg_relation_size pg_size_pretty pg_sleep pg_sleep_for pg_sleep_until \
    pg_table_is_visible pg_table_size pg_total_relation_size pg_try_advisory_xact_lock \
    pg_try_advisory_xact_lock_shared pg_typeof pi position power quote_ident quote_literal quote_nullable radians \
    random rank regexp_count regexp_instr regexp_like regexp_match regexp_matches regexp_replace \
    regexp_split_to_array regexp_split_to_table regexp_substr repeat replace reverse right round row_number \
    row_to_json rpad rtrim sha224 sha256 sha384 sha512 sign split_part sqrt starts_with statement_timestamp stddev \
    stddev_pop stddev_samp string_agg string_to_array string_to_table strpos substr substring sum timezone \
    to_ascii to_char to_date to_hex to_json to_jsonb to_number to_regclass to_regtype to_timestamp to_tsquery \
    to_tsvector transaction_timestamp translate trim trunc ts_headline ts_rank ts_rank_cd tstzrange txid_current \
    unnest upper upper_inc upper_inf var_pop var_samp variance version websearch_to_tsquery width_bucket";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_known_by_their_whole_names() {
        for name in ["abs", "count", "lower"] {
            assert!(is_harmless_function(name.as_bytes()), "{name}");
        }
        assert!(!is_harmless_function(b"xmin"));
        assert!(is_keyword(b"Where") && !is_harmless_function(b"where"), "in quotes it may be one");
        assert!(!is_harmless_function(b"abs age") && !is_harmless_function(b"Abs") && !is_harmless_function(&[0xff]));
    }

    #[test]
    fn what_changes_a_session_is_not_listed() {
        for name in [
            "set_config",
            "setseed",
            "pg_advisory_lock",
            "pg_try_advisory_lock",
            "pg_advisory_unlock_all",
            "nextval",
            "setval",
            "dblink_connect",
            "lo_open",
            "query_to_xml",
            "database_to_xml",
            "ts_stat",
            "ts_rewrite",
            "",
        ] {
            assert!(!is_harmless_function(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn tags_are_known_without_their_counts() {
        for tag in ["SELECT 12", "INSERT 0 1", "COPY 3", "BEGIN", "START TRANSACTION", "ROLLBACK"] {
            assert!(is_harmless_tag(tag.as_bytes()), "{tag}");
        }
        for tag in ["LISTEN", "CREATE TABLE", "PREPARE", "PREPARE TRANSACTION", "DO", "CALL", "DISCARD ALL", "", "7"] {
            assert!(!is_harmless_tag(tag.as_bytes()), "{tag}");
        }
    }
}
