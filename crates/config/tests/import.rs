//! What becomes of older files: golden cases in `import/`, and what holds for every file.
//!
//! Beside the old files of a case lies `told.txt`: the notes and the new configuration, or the errors. Run with
//! `UPDATE_CASES=1` to write these anew, and look at the difference as at a change of the interface.

use std::{collections::HashSet, fmt::Write, fs, path::Path};

use proptest::prelude::*;
use serde_json::{Value, json};
use tollhouse_config::{Fate, Imported, Old, import, parse};

/// What no note and no new file may hold.
const SECRETS: [&str; 12] = [
    "sk-clawdbot-secret-2026",
    "sk-team-a-000111222333",
    "sk-plain-444555666777",
    "sk-from-the-environment",
    "hunter22",
    "sk-one-and-the-same-1",
    "sk-not-to-be-shown",
    "sk-shared-0123456789",
    "vllm-secret-0123456789",
    "very-secret-0123456789",
    "db-secret-0123456789",
    "sk-master-0123456789",
];

fn env(name: &str) -> Option<String> {
    matches!(name, "TEAM_B_KEY" | "LITELLM_MASTER_KEY").then(|| "sk-from-the-environment".to_owned())
}

fn listen() -> std::net::SocketAddr {
    "127.0.0.1:18789".parse().expect("an address")
}

fn told(files: &[Old]) -> String {
    let mut told = String::new();
    match import(files, listen(), &env) {
        Ok(Imported { text, notes, .. }) => {
            for note in &notes {
                let tollhouse_config::Note { file, line, key, fate, text } = note;
                writeln!(told, "{file}:{line} {key}: {}: {text}", fate.word()).expect("a String takes every text");
            }
            told + "\n" + &text
        }
        Err(errors) => {
            for error in &errors {
                writeln!(told, "{error}").expect("a String takes every text");
            }
            told
        }
    }
}

#[test]
fn older_files_are_taken() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import");
    let sorted = |folder: &Path| {
        let entries = fs::read_dir(folder).expect("a folder of cases");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        paths
    };
    let cases = sorted(&folder);
    assert!(cases.len() > 10, "no cases in {}", folder.display());
    let mut failed = Vec::new();
    for case in cases {
        let inputs = sorted(&case).into_iter().filter(|path| path.extension().is_some_and(|end| end != "txt"));
        let files: Vec<Old> = inputs
            .map(|path| Old {
                name: path.file_name().expect("a name").to_string_lossy().into_owned(),
                text: fs::read_to_string(&path).expect("a readable case"),
            })
            .collect();
        let told = told(&files);
        let leaked = SECRETS.iter().find(|secret| told.contains(**secret));
        assert_eq!(leaked, None, "{}: {told}", case.display());
        let beside = case.join("told.txt");
        if std::env::var_os("UPDATE_CASES").is_some() {
            fs::write(&beside, &told).expect("a writable case");
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        if told != expected {
            failed.push(format!("--- {}: expected\n{expected}\n--- told\n{told}", case.display()));
        }
    }
    assert!(failed.is_empty(), "{} cases differ\n{}", failed.len(), failed.join("\n"));
}

/// Words that mean something, some of them only in other places.
const SECTIONS: [&str; 14] = [
    "server",
    "gateway",
    "logging",
    "log",
    "rate_limit",
    "auth",
    "whitelist",
    "ollama",
    "redis",
    "timeouts",
    "queue",
    "security",
    "tls",
    "strange",
];
const KEYS: [&str; 58] = [
    "listen",
    "host",
    "port",
    "bind",
    "ollama_api",
    "url",
    "ollama_host",
    "upstream",
    "level",
    "log_level",
    "file",
    "format",
    "json",
    "max_size",
    "max_age",
    "fields",
    "rate_limit",
    "requests",
    "window",
    "per",
    "requests_per_minute",
    "rpm",
    "by",
    "tokens_per_minute",
    "max_concurrent",
    "enabled",
    "type",
    "auth",
    "header",
    "ips",
    "whitelist",
    "trusted_proxies",
    "user_header",
    "max_prompt_length",
    "max_body_size",
    "timeout",
    "connect",
    "stream_timeout",
    "shutdown_timeout",
    "size",
    "models",
    "service",
    "public_url",
    "data_dir",
    "blacklist",
    "model",
    "burst",
    "backups",
    "title",
    "description",
    "api_base",
    "temperature",
    "model_list",
    "litellm_settings",
    "router_settings",
    "general_settings",
    "litellm_params",
    "model_name",
];
const SECRET_KEYS: [&str; 9] =
    ["api_key", "api_keys", "keys", "token", "secret", "master_key", "users", "password", "redis_password"];
const SECRET: &str = "sk-Zq81-never-to-be-told";

fn value() -> impl Strategy<Value = Value> {
    let texts = prop::sample::select(vec![
        "",
        " ",
        "127.0.0.1:8080",
        ":8080",
        "8080",
        "localhost",
        "http://localhost:11434",
        "10.0.0.0/8",
        "10.1.*.*",
        "*",
        "30/60s",
        "30",
        "60",
        "1m30s",
        "500ms",
        "off",
        "true",
        "none",
        "json",
        "info",
        "ip",
        "key",
        "100MB",
        "qwen3:32b",
        "ollama/qwen3",
        "openai/gpt-4o",
        "/var/log/a.log",
        "X-Api-Key",
        "${UNSET}",
        "${TEAM_B_KEY}",
        "${A:-5}",
        "file:/x",
        "a: b",
        "7, body: 1",
        "} #",
        "\n",
        "模型",
        "-1",
        "18446744073709551616",
        "os.environ/UNSET",
        "os.environ/TEAM_B_KEY",
    ]);
    let text = prop_oneof![4 => texts.prop_map(str::to_owned), 1 => ".{0,12}"].prop_map(Value::from);
    let scalar = prop_oneof![6 => text, 1 => any::<u32>().prop_map(Value::from), 1 => any::<bool>().prop_map(Value::from), 1 => Just(Value::Null)];
    scalar.prop_recursive(3, 24, 6, |inner| {
        let secret = prop_oneof![
            Just(json!(SECRET)),
            Just(json!([SECRET, "another"])),
            Just(json!({SECRET: "alice"})),
            Just(
                json!({"alice": SECRET, SECRET: {"user": "bob"}, "carol": {"key": SECRET, "name": "c", "x": [1, {}]}})
            ),
            Just(json!([{"name": "dave", "key": SECRET, "limit": 5}, {"sha256": SECRET}, {"user": "nobody"}])),
        ];
        let url = prop::sample::select(vec!["redis", "redis_url", "ollama_api", "url", "api_base", "database_url"]);
        let with_password = url.prop_map(|key| (key.to_owned(), json!(format!("redis://u:{SECRET}@host:6379"))));
        let entry = prop_oneof![
            6 => (prop::sample::select(KEYS.to_vec()).prop_map(str::to_owned), inner.clone()),
            2 => (prop::sample::select(SECTIONS.to_vec()).prop_map(str::to_owned), inner.clone()),
            2 => (prop::sample::select(SECRET_KEYS.to_vec()).prop_map(str::to_owned), secret),
            1 => with_password,
        ];
        prop_oneof![
            4 => prop::collection::vec(entry, 0..6).prop_map(|entries| Value::Object(entries.into_iter().collect())),
            1 => prop::collection::vec(inner, 0..4).prop_map(Value::Array),
        ]
    })
}

/// One of LiteLLM's models.
fn deployment() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec!["a", "b", "qwen3:32b", "*", "", "a b", "${A}"]);
    let model = prop::sample::select(vec![
        "a",
        "b",
        "ollama/qwen3:32b",
        "ollama/a",
        "openai/b",
        "openai/*",
        "bedrock/a",
        "claude-x",
        "hosted_vllm/q/w",
        "ollama/",
        "a b",
    ]);
    let base =
        prop::sample::select(vec!["http://gpu:8000/v1", "http://127.0.0.1:11434", "http://u:p@h", "os.environ/UNSET"]);
    let base = prop::option::of(base);
    let key = prop::option::of(prop::sample::select(vec![SECRET, "none", "os.environ/UNSET"]));
    let more = prop::collection::vec(
        (prop::sample::select(vec!["num_ctx", "keep_alive", "temperature", "rpm", "x"]), value()),
        0..3,
    );
    (name, model, base, key, more).prop_map(|(name, model, base, key, more)| {
        let mut params = json!({"model": model});
        let known =
            base.map(|base| ("api_base", json!(base))).into_iter().chain(key.map(|key| ("api_key", json!(key))));
        for (name, value) in known.chain(more) {
            params[name] = value;
        }
        json!({"model_name": name, "litellm_params": params, "model_info": {"x": 1}})
    })
}

/// Values that are no list and no mapping, or nothing at all.
fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(items) if !items.is_empty() => items.iter().map(leaves).sum(),
        Value::Object(entries) if !entries.is_empty() => entries.values().map(leaves).sum(),
        _ => 1,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn each_value_is_told_once_and_no_secret_at_all(
        mut root in prop::collection::btree_map(prop::sample::select([&SECTIONS[..], &KEYS].concat()), value(), 1..8),
        kind in prop::sample::select(vec!["listen", "title", "model_list", "general_settings"]),
        deployments in prop::collection::vec(deployment(), 0..4),
    ) {
        match kind {
            "listen" | "title" => root.insert(kind, json!("x")),
            _ => root.insert(kind, json!({"model_name": "x"})),
        };
        if !deployments.is_empty() {
            root.insert("model_list", Value::Array(deployments));
        }
        let root = json!(root);
        let files = [Old { name: "old.yaml".to_owned(), text: root.to_string() }];
        let imported = import(&files, listen(), &env);
        let told = format!("{imported:?}");
        prop_assert!(!told.contains(SECRET), "{root}\n{told}");
        prop_assert!(imported.is_ok(), "{root}\n{told}");
        let Imported { text, notes, .. } = imported.expect("it was looked at");
        prop_assert_eq!(notes.len(), leaves(&root), "{}\n{:#?}", root, notes);
        // Ways that would hold a key are cut short, so that several may end alike.
        let ways: Vec<&str> = notes.iter().map(|note| note.key.as_str()).filter(|way| !way.contains('*')).collect();
        prop_assert_eq!(ways.iter().collect::<HashSet<_>>().len(), ways.len(), "{:?}", ways);
        for note in &notes {
            prop_assert!(note.line > 0 && !note.text.is_empty() && !note.text.contains('\n'), "{:?}", note);
            let comment = format!("\n#   {}:{} ", note.file, note.line);
            prop_assert!(note.fate != Fate::NotTaken || text.contains(&comment), "{comment} is not in\n{text}");
        }
        prop_assert!(parse(&text, "new", &|_| None).is_ok(), "{text}");
    }

    #[test]
    fn no_text_is_too_odd(text in "([a-z_]{1,12}: )?[\\[\\]{}:,#&*!|>'\"%@`a-z0-9$ \n-]{0,80}") {
        let files = [Old { name: "old.yaml".to_owned(), text }];
        if let Ok(imported) = import(&files, listen(), &env) {
            prop_assert!(parse(&imported.text, "new", &|_| None).is_ok(), "{}", imported.text);
        }
    }
}
