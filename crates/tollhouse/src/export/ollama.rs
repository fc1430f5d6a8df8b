//! For an Ollama under systemd: a drop-in that lets only this machine reach it.

use tollhouse_config::{Config, UpstreamKind};

/// A drop-in for `ollama.service`.
pub(super) fn drop_in(config: &Config) -> String {
    let ours = config.upstreams.iter().find(|upstream| upstream.kind == UpstreamKind::Ollama);
    let url = ours.map_or("http://127.0.0.1:11434", |upstream| upstream.url.as_str());
    let uri: Option<http::Uri> = url.parse().ok();
    let port = uri.as_ref().and_then(http::Uri::port_u16).unwrap_or(11434);
    let parallel = ours.and_then(|upstream| upstream.parallel).map_or_else(
        || "# Environment=OLLAMA_NUM_PARALLEL=2     as `upstreams.….parallel`".to_owned(),
        |parallel| format!("Environment=OLLAMA_NUM_PARALLEL={parallel}"),
    );
    let context = config.models.iter().filter_map(|model| model.context).max().map_or_else(
        || "# Environment=OLLAMA_CONTEXT_LENGTH=32768     as `models.….context`".to_owned(),
        |context| format!("Environment=OLLAMA_CONTEXT_LENGTH={context}"),
    );
    format!(
        "\
# Ollama behind tollhouse. Written by `tollhouse export ollama`.
#   put in force:  as /etc/systemd/system/ollama.service.d/tollhouse.conf, then
#                  systemctl daemon-reload && systemctl restart ollama
[Service]
# Only this machine: whoever comes from elsewhere comes through the gate. Models are pulled here, or by a key of the role admin.
Environment=OLLAMA_HOST=127.0.0.1:{port}
# No page of a browser asks it directly.
Environment=OLLAMA_ORIGINS=http://127.0.0.1:{port}
Environment=OLLAMA_NO_CLOUD=1
{parallel}
{context}
# The gate queues, fairly; its own queue stays short.
Environment=OLLAMA_MAX_QUEUE=64
"
    )
}
