//! For a rsyslog: files followed there, and brought to the house's port for lines, or into an Elasticsearch API.

use std::fmt::Write as _;

use tollhouse_config::{Config, ListenSource, SourceKind};

use crate::cli::{OWN_API, RsyslogArgs};
use crate::keys;

/// The file that the tutorial's gateway writes.
const FILE: &str = "/var/log/clawdbot/*.log";
/// The port for lines, where the configuration names none.
const PORT: u16 = 5044;
/// The name under which lines arrive.
const TAG: &str = "clawdbot-gateway";

/// A file for `/etc/rsyslog.d`.
pub(super) fn rules(config: &Config, args: &RsyslogArgs) -> String {
    let files = if args.file.is_empty() { vec![FILE.to_owned()] } else { args.file.clone() };
    let ways = match &args.elasticsearch {
        None => forward(config, args),
        Some(url) => bulk(config, args, Some(url.as_str()).filter(|url| *url != OWN_API)),
    };
    let mut text = format!(
        "\
# Lines of files, brought on by rsyslog 8.2108 or later. Written by `tollhouse export rsyslog`.
#   try:           rsyslogd -N1 -f /etc/rsyslog.conf
#   put in force:  as /etc/rsyslog.d/30-tollhouse.conf, then  systemctl restart rsyslog
{notes}
# A line that is longer than this is cut, and 8k is what rsyslog takes by itself.
global(maxMessageSize=\"192k\")
module(load=\"imfile\" mode=\"inotify\")
{modules}
",
        notes = ways.notes,
        modules = ways.modules,
    );
    for file in files {
        let _ = writeln!(
            text,
            "input(type=\"imfile\" File={} Tag=\"{TAG}:\" Severity=\"info\" Facility=\"local0\" ruleset=\"tollhouse\"\n      \
             reopenOnTruncate=\"on\" freshStartTail=\"off\" addMetadata=\"{}\")",
            quoted(&file),
            if args.elasticsearch.is_some() { "on" } else { "off" },
        );
    }
    text + "\n" + &ways.rulesets
}

/// What differs with where the lines go.
struct Ways {
    notes: String,
    modules: String,
    rulesets: String,
}

/// Over TCP to a source of the type `listen`, each line in a frame with its length: a line with line breaks stays one.
fn forward(config: &Config, args: &RsyslogArgs) -> Ways {
    let found = config.sources.iter().find_map(|source| match &source.kind {
        SourceKind::Listen(listen) => Some((source.name.as_str(), listen)),
        _ => None,
    });
    let own = found.map(|(_, listen)| keys::reachable(listen.address));
    let host = args.host.clone().unwrap_or_else(|| own.map_or("127.0.0.1".to_owned(), |own| own.ip().to_string()));
    let port = own.map_or(PORT, |own| own.port());
    let mut notes = String::new();
    match found {
        None => {
            let _ = writeln!(
                notes,
                "# ATTENTION: the configuration of tollhouse needs a port for them:\n\
                 #            sources: {{network: {{type: listen, address: 127.0.0.1:{PORT}}}}}"
            );
        }
        Some((name, listen)) if listen.address.ip().is_loopback() => {
            let _ =
                writeln!(notes, "# `sources.{name}` listens at {}, which only this machine reaches.", listen.address);
        }
        Some(_) => {}
    }
    let tls = found.map_or_else(String::new, |(_, listen)| tls(listen, &host, args));
    Ways {
        notes,
        modules: String::new(),
        rulesets: format!(
            "\
ruleset(name=\"tollhouse\") {{
  action(type=\"omfwd\" target={target} port=\"{port}\" protocol=\"tcp\" TCP_Framing=\"octet-counted\"
         template=\"RSYSLOG_SyslogProtocol23Format\"{tls}
         # While the house is away nothing is thrown away: what waits goes to the disk. One worker keeps the order.
         queue.type=\"linkedlist\" queue.filename=\"tollhouse\" queue.maxDiskSpace=\"1g\" queue.size=\"50000\"
         queue.saveOnShutdown=\"on\" queue.workerThreads=\"1\" queue.timeoutEnqueue=\"0\"
         action.resumeRetryCount=\"-1\" action.resumeInterval=\"1\" action.resumeIntervalMax=\"30\")
}}
",
            target = quoted(&host),
        ),
    }
}

/// RFC 5425, where the port speaks it.
fn tls(listen: &ListenSource, host: &str, args: &RsyslogArgs) -> String {
    let Some(tls) = &listen.tls else { return String::new() };
    let ca = args.ca.as_deref().unwrap_or("/etc/ssl/certs/ca-certificates.crt");
    let mut text = format!(
        "\n         # The package rsyslog-gnutls.\n         StreamDriver=\"gtls\" StreamDriverMode=\"1\" \
         StreamDriverAuthMode=\"x509/name\"\n         StreamDriverPermittedPeers={} StreamDriver.CAFile={}",
        quoted(host),
        quoted(ca)
    );
    if tls.client_ca.is_some() {
        text += "\n         # The house knows its senders by their certificates.\n         \
                 StreamDriver.CertFile=\"/etc/rsyslog.d/tollhouse.pem\" StreamDriver.KeyFile=\"/etc/rsyslog.d/tollhouse-key.pem\"";
    }
    text
}

/// By `_bulk` into an Elasticsearch, or what speaks its language: the house's own API where no address is named.
fn bulk(config: &Config, args: &RsyslogArgs, url: Option<&str>) -> Ways {
    let own = || match config.search.listen {
        Some(address) => format!("http://{}", keys::reachable(address)),
        None => format!("http://{}/es", keys::reachable(config.listen.address)),
    };
    let is_ours = url.is_none();
    let url = url.map_or_else(own, |url| url.trim_end_matches('/').to_owned());
    let key_file = args.key_file.as_deref().unwrap_or("/etc/rsyslog.d/tollhouse.key");
    let user = if is_ours { "rsyslog" } else { args.user.as_deref().unwrap_or("rsyslog") };
    let whose = if is_ours {
        format!(
            "\
# The key, in a file of its own and without an end of line:
#   printf %s \"$(tollhouse key create --name rsyslog --role logs:write)\" | sudo install -m 600 /dev/stdin {key_file}"
        )
    } else {
        format!("# The password of {user} stands in {key_file}, without an end of line.")
    };
    let index = quoted(&config.service.to_lowercase());
    Ways {
        notes: format!("# Of Debian: rsyslog and rsyslog-elasticsearch.\n{whose}\n"),
        modules: "module(load=\"mmjsonparse\")\nmodule(load=\"omelasticsearch\")\nmodule(load=\"fmhash\")\n".to_owned(),
        rulesets: format!(
            "\
template(name=\"tollhouse_document\" type=\"list\") {{ property(name=\"$!all-json-plain\") }}
template(name=\"tollhouse_index\" type=\"string\" string=\"%$.index%\")
template(name=\"tollhouse_id\" type=\"string\" string=\"%$.id%\")
template(name=\"tollhouse_refused\" type=\"string\" string=\"%timereported:::date-rfc3339% %$.omes% %$!all-json-plain%\\n\")

ruleset(name=\"tollhouse\" queue.type=\"linkedlist\" queue.filename=\"tollhouse\" queue.maxDiskSpace=\"1g\" queue.size=\"50000\"
        queue.saveOnShutdown=\"on\" queue.dequeueBatchSize=\"1000\" queue.workerThreads=\"1\") {{
  # Made of the place and the line, so that one that is sent twice is there once.
  set $.id = $!metadata!fileoffset & \"-\" & hash64($!metadata!filename & $msg);
  # A line of JSON is the document, its numbers stay numbers; any other one is a text.
  action(type=\"mmjsonparse\" cookie=\"\")
  set $!log!file!path = $!metadata!filename;
  unset $!metadata;
  # The line's own time, and its day in UTC; else when it was read.
  if $!ts != \"\" then {{ set $.unix = parse_time($!ts); }} else {{ set $.unix = 0; }}
  if $.unix > 0 then {{
    set $!@timestamp = $!ts;
  }} else {{
    set $.unix = parse_time($timereported & \"\");
    set $!@timestamp = format_time($.unix, \"date-rfc3339\");
  }}
  set $.index = {index} & \"-\" & replace(substring(format_time($.unix, \"date-rfc3339\"), 0, 10), \"-\", \".\");
  call tollhouse_send
}}

ruleset(name=\"tollhouse_send\") {{
  # Here again come documents that were not taken.
  if strlen($.omes!status) > 0 then {{
    if ($.omes!status == 200) or ($.omes!status == 201) or ($.omes!status == 409) then {{ stop }}
    if ($.omes!status >= 400) and ($.omes!status < 500) and ($.omes!status != 429) then {{
      # It never will be: kept with the reason.
      action(type=\"omfile\" file=\"/var/log/tollhouse-refused.log\" fileCreateMode=\"0640\" template=\"tollhouse_refused\")
      stop
    }}
    set $.id = $.omes!_id;
    set $.index = $.omes!_index;
  }}
  action(type=\"omelasticsearch\" server={server} searchType=\"\" bulkmode=\"on\" maxbytes=\"5m\"
         searchIndex=\"tollhouse_index\" dynSearchIndex=\"on\" bulkid=\"tollhouse_id\" dynbulkid=\"on\"
         template=\"tollhouse_document\" writeoperation=\"create\" retryfailures=\"on\" retryruleset=\"tollhouse_send\"
         uid={user} pwd=`cat {key_file}`
         action.resumeRetryCount=\"-1\" action.resumeInterval=\"1\" action.resumeIntervalMax=\"30\")
}}
",
            server = quoted(&url),
            user = quoted(user),
        ),
    }
}

/// A text in RainerScript.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
