//! `tollhouse export`: what the configuration says, as files for the programs around the house.

mod grafana;
mod kibana;
mod logrotate;
mod logstash;
mod nginx;
mod ollama;
mod prometheus;
mod rsyslog;
mod systemd;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::Context;
use tollhouse_config::{Config, IpNet, SourceKind};

use crate::cli::{ExportArgs, ExportCommand};
use crate::say;

pub(crate) fn export(args: &ExportArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    match &args.command {
        ExportCommand::Nftables => say(&nftables(&config)),
        ExportCommand::Prometheus(wanted) => {
            let prometheus::Files { scrape, rules } = prometheus::files(&config, wanted)?;
            let files = [("tollhouse.yml", scrape), ("tollhouse-rules.yml", rules)];
            give(wanted.out.as_deref(), &files, usize::from(!wanted.scrape))
        }
        ExportCommand::Grafana { out } => {
            let files = [
                ("datasources/tollhouse.yml", grafana::data_sources(&config)),
                ("dashboards/tollhouse.yml", grafana::provider()),
                ("tollhouse.json", grafana::dashboard(&config)),
            ];
            give(out.as_deref(), &files, 2)
        }
        ExportCommand::Kibana => say(&kibana::objects(&config)),
        ExportCommand::Logrotate => say(&logrotate::rules(&config)),
        ExportCommand::Logstash(wanted) => say(&logstash::pipeline(&config, wanted)),
        ExportCommand::Nginx => say(&nginx::site(&config)),
        ExportCommand::Ollama => say(&ollama::drop_in(&config)),
        ExportCommand::Rsyslog(wanted) => say(&rsyslog::rules(&config, wanted)),
        ExportCommand::Systemd(wanted) => {
            let read = tollhouse_config::find(args.config.config.as_deref());
            // It has been read once already, so it is there and no larger than it may be.
            let text = read.as_deref().and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
            let file = wanted.installed.clone().or(read);
            let credentials = tollhouse_config::credentials(&text);
            let files = [
                ("tollhouse.service", systemd::unit(&config, file.as_deref(), &credentials)),
                ("tollhouse.socket", systemd::socket(&config)),
            ];
            give(wanted.out.as_deref(), &files, usize::from(wanted.socket))
        }
    }
}

/// Writes all files into a folder, or one of them to whoever reads.
fn give(out: Option<&Path>, files: &[(&str, String)], shown: usize) -> anyhow::Result<()> {
    let Some(out) = out else { return say(&files[shown].1) };
    for (name, text) in files {
        let path = out.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("making the folder {}", folder.display()))?;
        }
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

/// A port that the house listens on, and who may come to it from other machines.
struct Port {
    what: String,
    address: SocketAddr,
    protocols: &'static str,
    /// Empty: everybody.
    from: Vec<IpNet>,
}

/// A whole set of rules for nft: a table of its own, which is replaced in one step and leaves all others alone.
fn nftables(config: &Config) -> String {
    let mut rules = String::new();
    for port in ports(config) {
        rules += &port.rules();
    }
    let upstreams = upstream_ports(config);
    if !upstreams.is_empty() {
        let numbers = upstreams.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        let _ = writeln!(rules, "        # Model servers on this machine: only the house talks to them.");
        let _ = writeln!(rules, "        tcp dport {{ {numbers} }} counter drop");
    }
    format!(
        "\
#!/usr/sbin/nft -f
# Who may reach the ports of tollhouse, by its configuration. Written by `tollhouse export nftables`.
#   try:           nft --check --file THIS
#   put in force:  nft --file THIS          (replaces this table only, in one step)
#   take away:     nft delete table inet tollhouse
# Whatever another table drops stays dropped.

table inet tollhouse
delete table inet tollhouse

table inet tollhouse {{
    chain input {{
        type filter hook input priority filter; policy accept;
        iif \"lo\" accept
        ct state established,related accept
{rules}    }}
}}
"
    )
}

fn ports(config: &Config) -> Vec<Port> {
    let access = &config.access;
    // Clients behind a proxy come from the proxy's address; the house asks for theirs itself.
    let mut from = access.allow.clone();
    if !from.is_empty() {
        from.extend(&access.trusted_proxies);
    }
    let mut ports = vec![Port {
        what: "the gate and the console".to_owned(),
        address: config.listen.address,
        protocols: "tcp",
        from,
    }];
    for source in &config.sources {
        let SourceKind::Listen(listen) = &source.kind else { continue };
        ports.push(Port {
            what: format!("log lines (sources.{})", source.name),
            address: listen.address,
            protocols: if listen.udp { "{ tcp, udp }" } else { "tcp" },
            from: listen.allow.clone(),
        });
    }
    ports
}

impl Port {
    fn rules(&self) -> String {
        let Self { what, address, protocols, from } = self;
        let (ip, port) = (address.ip().to_canonical(), address.port());
        if ip.is_loopback() {
            return format!("        # {what}: at {address}, which other machines do not reach\n");
        }
        if from.is_empty() {
            return format!("        # {what}: at {address}, open to everybody\n");
        }
        let mut rules = format!("        # {what}\n");
        let own = match ip {
            ip if ip.is_unspecified() => String::new(),
            IpAddr::V4(ip) => format!("ip daddr {ip} "),
            IpAddr::V6(ip) => format!("ip6 daddr {ip} "),
        };
        let this = format!("{own}meta l4proto {protocols} th dport {port}");
        for (family, networks) in families(from) {
            let _ = writeln!(rules, "        {this} {family} saddr {{ {networks} }} accept");
        }
        let _ = writeln!(rules, "        {this} counter drop");
        rules
    }
}

/// The networks by the words nft has for their families; sets of it may not overlap, so one within another is left out.
fn families(networks: &[IpNet]) -> Vec<(&'static str, String)> {
    let whole = IpNet::aggregate(&networks.iter().map(IpNet::trunc).collect());
    [("ip", true), ("ip6", false)]
        .into_iter()
        .filter_map(|(family, is_v4)| {
            let of_family = whole.iter().filter(|network| network.addr().is_ipv4() == is_v4);
            let texts: Vec<String> = of_family.map(ToString::to_string).collect();
            (!texts.is_empty()).then(|| (family, texts.join(", ")))
        })
        .collect()
}

/// Ports of model servers on this machine, besides the house's own.
fn upstream_ports(config: &Config) -> BTreeSet<u16> {
    let here = |url: &str| {
        let url: http::Uri = url.parse().ok()?;
        let host = url.host()?.trim_matches(['[', ']']);
        let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
        let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 });
        (is_here && port != config.listen.address.port()).then_some(port)
    };
    config.upstreams.iter().filter_map(|upstream| here(&upstream.url)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_do_not_overlap() {
        let networks: Vec<IpNet> =
            ["10.0.0.0/16", "10.0.3.7/32", "10.1.0.0/16", "192.168.1.9/24", "fd00::/8", "fd00::1/128"]
                .map(|text| text.parse().unwrap())
                .to_vec();
        assert_eq!(
            families(&networks),
            [("ip", "10.0.0.0/15, 192.168.1.0/24".to_owned()), ("ip6", "fd00::/8".to_owned())]
        );
    }
}
