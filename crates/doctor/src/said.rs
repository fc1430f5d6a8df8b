//! All that the doctor says of an installation: each thing by a code that does not change, with its figures, and as English words.
//!
//! Codes of what was looked at begin with `at_`, those of how something is mended with `do_`; all others say what was found.

use tollhouse_units::catalogue;

catalogue! {
    /// One thing that the doctor says.
    pub enum Said;

    // What belongs to no step: names, versions and lists as they are, and what is to be written or run.
    found_words => Words { error: String } "{error}";
    do_command => DoCommand { command: String } "{command}";
    not_asked => NotAsked {} "it was not asked";
    nothing_wrong => Nothing {} "none";
    answers_in => AnswersIn { took_ms: f64 } "it answers in {}", millis(*took_ms);
    count_in_force => InForce { count: u64 } "{count} in force";

    // Connections.
    no_name => NoName { error: String } "its name has no address: {error}";
    do_name => DoName {} "write the address where the name is used, or mend DNS (`getent hosts NAME`, /etc/resolv.conf)";
    no_connection => NoConnection { error: String } "no connection: {error}";
    no_packet => NoPacket { limit_s: f64 } "no answer within {limit_s} s, not even to a connection";
    do_way => DoWay {}
        "a firewall drops the packets, or the machine is off: check the address, the route, and the rules of both machines";
    connected => Connected {} "connected";

    // The configuration.
    at_configuration => AtConfiguration {} "the configuration file";
    configuration_valid => ConfigurationValid { file: String } "{file} is valid";
    configuration_none => ConfigurationNone {} "there is none: defaults hold";
    do_configuration => DoConfiguration {} "mend the file; `tollhouse check` shows every mistake with its line";

    // What stands before the gate.
    at_certificate => AtCertificate { name: String } "the certificate of {name}";
    address_away => AddressAway {} "the public address cannot be reached";
    do_renew => DoRenew {} "renew it (`certbot renew`), and let the proxy load it (`nginx -s reload`)";
    at_renewal => AtRenewal {} "what renews the certificate (timers, cron)";
    renewal_not_run => RenewalNotRun {} "certbot knows how to renew it, and nothing runs it: neither a timer nor a job";
    do_renewal => DoRenewal {} "systemctl enable --now certbot.timer; then try it: certbot renew --dry-run";
    renewal_by => RenewalBy { by: String } "{by}; a trial: certbot renew --dry-run";
    at_acme => AtAcme { url: String } "the renewal of its certificate by {url}";
    certificate_lasts => CertificateLasts { days: f64 } "the one in force lasts {days:.1} days";
    certificate_ended => CertificateEnded {} "the one in force has ended";
    certificate_not_yet => CertificateNotYet {} "there is none yet";
    authority_away => AuthorityAway { error: String } "the authority cannot be asked: {error}";
    do_authority => DoAuthority {}
        "let this machine reach the authority (DNS, firewall, proxy), or mend `edge.acme.directory` and `edge.acme.ca`";
    orders_failed => OrdersFailed { count: u32, error: String } "{count} orders in a row failed, the last one: {error}";
    do_orders => DoOrders {}
        "mend what the authority says: mostly the name leads elsewhere, or port 80 or 443 cannot be reached from outside; it is tried again by itself";
    authority_answers => AuthorityAnswers {} "the authority answers";
    account_known => AccountKnown {} "it knows our account";
    account_later => AccountLater {} "there is no account yet, one is made with the first order";
    windows_told => WindowsTold {} "it says when to renew";
    windows_untold => WindowsUntold {} "it does not say when to renew";
    at_challenge => AtChallenge { url: String } "where the authority looks whether the name is ours: {url}";
    challenge_answered => ChallengeAnswered {} "a server answers there";
    do_challenge => DoChallenge {}
        "let the name lead to this machine (DNS), and let ports 80 and 443 through; where only this machine cannot go out and in again by its own name, it is well";
    at_public => AtPublic { url: String } "{url}/healthz, as users come in";
    gate_behind_silent => GateBehindSilent {} "the gate behind it does not answer";
    certificate_bad => CertificateBad {} "its certificate is bad";
    do_proxy => DoProxy {} "start the proxy that serves this address (`systemctl status nginx`, `nginx -t`), or mend `public_url`";
    public_silent => PublicSilent { limit_s: f64 } "it took the connection and said nothing for {limit_s} s";
    do_proxy_stuck => DoProxyStuck {}
        "look into the proxy's error log; its worker may be stuck, or it waits for an address that drops packets";
    do_proxy_tls => DoProxyTls {} "check that the proxy serves TLS at this port, with a certificate for this name";
    proxy_failed => ProxyFailed {} "the proxy answers that it does not reach the gate, which answers by itself";
    do_proxy_pass => DoProxyPass { address: String }
        "let the proxy pass on to {address} (`proxy_pass`), and look into its error log";
    public_elsewhere => PublicElsewhere { status: u16, url: String } "status {status}, to {url}";
    do_public_url => DoPublicUrl {} "name the address that answers itself in `public_url`";
    host_refused => HostRefused {} "the gate does not answer to the name that the proxy passes on";
    do_hosts => DoHosts {} "name the host in `hosts` of the configuration";
    public_other => PublicOther { status: u16 } "status {status}: that is not this house";
    do_public_paths => DoPublicPaths {} "check `public_url`, and to where the proxy passes its paths on";
    at_proxy_timeout => AtProxyTimeout { file: String } "`proxy_read_timeout` in {file}";
    proxy_impatient => ProxyImpatient { timeout_s: f64, wanted_s: f64 }
        "nginx gives up after {timeout_s} s; the gate waits {wanted_s} s for the first byte of an answer";
    waits_for => WaitsFor { timeout_s: f64 } "{timeout_s} s";
    at_proxy_buffering => AtProxyBuffering { file: String } "`proxy_buffering` in {file}";
    proxy_buffers => ProxyBuffers {} "nginx holds answers back until it has a buffer full: words do not come one by one";
    buffering_off => BufferingOff {} "off";
    at_proxy_trusted => AtProxyTrusted { file: String } "whether clients' addresses reach the gate in {file}";
    addresses_believed => AddressesBelieved {} "nginx names them, and the gate believes it";
    addresses_not_believed => AddressesNotBelieved {}
        "nginx names the client's address, and the gate does not believe it: all clients look like 127.0.0.1";
    addresses_not_named => AddressesNotNamed {} "nginx does not name the client's address: all clients look like 127.0.0.1";

    // The gate.
    at_address => AtAddress { url: String } "{url}";
    house_silent => HouseSilent {} "the house does not answer there";
    at_in_force => AtInForce {} "whether the file is in force";
    configuration_kept => ConfigurationKept { error: String } "the running house kept its older configuration: {error}";
    do_in_force => DoInForce {}
        "mend the file (`tollhouse check`) and save it; the house takes it by itself, or at `systemctl reload`";
    at_keys => AtKeys {} "keys that open the gate";
    keys_hidden => KeysHidden {} "the keys cannot be read";
    keys_none => KeysNone {} "there is none: every request is refused with 401";
    at_gate_port => AtGatePort { address: String } "who listens at {address}";
    do_house => DoHouse {}
        "tollhouse up, or `systemctl start tollhouse`; why it ended stands in its output (`journalctl -u tollhouse`)";
    house_listens => HouseListens {} "tollhouse";
    held_by => HeldBy { holder: String } "({holder})";
    port_of_other => PortOfOther {} "another program has the port: it does not answer as tollhouse does";
    do_port_of_other => DoPortOfOther {}
        "stop that program, or name another port in `listen`; OpenClaw's own port is 18789, too";
    gate_silent => GateSilent { limit_s: f64 } "the connection is taken, and nothing was said for {limit_s} s";
    do_gate_stuck => DoGateStuck {}
        "the process is stopped or stuck: `kill -CONT PID` if it was stopped, else restart it; what it did last stands in the journal";
    journal_disk => JournalDisk { word: String } "the journal's disk is {word}: requests pass, and those that cannot be recorded are counted and told later";
    do_journal_disk => DoJournalDisk {} "free space on the disk of the journal; the house goes on by itself";
    gate_slow => GateSlow { took_ms: f64 } "it took {} to say how it is", millis(*took_ms);
    do_gate_slow => DoGateSlow {}
        "look what else runs on the machine (`top`), and give tollhouse a processor's time before batch work";
    at_version => AtVersion {} "the version that runs, and this program's";
    versions_differ => VersionsDiffer { running: String, installed: String } "{running} runs, and this is {installed}";
    do_restart_house => DoRestartHouse {} "restart the house so that the installed version runs: systemctl restart tollhouse";
    at_requests => AtRequests {} "the requests of the last 15 minutes";
    requests_seen => RequestsSeen { requests: u64, failed: u64, slow: u64 }
        "{requests} requests, {failed} failed, {slow} took more than 3 s";
    see_others => SeeOthers {} "see what is not well";

    // Model servers.
    at_server_port => AtServerPort { url: String } "a connection to {url}";
    do_ollama_here => DoOllamaHere {}
        "start it: systemctl start ollama (or `ollama serve`); let tollhouse look after it with `supervise`";
    do_ollama_there => DoOllamaThere {}
        "start Ollama there, and let it listen where this machine reaches it (OLLAMA_HOST) behind a firewall";
    do_server => DoServer {} "start the model server, or mend its `url` under `upstreams`";
    at_server_version => AtServerVersion { url: String } "/api/version of {url}";
    at_server_list => AtServerList { url: String } "its list of models of {url}";
    do_ollama_stuck => DoOllamaStuck {}
        "it is stuck or stopped: systemctl restart ollama (or `kill -CONT PID` where it was stopped)";
    do_server_stuck => DoServerStuck {} "it is stuck: restart it; its own log says what it did last";
    server_silent => ServerSilent { limit_s: f64 } "it takes connections and says nothing for {limit_s} s";
    do_server_url => DoServerUrl {} "check `url` under `upstreams`: scheme (http or https), port and path";
    server_refuses_key => ServerRefusesKey {} "it refuses the configured key";
    server_wants_key => ServerWantsKey {} "it wants a key, and none is configured";
    do_server_key => DoServerKey {} "write its key to `key` under `upstreams`";
    server_status => ServerStatus { status: u16 } "it answers with status {status}";
    server_away => ServerAway {} "it cannot be reached";
    server_other => ServerOther { kind: String } "what answers there is no {kind} server";
    do_server_kind => DoServerKind {}
        "mend `kind` or `url` under `upstreams`: kind ollama has no /v1 at the end of its url, kind openai has";
    at_models => AtModels {} "the models that it has";
    models_untold => ModelsUntold {} "it did not tell them";
    models_missing => ModelsMissing { models: String } "it does not have {models}";
    do_models => DoModels { command: String } "{command}, or take it out of `models`";
    models_none => ModelsNone {} "it has no model at all";
    models_there => ModelsThere { count: usize } "{count} models";
    at_question => AtQuestion { model: String } "a question of one word to {model}";
    model_answered => ModelAnswered { took_ms: f64 } "answered in {}", millis(*took_ms);
    with_loading => WithLoading {} "with loading it";
    model_late_in_memory => ModelLateInMemory { took_ms: f64 } "it answered after {}, though it was in memory", millis(*took_ms);
    do_model_slow => DoModelSlow {}
        "it is busy with others (`tollhouse advise`), or works on the processor: `ollama ps` shows where";
    model_failed => ModelFailed { status: u16, error: String } "status {status}: {error}";
    model_failed_unsaid => ModelFailedUnsaid { status: u16 } "status {status}: it does not say why";
    do_model_failed => DoModelFailed {} "its log says more; a damaged model is mended by `ollama pull`";
    model_no_answer => ModelNoAnswer { limit_s: f64 } "no answer within {limit_s} s, though it is in memory";
    do_model_no_answer => DoModelNoAnswer {}
        "others are before it, or its runner is stuck: `ollama ps`; if that does not change, restart the server";
    model_not_loaded => ModelNotLoaded { limit_s: f64 } "it was not in memory, and was not loaded within {limit_s} s";
    model_none_loaded => ModelNoneLoaded {} "no model is in memory that could be asked without loading it";
    do_server_log => DoServerLog {} "its log says more";
    at_server_holes => AtServerHoles {} "its version, and the holes that are known of it";
    version_untold => VersionUntold {} "it does not tell its version";
    holes_known => HolesKnown { version: String, holes: String } "{version} has known holes: {holes}";
    do_update_ollama_more => DoUpdateOllamaMore { version: String }
        "update Ollama to {version} or later; `tollhouse doctor --security` says more";
    at_listens => AtListens {} "where it listens";
    listens_here => ListensHere { addresses: String } "{addresses}, on this machine only";
    listens_open => ListensOpen { addresses: String }
        "it listens at {addresses}: who reaches that goes around the gate, without a key";
    do_ollama_host => DoOllamaHost {}
        "OLLAMA_HOST=127.0.0.1 in its environment (`systemctl edit ollama`), then restart it";
    at_parallel => AtParallel {} "OLLAMA_NUM_PARALLEL, and `parallel` here";
    parallel_too_many => ParallelTooMany { given: u32, works_on: u32 }
        "the house gives it {given} requests at once, and it works on {works_on}: the others wait inside it, unseen";
    do_parallel => DoParallel { given: u32, works_on: u32 }
        "parallel: {works_on} under `upstreams`, or OLLAMA_NUM_PARALLEL={given} for Ollama";
    parallel_fits => ParallelFits { given: u32, works_on: u32 } "it works on {works_on} at once and is given {given}";
    at_context => AtContext { model: String } "the context of {model}";
    context_too_long => ContextTooLong { tokens: u32, tokens_max: u64 }
        "{tokens} tokens are configured, and the model was made for {tokens_max}";
    context_differs => ContextDiffers { tokens: u64, configured: u32 }
        "it is in memory with {tokens} tokens, and configured with {configured}: somebody asks around the gate, and each change loads it anew";
    do_context_differs => DoContextDiffers {}
        "let everybody come through the gate; Ollama for others than the house is closed by OLLAMA_HOST=127.0.0.1";
    context_is => ContextIs { tokens: u64 } "{tokens} tokens";
    context_when_loaded => ContextWhenLoaded { tokens: u32 } "{tokens} tokens, when it is loaded";
    at_spilled => AtSpilled { model: String } "where {model} lies";
    spilled => Spilled { spilled_percent: f64 }
        "{spilled_percent:.0}% of it lies in the processor's memory: it writes many times slower";
    do_spilled => DoSpilled {}
        "a smaller `context`, a smaller or more compressed model, or a card with more memory; see `tollhouse advise`";
    all_on_card => AllOnCard {} "all of it is on the card";
    at_flash_attention => AtFlashAttention {} "OLLAMA_FLASH_ATTENTION";
    flash_attention_off => FlashAttentionOff {}
        "it is switched off: long contexts take more of the card's memory than they need";
    do_flash_attention => DoFlashAttention {}
        "OLLAMA_FLASH_ATTENTION=1 in its environment; with it, OLLAMA_KV_CACHE_TYPE=q8_0 halves the context's memory";
    flash_attention_unset => FlashAttentionUnset {} "not set: Ollama decides by model";
    flash_attention_on => FlashAttentionOn {} "on";

    // Lines of model servers and the kernel; what they mean is said by the codes of `data/lines.tsv`.
    at_lines => AtLines {} "the lines of model servers and the kernel in the last hour";
    lines_unread => LinesUnread {}
        "no source collects the lines of a model server; name one under `sources` (format: ollama)";
    lines_calm => LinesCalm { count: usize } "{count} lines, none of them of a known trouble";
    line_last => LineLast { count: usize, at: String, source: String, line: String } "({count} times, last at {at} by {source}): {line}";

    // The machine.
    do_cards => DoCards {}
        "`nvidia-smi` shows which program holds what; heat: clean the fans, give it air, or limit its power";
    do_memory => DoMemory {} "see what takes it (`top`); unload models (`ollama stop MODEL`), or add memory or swap";
    do_disk => DoDisk {}
        "free space there: old logs, models that nobody asks for (`ollama rm`), caches; lower `logging.keep` and `store.keep`";
    do_clock => DoClock {} "let it follow a time server: timedatectl set-ntp true";
    at_clock_back => AtClockBack {} "the clock, against the newest record of the journal";
    clock_back => ClockBack { ahead_s: i64 } "the newest record is {ahead_s} s in the future: the clock was set back";
    do_clock_back => DoClockBack {} "set the clock right and let it follow a time server: timedatectl set-ntp true";
    clock_forward => ClockForward {} "it goes forward";
    at_place => AtPlace { what: String, path: String } "{what}: {path}";
    do_place_read => DoPlaceRead {}
        "let the user that tollhouse runs as read it: usermod -aG adm tollhouse, or setfacl -m u:tollhouse:r FILE";
    do_place_own => DoPlaceOwn {} "give it to the user that tollhouse runs as: chown -R tollhouse PATH";
    folder_missing => FolderMissing {} "the folder is not there yet";
    do_folder => DoFolder {} "it is made at the first start, or by --fix";
    place_not_yet => PlaceNotYet {} "not there yet";
    place_open => PlaceOpen { mode: String } "everybody on this machine may read it (mode {mode}), and secrets are in it";
    place_usable => PlaceUsable {} "usable";
    at_listener => AtListener { address: String, what: String } "{address} for {what}";
    do_listener => DoListener {} "name an address of this machine, and a port above 1023 or the right to lower ones";
    listener_ours => ListenerOurs {} "the house listens";
    listener_taken => ListenerTaken { holder: String } "it is taken by {holder}";
    listener_taken_unnamed => ListenerTakenUnnamed {} "it is taken by a program that the system does not name";
    do_listener_taken => DoListenerTaken {} "stop that program, or name another address in the configuration";
    listener_missing => ListenerMissing {} "the house runs, and does not listen there";
    do_listener_missing => DoListenerMissing {}
        "reload it (`systemctl reload tollhouse`); its journal says why it could not (kind:config)";
    listener_free => ListenerFree {} "it is free";
    at_budget => AtBudget { path: String } "what the stores may take, and the disk of {path}";
    budget_grows => BudgetGrows { growth_bytes: u64, allowed_bytes: u64, free_bytes: u64 }
        "they may grow by {} to {}, and {} are free", gib(*growth_bytes), gib(*allowed_bytes), gib(*free_bytes);
    budget_too_large => BudgetTooLarge {} "the disk is full before they are";
    do_budget => DoBudget {} "lower `logging.keep`, `logging.content.keep` and `store.keep`, or give them a larger disk";

    // OpenClaw.
    at_openclaw => AtOpenClaw { setting: String, file: String } "{setting} in {file}";
    at_openclaw_settings => AtOpenClawSettings { file: String } "its settings in {file}";
    settings_readable => SettingsReadable {} "readable";
    do_openclaw_settings => DoOpenClawSettings {} "mend the file; OpenClaw itself says more: openclaw doctor";
    provider_around => ProviderAround { provider: String, url: String }
        "the provider {provider} goes to {url}, around the gate: no limit, no record, no `why`";
    do_provider_around => DoProviderAround { address: String } "baseUrl: \"http://{address}/v1\" and a key of this house";
    provider_none => ProviderNone {} "no provider asks this house for its models";
    do_provider => DoProvider {} "`tollhouse init --from` its settings prints the lines that make it ask this house";
    provider_ours => ProviderOurs {} "it asks this house";
    key_not_needed => KeyNotNeeded {} "this house asks for none";
    key_elsewhere => KeyElsewhere {} "it is kept elsewhere";
    key_missing => KeyMissing {} "there is none, so every request is refused with 401";
    key_marker => KeyMarker { key: String }
        "{key:?} is a marker: OpenClaw sends no key with it, so every request is refused with 401";
    do_openclaw_key => DoOpenClawKey {} "tollhouse key create --name openclaw, and write the key there";
    key_there => KeyThere {} "there is one";
    openclaw_impatient => OpenClawImpatient { timeout_s: f64, wanted_s: f64 }
        "it gives up after {timeout_s} s, and the gate waits {wanted_s} s for a model: it asks again with the whole prompt meanwhile";
    timeout_own => TimeoutOwn {} "not set: its own, which is long enough";
    proxies_trusted => ProxiesTrusted {} "this machine is among them";
    proxies_untrusted => ProxiesUntrusted {}
        "the proxy on this machine is not among them: OpenClaw answers 403 proxy_attribution_required";
    origin_allowed => OriginAllowed {} "the public address is among them";
    origin_refused => OriginRefused { url: String } "{url} is not among them: browsers that come that way are refused (1008)";
    log_thrown_away => LogThrownAway {}
        "it is not set: OpenClaw writes below /tmp/openclaw and throws that away after a day";
    do_log_file => DoLogFile {}
        "\"logging\": {{\"file\": \"/var/log/openclaw/gateway.log\"}}, and a source of format openclaw here";

    // Journal, index, mail.
    at_dead => AtDead {} "lines and records that could not be shaped or delivered";
    dead_wait => DeadWait { count: u64 } "{count} wait";
    do_dead => DoDead {} "tollhouse dead list, and when the cause is mended: tollhouse dead replay";
    at_journal => AtJournal {} "the last part of the journal";
    do_journal => DoJournal {} "tollhouse journal verify shows what is missing; a start of the house mends a torn end";
    journal_readable => JournalReadable { seq: u64 } "readable up to record {seq}";
    journal_empty => JournalEmpty {} "no record yet";
    at_index => AtIndex {} "the index, against the journal";
    do_index => DoIndex {}
        "move the folder `index` of `data_dir` away and start the house: it makes a new one of the journal, which is the truth";
    index_behind => IndexBehind { count: u64 } "{count} records are not in it yet";
    do_index_behind => DoIndexBehind {}
        "a house that runs takes them in by itself; if this grows, its processor or disk is too busy";
    index_near => IndexNear { count: u64 } "{count} records behind";
    at_mail => AtMail { server: String } "the greeting of {server}";
    do_mail => DoMail {}
        "mend `server` of the channel, or start the mail server; alerts wait and are tried again meanwhile";
    mail_greets => MailGreets { took_ms: f64 } "it greets in {}", millis(*took_ms);
    mail_refuses => MailRefuses { status: u16 } "it greets with {status}";
    mail_silent => MailSilent { limit_s: f64 } "no greeting within {limit_s} s";

    // The network.
    at_open => AtOpen {} "what listens where other machines reach it (/proc/net)";
    open_nothing => OpenNothing {} "nothing";
    open_naked => OpenNaked { programs: String } "programs that ask nobody for a key can be reached: {programs}";
    do_naked => DoNaked {} "let it listen on 127.0.0.1 only, or let a firewall close its port: tollhouse export nftables";
    at_around => AtAround { name: String } "whether {name} can be reached around the gate";
    around_here => AroundHere {} "it listens on this machine only";
    around_dropped => AroundDropped { addresses: String }
        "it listens at {addresses}, and the firewall drops what comes from elsewhere";
    around_open => AroundOpen { addresses: String }
        "it listens at {addresses}: everybody who reaches this machine uses it without a key";
    do_around => DoAround {}
        "OLLAMA_HOST=127.0.0.1 (`systemctl edit ollama`), and: tollhouse export nftables | sudo nft --file -";
    at_firewall => AtFirewall {} "the rules of the firewall (nft list ruleset)";
    firewall_hidden => FirewallHidden {} "they may not be read: run it as root (sudo tollhouse doctor --security)";
    firewall_ours => FirewallOurs {} "the rules of `export nftables` are in force";
    firewall_drops => FirewallDrops {} "what is not allowed is dropped";
    firewall_not_needed => FirewallNotNeeded {} "none is needed: nothing listens beyond this machine";
    firewall_none => FirewallNone {} "it drops nothing, and programs listen beyond this machine";

    // Encryption.
    at_encryption => AtEncryption {} "whether keys cross the network in the clear";
    public_plain => PublicPlain { url: String } "{url} has no TLS: whoever is on the way reads keys and prompts";
    do_public_tls => DoPublicTls {}
        "let a proxy with a certificate serve it (nginx and certbot), and write https:// in `public_url`";
    public_beside => PublicBeside { url: String, address: String }
        "{url} has TLS, and the gate itself can be reached beside it without ({address})";
    do_beside => DoBeside {}
        "listen: 127.0.0.1:PORT where the proxy is on this machine, or a firewall that lets the proxy alone in";
    gate_plain => GatePlain { address: String }
        "the gate listens at {address} without TLS: whoever is on the way reads keys and prompts";
    do_gate_plain => DoGatePlain {}
        "listen: 127.0.0.1:PORT behind a proxy with TLS, whose address is `public_url`; in a closed network at least `access.allow`";
    stays_here => StaysHere {} "nothing leaves this machine";
    at_protocols => AtProtocols { file: String } "`ssl_protocols` in {file}";
    protocols_old => ProtocolsOld { versions: String } "{versions} are allowed, which are broken or long out of use";
    at_headers => AtHeaders {} "the headers of the console's page";
    page_away => PageAway {} "the page does not answer";
    headers_there => HeadersThere {} "all that browsers heed are there";
    headers_missing => HeadersMissing { headers: String } "{headers} are missing";
    do_headers => DoHeaders {}
        "let the proxy pass our headers on as they are, and add: add_header Strict-Transport-Security \"max-age=31536000\" always;";

    // Who may enter.
    at_keys_needed => AtKeysNeeded {} "whether a key is needed (`access.auth`)";
    keys_needed => KeysNeeded {} "every request needs one";
    keys_off_open => KeysOffOpen {} "nobody is asked for a key, and a proxy brings others here";
    keys_off_here => KeysOffHere {} "nobody is asked for a key; every program of this machine may use the models";
    do_keys_on => DoKeysOn {} "auth: keys under `access`, and: tollhouse key create --name me";
    at_default_secrets => AtDefaultSecrets {} "keys that stand in tutorials and examples";
    keys_guessable => KeysGuessable { keys: String } "{keys} can be guessed: it stands in tutorials";
    do_guessable => DoGuessable {} "make keys with `tollhouse key create`, and take this one out";
    at_key_age => AtKeyAge {} "the ages of keys";
    keys_young => KeysYoung { count: usize } "none of {count} is older than a year";
    keys_old => KeysOld { keys: String } "{keys} are older than a year and never end";
    do_keys_old => DoKeysOld {} "tollhouse key rotate ID --overlap 7d, and give the new one out";
    at_admin_keys => AtAdminKeys {} "keys of the role admin";
    admin_keys_bound => AdminKeysBound {} "none that holds everywhere and for ever";
    admin_keys_free => AdminKeysFree { keys: String } "{keys} may pull and delete models from everywhere, for ever";
    do_admin_keys => DoAdminKeys {} "make admin keys with --allow and --expires, and revoke this one";
    at_allow => AtAllow {} "`access.allow`";
    allow_none => AllowNone {} "there is none, and the gate listens beyond this machine: every address may try keys";
    do_allow_none => DoAllowNone {} "access: {{allow: [127.0.0.1, 10.0.0.0/16]}}, with your own network";
    allow_not_needed => AllowNotNeeded {} "none is needed on this machine alone";
    allow_everybody => AllowEverybody { networks: String } "{networks} is everybody: the list keeps nobody out";
    allow_nobody => AllowNobody { networks: String }
        "nobody has an address of {networks}: the list keeps everybody out";
    do_allow => DoAllow {} "name your own networks in its place";
    allow_only_here => AllowOnlyHere {} "the gate listens beyond this machine, and the list lets this machine alone in";
    do_allow_only_here => DoAllowOnlyHere {} "add the networks of your users, or listen on 127.0.0.1";
    at_trusted => AtTrusted {} "`access.trusted_proxies`";
    trusted_everybody => TrustedEverybody { networks: String }
        "{networks} is everybody: whoever comes may say that he is somebody else";
    do_trusted => DoTrusted {} "name the addresses of your proxies alone";
    mode_is => ModeIs { mode: String } "mode {mode}";
    mode_open => ModeOpen { mode: String } "everybody on this machine may read it (mode {mode})";
    at_exposure => AtExposure {} "systemd-analyze security tollhouse";
    exposure_is => ExposureIs { exposure: f64 } "{exposure} of 10";
    exposure_high => ExposureHigh { exposure: f64 }
        "{exposure} of 10: a hole in the program would reach the whole system";
    do_exposure => DoExposure {}
        "take the unit of `tollhouse export systemd`, or set ProtectSystem=strict, NoNewPrivileges=yes, PrivateTmp=yes and CapabilityBoundingSet= in its own";
    at_prompts => AtPrompts {} "`logging.content`";
    prompts_whole => PromptsWhole {} "prompts and answers are kept as they are, with what people write into them";
    do_prompts => DoPrompts {} "content: redacted, or a short `keep`";

    // What stands behind.
    at_behind_version => AtBehindVersion { name: String } "the version of {name}";
    version_sound => VersionSound { version: String } "{version}: no hole of our table (docs/doctor.md)";
    version_holes => VersionHoles { version: String } "{version}:";
    hole => Hole { id: String, what: String } "{id} ({what})";
    do_update_ollama => DoUpdateOllama { version: String } "update Ollama to {version} or later";
    at_origins => AtOrigins { name: String } "OLLAMA_ORIGINS of {name}";
    origins_everybody => OriginsEverybody {} "every web page that somebody opens on this machine may use it";
    do_origins => DoOrigins {} "take OLLAMA_ORIGINS=* out of its environment";
    at_way => AtWay { name: String } "the way to {name}";
    way_tls => WayTls {} "by TLS";
    way_plain => WayPlain { url: String }
        "{url} is on another machine and asked without TLS: whoever is on the way reads prompts";
    do_way_plain => DoWayPlain {} "a proxy with TLS before it, or a tunnel (WireGuard) between the machines";
}

impl Said {
    /// What a program or the system said, in its own words; names and lists as they are.
    pub fn words(words: impl Into<String>) -> Self {
        Self::Words { error: words.into() }
    }

    /// What is to be written or run, as it is.
    pub fn command(command: impl Into<String>) -> Self {
        Self::DoCommand { command: command.into() }
    }
}

/// Milliseconds for people.
fn millis(ms: f64) -> String {
    if ms >= 1000.0 { format!("{:.1} s", ms / 1000.0) } else { format!("{ms:.0} ms") }
}

/// A size for people.
fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64)
}
