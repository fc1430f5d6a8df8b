//! For a Logstash: the journal's lines with real types, as the tutorial's filter means them, into an Elasticsearch.

use tollhouse_config::Config;

use crate::cli::LogstashArgs;

/// A pipeline for `/etc/logstash/conf.d`.
pub(super) fn pipeline(config: &Config, args: &LogstashArgs) -> String {
    let own = std::path::absolute(config.journal_file()).unwrap_or_else(|_| config.journal_file());
    let files = if args.file.is_empty() { vec![own.display().to_string()] } else { args.file.clone() };
    let files = files.iter().map(|file| quoted(file)).collect::<Vec<_>>().join(", ");
    let cluster = args.elasticsearch.as_deref().unwrap_or("http://127.0.0.1:9200").trim_end_matches('/');
    format!(
        "\
# The records of tollhouse through Logstash 7.8 or later. Written by `tollhouse export logstash`.
#   try:           logstash --config.test_and_exit --path.config THIS
#   put in force:  as /etc/logstash/conf.d/tollhouse.conf
# Without Logstash the same documents are in the house's own index, and `ship` of the configuration brings them to a cluster.
input {{
  file {{
    path => [{files}]
    start_position => \"beginning\"
    codec => \"plain\"
  }}
  # Lines that an rsyslog forwards as they are. Not `beats`: that input speaks Filebeat's protocol and no syslog.
  # tcp {{ host => \"127.0.0.1\" port => 5044 codec => \"line\" }}
}}

filter {{
  # Which lines are there once, though they are read twice.
  fingerprint {{ source => \"message\" target => \"[@metadata][id]\" method => \"SHA256\" }}
  # What Logstash says of the file goes: the record is the document.
  mutate {{ remove_field => [\"@version\", \"event\", \"host\", \"log\", \"path\"] }}
  json {{ source => \"message\" remove_field => [\"message\"] ecs_compatibility => \"disabled\" }}
  if \"_jsonparsefailure\" in [tags] {{
    # Kept as it is, with the tag that says so.
    mutate {{ rename => {{ \"message\" => \"msg\" }} }}
  }} else {{
    # The time of the request, and not that of its reading: the day of the index is its.
    date {{ match => [\"ts\", \"ISO8601\"] target => \"@timestamp\" remove_field => [\"ts\"] }}
    mutate {{ rename => {{ \"status\" => \"http_status\" \"model\" => \"model_name\" \"service\" => \"service_name\" }} }}
    # Lines that came as texts: numbers are numbers. What is none already stays as it is.
    mutate {{
      convert => {{
        \"http_status\" => \"integer\"
        \"duration_ms\" => \"float\"
        \"ttft_ms\" => \"float\"
        \"queue_ms\" => \"float\"
        \"input_tokens\" => \"integer\"
        \"output_tokens\" => \"integer\"
        \"prompt_chars\" => \"integer\"
      }}
    }}
    # Two decimals, half up, counted in whole numbers; none without tokens that came in.
    ruby {{
      code => \"
        i, o = event.get('input_tokens'), event.get('output_tokens')
        event.set('token_efficiency', (o * 200 + i) / (2 * i) / 100.0) if i.is_a?(Integer) and o.is_a?(Integer) and i > 0
      \"
    }}
    if [duration_ms] and [duration_ms] > 3000 {{
      mutate {{ add_tag => [\"slow_request\"] }}
    }}
    if [http_status] and ([http_status] < 200 or [http_status] > 299) {{
      mutate {{ add_tag => [\"error_request\"] }}
    }}
  }}
}}

output {{
  elasticsearch {{
    hosts => [{cluster}]
    # user => \"…\" password => \"${{ES_PASSWORD}}\"
    index => {index}
    document_id => \"%{{[@metadata][id]}}\"
    action => \"create\"
    # Types are those of the template that `ship` puts there; Logstash's own would make texts of all names.
    manage_template => false
    data_stream => false
    ecs_compatibility => \"disabled\"
  }}
}}
",
        cluster = quoted(cluster),
        index = quoted(&format!("{}-%{{+YYYY.MM.dd}}", config.service.to_lowercase())),
    )
}

/// A text in Logstash's language, in which a backslash stands for itself unless told otherwise.
fn quoted(text: &str) -> String {
    if text.contains('"') { format!("'{text}'") } else { format!("\"{text}\"") }
}
