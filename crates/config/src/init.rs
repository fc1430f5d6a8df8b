//! The first configuration file, for somebody who has none yet.

use std::net::SocketAddr;

use crate::effective::scalar;

/// What was found on this machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// Base URL of an Ollama server that answers.
    pub ollama: Option<String>,
    /// The free address to listen on.
    pub listen: SocketAddr,
    /// Whether `listen` is not the default because another program has its port.
    pub port_taken_by_default: bool,
}

/// The text of a first `tollhouse.yaml`: short, commented, and valid as it is.
pub fn first_config(found: &Found) -> String {
    let listen = scalar(&found.listen.to_string());
    let why_port = if found.port_taken_by_default { " (18789 is taken by another program)" } else { "" };
    let upstreams = upstreams(found.ollama.as_deref());
    format!(
        r"# tollhouse: who may ask your models, what they asked, and how it went.
# What is not written here has a default; `tollhouse check` shows them all.

service: tollhouse             # names the records
data_dir: ./tollhouse-data     # everything that is kept
listen: {listen:<22} # model gateway and console{why_port}

{upstreams}
access:
  auth: keys                   # `off` only works while listening on this machine alone
  # allow: [127.0.0.1, 10.0.0.0/16]              # others are turned away
  # rate_limit: {{requests: 30, per: 60s}}         # for each key

# What is kept, and for how long. The older goes first.
logging:
  keep: {{days: 30, bytes: 10GiB}}
store:
  keep: {{days: 30, bytes: 20GiB}}
"
    )
}

fn upstreams(ollama: Option<&str>) -> String {
    let Some(url) = ollama else {
        return r#"# No Ollama server was found, so a built-in demonstration answers for now. To use a real server, put one of these in
# the place of `demo`. The second is for any server with the OpenAI API (llama.cpp, vLLM, …).
upstreams:
  demo: {kind: demo}
  # local: {kind: ollama, url: http://127.0.0.1:11434}
  # second: {kind: openai, url: http://127.0.0.1:8000/v1, key: "${VLLM_KEY:-}"}
"#
        .to_owned();
    };
    format!(
        r#"# The Ollama server that was found. The second is for any server with the OpenAI API (llama.cpp, vLLM, …).
upstreams:
  local: {{kind: ollama, url: {}}}
  # second: {{kind: openai, url: http://127.0.0.1:8000/v1, key: "${{VLLM_KEY:-}}"}}
"#,
        scalar(url)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::UpstreamKind, load::parse};

    fn found(ollama: Option<&str>, listen: &str) -> Found {
        let listen = listen.parse().expect("an address");
        Found { ollama: ollama.map(str::to_owned), listen, port_taken_by_default: false }
    }

    #[test]
    fn it_is_valid_and_says_what_was_found() {
        let text = first_config(&found(Some("http://[::1]:11434"), "[::1]:18789"));
        let config = parse(&text, "tollhouse.yaml", &|_| None).expect("valid");
        assert_eq!(config.upstreams.len(), 1);
        assert_eq!(config.upstreams[0].url, "http://[::1]:11434");
        assert_eq!(config.listen.address.to_string(), "[::1]:18789");
    }

    #[test]
    fn without_a_server_the_demonstration_answers() {
        let mut found = found(None, "127.0.0.1:18790");
        found.port_taken_by_default = true;
        let text = first_config(&found);
        let config = parse(&text, "tollhouse.yaml", &|_| None).expect("valid");
        assert_eq!(config.upstreams[0].kind, UpstreamKind::Demo);
        assert_eq!(config.upstreams.len(), 1);
        assert!(text.contains("18790") && text.contains("18789 is taken"));
    }

    #[test]
    fn the_lines_that_are_commented_out_are_valid_too() {
        for ollama in [None, Some("http://127.0.0.1:1")] {
            let text = first_config(&found(ollama, "127.0.0.1:18789"));
            let text: Vec<String> = text
                .lines()
                .map(|line| if line.starts_with("  # ") { line.replacen("# ", "", 1) } else { line.to_owned() })
                .collect();
            let config = parse(&text.join("\n"), "tollhouse.yaml", &|_| None).expect("valid");
            assert_eq!(config.upstreams.last().map(|upstream| upstream.name.as_str()), Some("second"));
            assert!(config.access.limits.requests.is_some());
        }
    }
}
