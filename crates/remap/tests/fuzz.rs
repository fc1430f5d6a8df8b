//! Fuzz target for the functions that read lines: whatever a line is, no program with them panics, and each run ends.
//!
//! A line of the corpus is changed at random: characters put in, taken out, repeated, mixed with another line. A few hundred
//! rounds run with the other tests. For longer:
//!
//! ```text
//! PROPTEST_CASES=1000000 cargo test --release -p tollhouse-remap --test fuzz
//! ```

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::json;
use tollhouse_remap::{Program, Stopped};

/// Lines that the functions below are made for, and some that stumble over them.
const LINES: [&str; 18] = [
    r#"{"a": {"b": [1, 2.5e300, null, "\u00e9\ud83d\ude00"]}, "c": "x"}"#,
    r#"127.0.0.1 bob frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "-" "Mozilla/5.0""#,
    r#"172.17.0.1 - - [31/Mar/2021:12:04:07 +0000] "GET / HTTP/1.1" 200 612 "-" "curl/7.75.0" "-""#,
    "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 [a@1 b=\"c\"] 'su root' failed",
    "level=info ts=2026-01-27T10:20:30Z msg=\"a \\\"b\\\" c\" took=1.5ms",
    "a=1,b=\"x y\";c='d' =e f",
    "CEF:0|Security|threatmanager|1.0|100|worm \\| stopped|10|src=10.0.0.1 dst=2.1.2.2 spt=1232",
    "https://user:pw@[::1]:443/a%20b?x=1&y=%zz#f",
    "I0505 17:59:40.692994   28133 klog.go:70] hello",
    "name,\"a \"\"b\"\"\",,3",
    "a: [1, {b: c}]\n? &x {d: *x}\n: |\n  text",
    "2 123456789010 eni-1 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK",
    "1.5GiB 20ms 0x7fffffffffffffff 1e999 -0 NaN 99999999999999999999",
    "2026-01-27T10:20:30.123456789+25:61 27/Jan/2026:10:20:30 +0800 Jan 27 10:20:30",
    "\u{202e}größer 模型 \u{0}\u{7f}\u{1b}[31m \u{10ffff}",
    "((((((((((((((((((((((((((((((((((((((((((",
    "{{{{[[[[{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":",
    "",
];

/// One program each: its failures are errors, which is what is wanted of them.
const READS: [&str; 44] = [
    "parse_json!(.msg)",
    "parse_json!(.msg, max_depth: 3)",
    "parse_apache_log!(.msg, \"combined\")",
    "parse_apache_log!(.msg, \"error\")",
    "parse_common_log!(.msg)",
    "parse_nginx_log!(.msg, \"combined\")",
    "parse_nginx_log!(.msg, \"error\")",
    "parse_syslog!(.msg)",
    "parse_logfmt!(.msg)",
    "parse_key_value!(.msg)",
    "parse_key_value!(.msg, field_delimiter: \",\", key_value_delimiter: \"=\")",
    "parse_cef!(.msg, translate_custom_fields: true)",
    "parse_url!(.msg)",
    "parse_query_string!(.msg)",
    "parse_klog!(.msg)",
    "parse_glog!(.msg)",
    "parse_csv!(.msg)",
    "parse_yaml!(.msg)",
    "parse_tokens!(.msg)",
    "parse_linux_authorization!(.msg)",
    "parse_aws_alb_log!(.msg)",
    "parse_aws_vpc_flow_log!(.msg)",
    "parse_aws_cloudwatch_log_subscription_message!(.msg)",
    "parse_bytes!(.msg, unit: \"MiB\")",
    "parse_duration!(.msg, unit: \"ms\")",
    "parse_int!(.msg)",
    "parse_float!(.msg)",
    "parse_timestamp!(.msg, format: \"%d/%b/%Y:%T %z\")",
    "parse_user_agent!(.msg)",
    "parse_regex_all!(.msg, r'(?P<a>\\w+)=(?P<b>\\S*)')",
    "decode_base64!(.msg)",
    "decode_base16!(.msg)",
    "decode_percent!(.msg)",
    "decode_punycode!(.msg)",
    "decode_mime_q!(.msg)",
    "strip_ansi_escape_codes!(.msg)",
    "redact!(.msg, filters: [r'\\d+', \"us_social_security_number\"])",
    "truncate!(.msg, limit: 7, suffix: \"…\")",
    "slice!(.msg, start: -7, end: -2)",
    "split!(.msg, r'\\W+', limit: 5)",
    "ip_cidr_contains!(\"10.0.0.0/8\", .msg)",
    "snakecase!(.msg)",
    "chunks!(.msg, chunk_size: 3)",
    "shannon_entropy!(.msg)",
];

static PROGRAMS: LazyLock<Vec<Program>> = LazyLock::new(|| {
    let compiled =
        |read: &&str| Program::compile(&format!(".read = {read}")).unwrap_or_else(|faults| panic!("{read}: {faults}"));
    READS.iter().map(compiled).collect()
});

/// A change of a line.
#[derive(Clone, Debug)]
enum Change {
    Put(Index, String),
    Cut(Index, usize),
    Repeat(Index, usize, usize),
    Mix(Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let token = select(vec![
        "\"",
        "\\",
        "%",
        "=",
        "\u{0}",
        "é",
        "\u{1f600}",
        "[",
        "{",
        "}",
        "-",
        "9999999999",
        ":",
        "\n",
        "' ",
    ]);
    prop_oneof![
        (any::<Index>(), token).prop_map(|(at, token)| Change::Put(at, token.to_owned())),
        (any::<Index>(), ".{1,4}").prop_map(|(at, text)| Change::Put(at, text)),
        (any::<Index>(), 1_usize..20).prop_map(|(at, length)| Change::Cut(at, length)),
        (any::<Index>(), 1_usize..8, 2_usize..60).prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
        (any::<Index>(), 0..LINES.len()).prop_map(|(at, line)| Change::Mix(at, line)),
    ]
}

fn changed(line: usize, changes: &[Change]) -> String {
    let mut text: Vec<char> = LINES[line].chars().collect();
    for change in changes {
        let place = |at: &Index| at.index(text.len() + 1);
        match change {
            Change::Put(at, token) => {
                let at = place(at);
                text.splice(at..at, token.chars());
            }
            Change::Cut(at, length) => {
                let at = place(at);
                text.drain(at..(at + length).min(text.len()));
            }
            Change::Repeat(at, length, times) => {
                let at = place(at);
                let piece: Vec<char> = text[at..(at + length).min(text.len())].to_vec();
                text.splice(at..at, piece.repeat(*times));
            }
            Change::Mix(at, other) => {
                let at = place(at);
                text.truncate(at);
                text.extend(LINES[*other].chars().skip(at / 2));
            }
        }
    }
    text.into_iter().collect()
}

fn run_all(line: &str) {
    let event = json!({"msg": line}).as_object().unwrap().clone();
    for (program, read) in PROGRAMS.iter().zip(READS) {
        match program.run(event.clone()) {
            Ok(left) => assert_eq!(left["msg"], line, "{read}"),
            Err(Stopped::Failed(why)) => assert!(!why.contains("broke off"), "{read} on {line:?}"),
            Err(Stopped::Aborted(_) | Stopped::TooDeep) => {}
            Err(stopped) => panic!("{read} on {line:?}: {stopped}"),
        }
    }
}

#[test]
fn the_corpus_is_read_by_all() {
    for line in &LINES {
        run_all(line);
    }
    run_all(&"[".repeat(100_000));
    run_all(&"a=".repeat(50_000));
    run_all(&"- ".repeat(50_000));
}

/// Each round runs all programs.
fn rounds() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(64), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(rounds())]

    #[test]
    fn any_line_is_read_by_all(line in 0..LINES.len(), changes in prop::collection::vec(change(), 1..6)) {
        run_all(&changed(line, &changes));
    }
}
