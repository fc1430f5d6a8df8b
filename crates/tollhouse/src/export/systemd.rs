//! For systemd: a unit that starts the house and lets it touch as little as it needs.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tollhouse_config::{Config, Credential, SourceKind, TlsConfig};

/// Where the unit expects the program and its file.
const PROGRAM: &str = "/usr/bin/tollhouse";
/// What the house needs beyond its drain to end in order.
const STOP_MORE: Duration = Duration::from_secs(30);

/// A unit file, `Type=notify`, that hands these credentials to the house.
pub(super) fn unit(config: &Config, file: Option<&Path>, credentials: &[Credential]) -> String {
    let supervises = !config.supervise.is_empty();
    let stop = config.supervise.iter().map(|process| process.stop + process.drain).max().unwrap_or_default();
    let stop = stop.max(config.timeouts.drain) + STOP_MORE;
    let low_ports = has_low_ports(config);
    let file = file.map_or_else(|| PathBuf::from("/etc/tollhouse/tollhouse.yaml"), absolute);
    let mut lines = vec![
        "# tollhouse under systemd. Written by `tollhouse export systemd`.".to_owned(),
        "#   try:           systemd-analyze verify THIS && systemd-analyze security --offline=true THIS".to_owned(),
        "#   put in force:  as /etc/systemd/system/tollhouse.service, then".to_owned(),
        "#                  useradd --system --home-dir /var/lib/tollhouse --shell /usr/sbin/nologin tollhouse"
            .to_owned(),
        "#                  systemctl daemon-reload && systemctl enable --now tollhouse".to_owned(),
        "[Unit]".to_owned(),
        "Description=tollhouse, gate and book of language models".to_owned(),
        "After=network-online.target".to_owned(),
        "Wants=network-online.target".to_owned(),
        String::new(),
        "[Service]".to_owned(),
        "Type=notify".to_owned(),
        "NotifyAccess=main".to_owned(),
        "WatchdogSec=60".to_owned(),
        format!("ExecStart={PROGRAM} up --config {}", file.display()),
        "ExecReload=/bin/kill -HUP $MAINPID".to_owned(),
        "Restart=always".to_owned(),
        "RestartSec=2".to_owned(),
        "# A file that cannot be read does not get better by itself.".to_owned(),
        "RestartPreventExitStatus=78".to_owned(),
        format!("TimeoutStopSec={}", stop.as_secs()),
        "User=tollhouse".to_owned(),
        "Group=tollhouse".to_owned(),
        "StateDirectory=tollhouse".to_owned(),
        "StateDirectoryMode=0700".to_owned(),
        "WorkingDirectory=/var/lib/tollhouse".to_owned(),
        "LimitNOFILE=65536".to_owned(),
        "UMask=0077".to_owned(),
    ];
    if supervises {
        lines.push("# What it supervises ends with it, by its own means first.".to_owned());
        lines.push("KillMode=mixed".to_owned());
    }
    lines.push(String::new());
    lines.push("# What it may touch.".to_owned());
    lines.push("ProtectSystem=strict".to_owned());
    let writes = written(config);
    if !writes.is_empty() {
        lines.push(format!("ReadWritePaths={}", writes.into_iter().collect::<Vec<_>>().join(" ")));
    }
    if credentials.is_empty() {
        lines.push("# A secret that only root can read: in the configuration".to_owned());
        lines.push("# `file:${CREDENTIALS_DIRECTORY:-/etc/tollhouse}/upstream-key`, and here".to_owned());
        lines.push("#LoadCredential=upstream-key:/etc/tollhouse/upstream-key".to_owned());
    } else {
        lines.push("# Files that only root can read, as the configuration names them.".to_owned());
        // A `%` alone would be one of systemd's specifiers.
        let from = |file: &Credential| file.from.display().to_string().replace('%', "%%");
        let line = |file: &Credential| format!("LoadCredential={}:{}", file.name, from(file));
        lines.extend(credentials.iter().map(line));
    }
    lines.extend(sandbox(config, &file, supervises, low_ports));
    lines.extend(["", "[Install]", "WantedBy=multi-user.target"].map(str::to_owned));
    lines.join("\n") + "\n"
}

/// The sockets that systemd keeps over restarts of the house.
pub(super) fn socket(config: &Config) -> String {
    let mut lines = vec![
        "# The sockets of tollhouse, which systemd keeps: nobody is refused while the house restarts.".to_owned(),
        "# Written by `tollhouse export systemd --socket`.".to_owned(),
        "#   try:           systemd-analyze verify THIS".to_owned(),
        "#   put in force:  as /etc/systemd/system/tollhouse.socket beside tollhouse.service, then".to_owned(),
        "#                  systemctl daemon-reload && systemctl stop tollhouse && systemctl enable --now tollhouse.socket"
            .to_owned(),
        "[Unit]".to_owned(),
        "Description=Sockets of tollhouse".to_owned(),
        String::new(),
        "[Socket]".to_owned(),
    ];
    let edge = config.edge.iter().flat_map(|edge| [edge.http, Some(edge.https)]).flatten();
    let wanted: BTreeSet<SocketAddr> = edge.chain([config.listen.address]).chain(config.search.listen).collect();
    lines.extend(wanted.iter().map(|address| format!("ListenStream={address}")));
    lines.push("Backlog=4096".to_owned());
    lines.extend(["", "[Install]", "WantedBy=sockets.target"].map(str::to_owned));
    lines.join("\n") + "\n"
}

fn sandbox(config: &Config, file: &Path, supervises: bool, low_ports: bool) -> Vec<String> {
    let mut lines = vec!["NoNewPrivileges=yes".to_owned()];
    let written = written(config);
    let is_ours =
        |folder: &str| file.starts_with(folder) || written.iter().any(|path| Path::new(path).starts_with(folder));
    let reads = |folder: &str| is_ours(folder) || reads_below(config, folder);
    lines.push(if reads("/home") || reads("/root") { "ProtectHome=read-only" } else { "ProtectHome=yes" }.to_owned());
    if reads("/tmp") || reads("/var/tmp") || supervises {
        lines.push("# No PrivateTmp: what is read or written lies there, or sockets of other programs.".to_owned());
    } else {
        lines.push("PrivateTmp=yes".to_owned());
    }
    if supervises {
        // Its children inherit all of it: model servers want graphics cards, code made while they run, and namespaces of their own.
        lines.push("# Children have these rights too: graphics cards, and code that is made while it runs.".to_owned());
        lines.push("DevicePolicy=closed".to_owned());
        for device in ["char-nvidia", "char-nvidia-uvm", "char-nvidia-frontend", "char-drm", "/dev/kfd"] {
            lines.push(format!("DeviceAllow={device} rw"));
        }
    } else {
        lines.extend(["MemoryDenyWriteExecute=yes", "PrivateDevices=yes"].map(str::to_owned));
        lines.push("# Probes of graphics cards see none here; take PrivateDevices out where they shall.".to_owned());
    }
    lines.extend(
        [
            "ProtectKernelTunables=yes",
            "ProtectKernelModules=yes",
            "ProtectKernelLogs=yes",
            "ProtectControlGroups=yes",
            "ProtectClock=yes",
            "ProtectHostname=yes",
            "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
            "RestrictNamespaces=yes",
            "RestrictRealtime=yes",
            "RestrictSUIDSGID=yes",
            "RemoveIPC=yes",
            "LockPersonality=yes",
            "SystemCallArchitectures=native",
            // What is not allowed is refused, not killed for: some libraries only try.
            "SystemCallErrorNumber=EPERM",
            "SystemCallFilter=@system-service",
        ]
        .map(str::to_owned),
    );
    lines.push(
        if supervises { "SystemCallFilter=~@privileged" } else { "SystemCallFilter=~@privileged @resources" }
            .to_owned(),
    );
    if low_ports {
        lines.push("CapabilityBoundingSet=CAP_NET_BIND_SERVICE".to_owned());
        lines.push("AmbientCapabilities=CAP_NET_BIND_SERVICE".to_owned());
    } else {
        lines.extend(["CapabilityBoundingSet=", "AmbientCapabilities=", "PrivateUsers=yes"].map(str::to_owned));
    }
    lines
}

/// Whether a port below 1024 is listened on.
fn has_low_ports(config: &Config) -> bool {
    let edge = config.edge.iter().flat_map(|edge| [Some(edge.https), edge.http]);
    let sources = config.sources.iter().map(|source| match &source.kind {
        SourceKind::Listen(listen) => Some(listen.address),
        SourceKind::Http(http) => Some(http.address),
        SourceKind::File(_) | SourceKind::Journald(_) | SourceKind::Stdin(_) | SourceKind::Process(_) => None,
    });
    let all = [Some(config.listen.address), config.search.listen].into_iter().chain(edge).chain(sources);
    all.flatten().any(|address| (1..1024).contains(&address.port()))
}

/// Folders beyond its own that it writes into.
fn written(config: &Config) -> BTreeSet<String> {
    let journal = config.journal_file();
    let folders = [Some(config.data_dir.as_path()), journal.parent()];
    let own = Path::new("/var/lib/tollhouse");
    let beyond = folders.into_iter().flatten().map(|folder| own.join(folder)).filter(|folder| !folder.starts_with(own));
    beyond.map(|folder| folder.display().to_string()).collect()
}

/// Whether files below this folder are read.
fn reads_below(config: &Config, folder: &str) -> bool {
    let of_sources = config.sources.iter().filter_map(|source| match &source.kind {
        SourceKind::File(file) => Some(&file.paths),
        _ => None,
    });
    let of_sites = config.edge.iter().flat_map(|edge| &edge.sites).flat_map(|site| match &site.tls {
        TlsConfig::Files { cert, key } => vec![cert, key],
        TlsConfig::Acme => Vec::new(),
    });
    of_sources.flatten().any(|path| Path::new(path).starts_with(folder))
        || of_sites.into_iter().any(|path| path.starts_with(folder))
}

fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}
