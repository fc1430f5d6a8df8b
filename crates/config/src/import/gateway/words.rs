//! The words of a hand-made gateway's `config.yaml`, and what they mean.

use crate::{
    import::plain_name,
    tree::{Data, Node},
};

/// What a key means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Meaning {
    Listen,
    Host,
    Port,
    Server,
    /// The model server's host, whose port may stand beside it.
    ServerHost,
    ServerPort,
    LogLevel,
    LogFile,
    LogFormat,
    LogSize,
    LogDays,
    /// A mapping whose entries are added to every record.
    LogFields,
    Rate,
    RateMost,
    RatePer,
    PerSecond,
    PerMinute,
    PerHour,
    RateBy,
    TokensPerMinute,
    Concurrent,
    Auth,
    Keys,
    KeyHeader,
    Allow,
    Proxies,
    UserHeader,
    PromptChars,
    Body,
    Timeout,
    Connect,
    FirstByte,
    Idle,
    Drain,
    QueueDepth,
    Models,
    Service,
    PublicUrl,
    DataDir,
    Redis,
    /// It cannot be taken, for this reason.
    No(&'static str),
}

use Meaning::{
    Allow, Auth, Body, Concurrent, Connect, DataDir, Drain, FirstByte, Host, Idle, KeyHeader, Keys, Listen, LogDays,
    LogFields, LogFile, LogFormat, LogLevel, LogSize, Models, No, PerHour, PerMinute, PerSecond, Port, PromptChars,
    Proxies, PublicUrl, QueueDepth, Rate, RateBy, RateMost, RatePer, Redis, Server, ServerHost, ServerPort, Service,
    Timeout, TokensPerMinute, UserHeader,
};

/// Sections that only gather others: what stands in them means what it means above them.
const GATHERING: [&str; 14] = [
    "gateway",
    "server",
    "app",
    "application",
    "config",
    "settings",
    "general",
    "http",
    "api",
    "network",
    "security",
    "access",
    "limits",
    "middleware",
];

/// Sections by another name.
const SECTIONS: [(&str, &str); 12] = [
    ("authentication", "auth"),
    ("apikeyauth", "auth"),
    ("ratelimiting", "ratelimit"),
    ("ratelimiter", "ratelimit"),
    ("throttle", "ratelimit"),
    ("log", "logging"),
    ("logger", "logging"),
    ("logs", "logging"),
    ("upstream", "ollama"),
    ("backend", "ollama"),
    ("ssl", "tls"),
    ("ipwhitelist", "whitelist"),
];

/// What may also stand in a section about who may enter.
const ABOUT_ACCESS: [Meaning; 3] = [Keys, KeyHeader, Allow];

/// Keys in small letters without `_` and `-`, with the section before them.
const KEYS: [(Meaning, &str); 52] = [
    (Listen, "listen listenaddr listenaddress listenon bind bindaddr bindaddress addr address"),
    (Host, "host listenhost bindhost listen.host listen.address bind.host"),
    (Port, "port listenport bindport httpport listen.port bind.port"),
    (Server, "ollamaapi ollamaapiurl ollamaapibase ollamaurl ollamabaseurl ollamaendpoint ollama ollamaaddr"),
    (Server, "ollama.url ollama.api ollama.apiurl ollama.apibase ollama.baseurl ollama.endpoint ollama.target"),
    (Server, "upstream upstreamurl backend backendurl target targeturl proxypass modelapi modelserver llmapi llmurl"),
    (Server, "apibase apibaseurl baseurl upstreams backends upstreams.url backends.url"),
    (ServerHost, "ollamahost upstreamhost ollama.host ollama.address ollama.addr"),
    (ServerPort, "ollamaport upstreamport ollama.port"),
    (LogLevel, "loglevel loggerlevel logging.level logging.loglevel"),
    (LogFile, "log logging logfile logpath logfilepath accesslog logging.file logging.path logging.filename"),
    (LogFile, "logging.output logging.filepath logging.logfile"),
    (LogFormat, "logformat logjson jsonlogs logging.format logging.json"),
    (LogSize, "logmaxsize maxlogsize logging.maxsize logging.maxsizemb"),
    (LogDays, "logmaxage logretention logretentiondays retentiondays logging.maxage logging.maxagedays"),
    (LogDays, "logging.retention logging.retentiondays logging.keepdays logging.maxdays"),
    (LogFields, "logging.fields"),
    (Rate, "ratelimit ratelimiting ratelimiter throttle ratelimit.rate"),
    (RateMost, "maxrequests ratelimitrequests ratelimitmax ratelimitcount ratelimit.requests ratelimit.max"),
    (RateMost, "ratelimit.maxrequests ratelimit.limit ratelimit.count ratelimit.requestslimit"),
    (RatePer, "ratelimitwindow ratelimitperiod ratelimitseconds ratewindow ratelimit.window ratelimit.per"),
    (RatePer, "ratelimit.period ratelimit.interval ratelimit.duration ratelimit.seconds ratelimit.windowseconds"),
    (RatePer, "ratelimit.windowsec ratelimit.windowsecs ratelimit.windowsize ratelimit.windowms ratelimit.timewindow"),
    (PerSecond, "requestspersecond rps ratelimitrps ratelimitpersecond ratelimit.requestspersecond ratelimit.rps"),
    (PerSecond, "ratelimit.persecond"),
    (PerMinute, "requestsperminute rpm ratelimitrpm ratelimitperminute ratelimit.requestsperminute ratelimit.rpm"),
    (PerMinute, "ratelimit.perminute ratelimit.requestspermin"),
    (PerHour, "requestsperhour rph ratelimitperhour ratelimit.requestsperhour ratelimit.perhour"),
    (RateBy, "ratelimitby ratelimit.by ratelimit.key ratelimit.scope ratelimit.keyby"),
    (TokensPerMinute, "tokensperminute tpm ratelimit.tokens ratelimit.tokensperminute ratelimit.tpm"),
    (Concurrent, "concurrent concurrency maxconcurrent maxconcurrency maxconcurrentrequests ratelimit.concurrent"),
    (Auth, "auth authentication authenabled enableauth requireauth requireapikey authtype authmode"),
    (Auth, "auth.enabled auth.enable auth.required auth.type auth.mode auth.method"),
    (Keys, "keys apikey apikeys token tokens secret authkey authtoken authtokens accesstoken bearertoken authsecret"),
    (Keys, "gatewaytoken gatewaykey validkeys allowedkeys auth.key auth.users auth.value"),
    (KeyHeader, "apikeyheader keyheader authheader headername auth.header"),
    (Allow, "whitelist ipwhitelist whitelistips whitelistip allowlist ipallowlist allowedips allowips allow allowedip"),
    (Allow, "allowedaddresses allowednetworks allowedcidrs whitelist.ips whitelist.ip whitelist.addresses"),
    (Allow, "whitelist.list whitelist.networks whitelist.cidrs whitelist.allowed whitelist.allow allow.ips"),
    (Proxies, "trustedproxies trustedproxy trustproxies trustproxy"),
    (UserHeader, "userheader useridheader userheadername headers.user headers.userid"),
    (PromptChars, "maxprompt maxpromptlength maxpromptlen maxpromptchars maxpromptsize promptmaxlength promptmaxchars"),
    (
        PromptChars,
        "promptlimit promptchars maxinputlength maxinputchars maxcharacters prompt.maxlength prompt.maxchars",
    ),
    (Body, "maxbody maxbodysize maxbodybytes bodylimit maxrequestsize maxrequestbody clientmaxbodysize"),
    (Timeout, "timeout timeouts timeoutseconds timeoutsec timeoutms requesttimeout requesttimeoutseconds proxytimeout"),
    (Timeout, "upstreamtimeout ollamatimeout ollama.timeout timeout.total timeouts.total timeouts.request"),
    (Connect, "connecttimeout dialtimeout timeout.connect timeouts.connect ollama.connecttimeout"),
    (FirstByte, "firstbytetimeout responseheadertimeout timeout.firstbyte timeouts.firstbyte"),
    (Idle, "streamtimeout streamidletimeout timeout.stream timeouts.stream timeout.idle timeouts.idle"),
    (Drain, "shutdowntimeout gracefultimeout draintimeout timeout.shutdown timeouts.shutdown timeouts.drain"),
    (QueueDepth, "queuesize maxqueue maxqueuesize queuedepth queue.size queue.depth queue.max queue.maxsize"),
    (Models, "models allowedmodels modelwhitelist"),
];

/// The same, of keys that few files have.
const RARE: [(Meaning, &str); 9] = [
    (Service, "service servicename appname logging.service"),
    (PublicUrl, "publicurl externalurl siteurl"),
    (DataDir, "datadir datapath statedir"),
    (Redis, "redis redisurl redis.url ratelimit.redis ratelimit.redisurl"),
    (
        No("TLS stays with the proxy in front: name its address in access.trusted_proxies"),
        "tls https cert certfile keyfile tlscert tlskey sslcert sslkey tls.cert tls.certfile tls.key tls.keyfile tls.enabled",
    ),
    (
        No("only a list of those who may enter is kept here; turn the others away in the firewall"),
        "deny blacklist ipblacklist denylist blockedips blacklist.ips",
    ),
    (
        No("every client asks for the model that it names"),
        "model defaultmodel ollamamodel ollama.model ollama.defaultmodel",
    ),
    (No("the limit is exact over every stretch of time: nothing goes beyond it"), "burst ratelimit.burst"),
    (
        No("old log files are bounded by `logging.keep`: days and bytes"),
        "maxbackups logmaxbackups backupcount logging.maxbackups logging.backupcount logging.maxfiles",
    ),
];

/// Only a gateway has one of these above all sections; a chat page's file has none.
pub(in crate::import) const MARKS: [&str; 14] = [
    "listen",
    "listenaddr",
    "ollamaapi",
    "ollamaurl",
    "ollama",
    "upstream",
    "ratelimit",
    "ratelimiting",
    "whitelist",
    "ipwhitelist",
    "maxpromptlength",
    "server",
    "gateway",
    "security",
];

/// Whether anything of the file is known.
pub(in crate::import) fn knows(root: &Node) -> bool {
    let mut paths = Vec::new();
    add_paths(root, "", &mut paths);
    paths.iter().any(|path| meaning(path).is_some())
}

fn add_paths(node: &Node, path: &str, found: &mut Vec<String>) {
    for entry in node.entries().unwrap_or_default() {
        let path = below(path, &entry.name);
        let is_section = matches!(entry.value.data, Data::Map(_)) && !entry.value.is_empty();
        if !is_section || meaning(&path) == Some(Keys) {
            found.push(path.clone());
        }
        add_paths(&entry.value, &path, found);
    }
}

/// The way to a key, as this table writes it.
pub(super) fn below(path: &str, name: &str) -> String {
    let name = plain_name(name);
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

/// What stands at the end of this way, if that is known.
pub(super) fn meaning(path: &str) -> Option<Meaning> {
    let mut parts: Vec<&str> = path.split('.').collect();
    while parts.len() > 1 && GATHERING.contains(&parts[0]) {
        parts.remove(0);
    }
    if let [sections @ .., _] = &mut parts[..] {
        for section in sections {
            let known = SECTIONS.iter().find(|(other, _)| other == section);
            *section = known.map_or(*section, |(_, ours)| ours);
        }
    }
    look_up(&parts.join(".")).or_else(|| match parts[..] {
        ["auth" | "whitelist", .., last] => look_up(last).filter(|meaning| ABOUT_ACCESS.contains(meaning)),
        _ => None,
    })
}

fn look_up(path: &str) -> Option<Meaning> {
    let stands_there = |(_, names): &&(Meaning, &str)| names.split(' ').any(|name| name == path);
    KEYS.iter().chain(&RARE).find(stands_there).map(|(meaning, _)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_means_one_thing() {
        let mut names: Vec<&str> = KEYS.iter().chain(&RARE).flat_map(|(_, names)| names.split(' ')).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(names.iter().all(|name| !name.is_empty() && name.split('.').all(|part| plain_name(part) == part)));
    }

    #[test]
    fn sections_are_seen_through_only_where_they_gather() {
        for (path, known) in [
            ("listen", Some(Listen)),
            ("gateway.server.listen", Some(Listen)),
            ("security.ratelimiting.window", Some(RatePer)),
            ("authentication.apikeys", Some(Keys)),
            ("auth.whitelist", Some(Allow)),
            ("upstream.port", Some(ServerPort)),
            ("redis.port", None),
            ("auth.port", None),
            ("database.host", None),
        ] {
            assert_eq!(meaning(path), known, "{path}");
        }
    }
}
