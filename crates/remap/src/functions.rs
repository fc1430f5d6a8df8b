//! Which functions a program has: each one of the language's library is in one of two lists.

use vrl::compiler::Function;

/// Functions that a program may call.
pub const ALLOWED: [&str; 153] = [
    "abs",
    "append",
    "array",
    "assert",
    "assert_eq",
    "basename",
    "bool",
    "camelcase",
    "ceil",
    "chunks",
    "community_id",
    "compact",
    "contains",
    "contains_all",
    "decode_base16",
    "decode_base64",
    "decode_charset",
    "decode_mime_q",
    "decode_percent",
    "decode_punycode",
    "del",
    "dirname",
    "downcase",
    "encode_base16",
    "encode_base64",
    "encode_csv",
    "encode_json",
    "encode_key_value",
    "encode_logfmt",
    "encode_percent",
    "encode_punycode",
    "ends_with",
    "exists",
    "filter",
    "find",
    "flatten",
    "float",
    "floor",
    "for_each",
    "format_int",
    "format_number",
    "format_timestamp",
    "from_entries",
    "from_unix_timestamp",
    "get",
    "haversine",
    "includes",
    "int",
    "ip_aton",
    "ip_cidr_contains",
    "ip_ntoa",
    "ip_ntop",
    "ip_pton",
    "ip_subnet",
    "ip_to_ipv6",
    "ipv6_to_ipv4",
    "is_array",
    "is_boolean",
    "is_empty",
    "is_float",
    "is_integer",
    "is_ipv4",
    "is_ipv6",
    "is_json",
    "is_null",
    "is_nullish",
    "is_object",
    "is_regex",
    "is_string",
    "is_timestamp",
    "join",
    "kebabcase",
    "keys",
    "length",
    "map_keys",
    "map_values",
    "match",
    "match_any",
    "match_array",
    "merge",
    "mod",
    "now",
    "object",
    "object_from_array",
    "parse_apache_log",
    "parse_aws_alb_log",
    "parse_aws_cloudwatch_log_subscription_message",
    "parse_aws_vpc_flow_log",
    "parse_bytes",
    "parse_cef",
    "parse_common_log",
    "parse_csv",
    "parse_duration",
    "parse_float",
    "parse_glog",
    "parse_int",
    "parse_json",
    "parse_key_value",
    "parse_klog",
    "parse_linux_authorization",
    "parse_logfmt",
    "parse_nginx_log",
    "parse_query_string",
    "parse_regex",
    "parse_regex_all",
    "parse_syslog",
    "parse_timestamp",
    "parse_tokens",
    "parse_url",
    "parse_user_agent",
    "parse_yaml",
    "pascalcase",
    "pop",
    "push",
    "range",
    "redact",
    "remove",
    "replace",
    "replace_with",
    "round",
    "screamingsnakecase",
    "set",
    "shannon_entropy",
    "sieve",
    "slice",
    "snakecase",
    "split",
    "split_path",
    "starts_with",
    "string",
    "strip_ansi_escape_codes",
    "strip_whitespace",
    "strlen",
    "tag_types_externally",
    "tally",
    "tally_value",
    "timestamp",
    "to_bool",
    "to_entries",
    "to_float",
    "to_int",
    "to_regex",
    "to_string",
    "to_syslog_facility",
    "to_syslog_facility_code",
    "to_syslog_level",
    "to_syslog_severity",
    "to_unix_timestamp",
    "truncate",
    "unique",
    "upcase",
    "values",
    "zip",
];

const NETWORK: &str = "reaches the network";
const ENVIRONMENT: &str = "reads the environment";
const MACHINE: &str = "reads files or settings of this machine";
const UNPACKS: &str = "can unpack a small line into one without bounds";
const BYTES: &str = "makes bytes that are no text";
const BACKTRACKS: &str = "can take for ever on some lines; parse_regex and the parse_… functions cannot";
const NESTED: &str = "has no bound on how deeply a line is nested";
const CHANCE: &str = "makes another value each time, so that a line would not be the same when it is run again";
const CRYPTO: &str = "is for ciphers, hashes and keys, which do not belong into the configuration";

/// Functions of the language that a program may not call, and what each one does.
pub const DENIED: [(&str, &str); 58] = [
    ("crc", CRYPTO),
    ("decode_gzip", UNPACKS),
    ("decode_lz4", UNPACKS),
    ("decode_snappy", UNPACKS),
    ("decode_zlib", UNPACKS),
    ("decode_zstd", UNPACKS),
    ("decrypt", CRYPTO),
    ("decrypt_ip", CRYPTO),
    ("dns_lookup", NETWORK),
    ("encode_charset", BYTES),
    ("encode_gzip", BYTES),
    ("encode_lz4", BYTES),
    ("encode_proto", MACHINE),
    ("encode_snappy", BYTES),
    ("encode_zlib", BYTES),
    ("encode_zstd", BYTES),
    ("encrypt", CRYPTO),
    ("encrypt_ip", CRYPTO),
    ("exec", "runs another program"),
    ("find_enrichment_table_records", MACHINE),
    ("get_enrichment_table_record", MACHINE),
    ("get_env_var", ENVIRONMENT),
    ("get_hostname", MACHINE),
    ("get_secret", MACHINE),
    ("get_timezone_name", MACHINE),
    ("hmac", CRYPTO),
    ("http_request", NETWORK),
    ("log", "writes into the log of the program itself"),
    ("match_datadog_query", BACKTRACKS),
    ("md5", CRYPTO),
    ("parse_cbor", NESTED),
    ("parse_etld", MACHINE),
    ("parse_grok", BACKTRACKS),
    ("parse_groks", BACKTRACKS),
    ("parse_influxdb", NESTED),
    ("parse_proto", MACHINE),
    ("parse_ruby_hash", NESTED),
    ("parse_xml", NESTED),
    ("random_bool", CHANCE),
    ("random_bytes", CHANCE),
    ("random_float", CHANCE),
    ("random_int", CHANCE),
    ("remove_secret", MACHINE),
    ("reverse_dns", NETWORK),
    ("seahash", CRYPTO),
    ("set_secret", MACHINE),
    ("sha1", CRYPTO),
    ("sha2", CRYPTO),
    ("sha3", CRYPTO),
    ("sleep", "waits"),
    ("type_def", "is for those who work on the language itself"),
    ("unflatten", NESTED),
    ("unnest", "makes several lines of one"),
    ("uuid_from_friendly_id", CRYPTO),
    ("uuid_v4", CHANCE),
    ("uuid_v7", CHANCE),
    ("validate_json_schema", MACHINE),
    ("xxhash", CRYPTO),
];

/// The functions of the library that a program may call.
pub(crate) fn allowed() -> Vec<Box<dyn Function>> {
    let mut functions = vrl::stdlib::all();
    functions.retain(|function| ALLOWED.binary_search(&function.identifier()).is_ok());
    functions
}

/// Why there is no such function.
pub(crate) fn why_denied(name: &str) -> Option<&'static str> {
    let place = DENIED.binary_search_by_key(&name, |(denied, _)| *denied).ok()?;
    Some(DENIED[place].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function that a newer library has is neither in the one list nor in the other, until somebody has looked at it.
    #[test]
    fn each_function_of_the_library_was_looked_at() {
        assert!(ALLOWED.is_sorted() && DENIED.is_sorted());
        let library: Vec<&str> = vrl::stdlib::all().iter().map(|function| function.identifier()).collect();
        for name in &library {
            let (is_allowed, is_denied) = (ALLOWED.contains(name), why_denied(name).is_some());
            assert!(is_allowed != is_denied, "{name}: allowed {is_allowed}, denied {is_denied}");
        }
        for name in ALLOWED {
            assert!(library.contains(&name), "{name} is not in the library");
        }
        assert_eq!(allowed().len(), ALLOWED.len());
    }
}
