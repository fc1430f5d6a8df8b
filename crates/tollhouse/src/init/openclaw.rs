//! What to write into OpenClaw's settings, so that it asks its models of this house.

mod settings;

use std::{
    env, fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tollhouse_config::Config;

pub(super) use self::settings::Settings;
use self::settings::{Change, House};

/// Names of its settings, now and under its former names.
const FILES: [&str; 3] = ["openclaw.json", "moltbot.json", "clawdbot.json"];
/// Folders below the home directory where they lie.
const FOLDERS: [&str; 2] = [".openclaw", ".clawdbot"];
/// How many models are told.
const MODELS_MAX: usize = 20;
/// Tokens that OpenClaw may count on where the configuration does not say how many a model works on at once.
const CONTEXT: u32 = 32_768;
/// How long its answers may be, in tokens.
const ANSWER_TOKENS: u32 = 8192;
/// Stands where the key belongs, which is only shown when it is made.
const KEY: &str = "THE-KEY-THAT-KEY-CREATE-SHOWS";

/// Whether this is a file of OpenClaw's, by its name.
pub(super) fn is_named(file: &Path) -> bool {
    file.file_name().is_some_and(|name| FILES.iter().any(|known| name == *known))
}

/// Where OpenClaw's settings are on this machine.
pub(crate) fn find() -> Option<PathBuf> {
    if let Some(file) = env::var_os("OPENCLAW_CONFIG_PATH").map(PathBuf::from).filter(|file| file.is_file()) {
        return Some(file);
    }
    let home = env::home_dir();
    let folders = FOLDERS.iter().filter_map(|folder| home.as_ref().map(|home| home.join(folder)));
    let folders = env::var_os("OPENCLAW_STATE_DIR").map(PathBuf::from).into_iter().chain(folders);
    folders.flat_map(|folder| FILES.map(|file| folder.join(file))).find(|file| file.is_file())
}

/// Its settings below a home directory.
pub(crate) fn below(home: &Path) -> Option<PathBuf> {
    FOLDERS.iter().flat_map(|folder| FILES.map(|file| home.join(folder).join(file))).find(|file| file.is_file())
}

/// The lines for OpenClaw's settings.
pub(super) struct Advice {
    file: PathBuf,
    listen: SocketAddr,
    /// Names with the tokens that each works on at once, as far as that is known.
    models: Vec<(String, Option<u32>)>,
    /// What has to be another value in what it has.
    changes: Vec<Change>,
    /// Whether a provider that it has asks this house then.
    has_provider: bool,
}

impl Advice {
    /// What the settings need for the house of this configuration.
    pub(super) fn new(
        settings: Settings,
        config: &Config,
        listen: SocketAddr,
        models: Vec<(String, Option<u32>)>,
    ) -> Self {
        let house = House::new(config, reachable(listen));
        let changes = settings.changes(&house);
        let has_provider = settings.has_local_provider(&house);
        Self { file: settings.file, listen, models, changes, has_provider }
    }

    /// The lines and the file that they belong into.
    pub(super) fn json(&self) -> Value {
        let changes: Vec<Value> = self.changes.iter().map(Change::json).collect();
        json!({"file": self.file, "settings": self.settings(), "changes": changes})
    }

    /// What is to be merged into its settings.
    fn settings(&self) -> Value {
        let placeholder = [("MODEL-NAME".to_owned(), None)];
        let models = if self.models.is_empty() { &placeholder[..] } else { &self.models };
        let entries: Vec<Value> = models.iter().take(MODELS_MAX).map(model).collect();
        let address = reachable(self.listen);
        json!({
            "models": {"providers": {"tollhouse": {
                "baseUrl": format!("http://{address}/v1"),
                "api": "openai-completions",
                "apiKey": KEY,
                "timeoutSeconds": settings::PATIENCE_S_MIN,
                "models": entries,
            }}},
            "agents": {"defaults": {"model": {"primary": format!("tollhouse/{}", models[0].0)}}},
        })
    }
}

/// The settings are JSON5, of which JSON is a part.
impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        writeln!(f, "OpenClaw's settings are at {file}. To let it ask its models of tollhouse:")?;
        writeln!(
            f,
            "  1. make it a key: tollhouse key create --name openclaw --requests 300/60s --prompt-chars 200000"
        )?;
        if self.changes.is_empty() {
            writeln!(
                f,
                "  2. add these lines, with that key; a section that is there already takes the new entries:\n"
            )?;
            return self.lines(f);
        }
        writeln!(f, "  2. change these values, with that key; OpenClaw takes them within a second or so:\n")?;
        self.changes.iter().try_for_each(|change| writeln!(f, "   {change}"))?;
        if self.has_provider {
            return Ok(());
        }
        writeln!(f, "\n  3. add these lines; a section that is there already takes the new entries:\n")?;
        self.lines(f)
    }
}

impl Advice {
    fn lines(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.settings();
        let provider = &settings["models"]["providers"]["tollhouse"];
        writeln!(f, "    \"models\": {{\"providers\": {{\"tollhouse\": {{")?;
        for name in ["baseUrl", "api", "apiKey", "timeoutSeconds"] {
            writeln!(f, "      \"{name}\": {},", provider[name])?;
        }
        writeln!(f, "      \"models\": [")?;
        let models = provider["models"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (number, model) in models.iter().enumerate() {
            let comma = if number + 1 < models.len() { "," } else { "" };
            writeln!(f, "        {model}{comma}")?;
        }
        writeln!(f, "      ]}}}}}},\n    \"agents\": {}", settings["agents"])?;
        if self.models.is_empty() {
            writeln!(f, "\n     with the name of a model of yours as MODEL-NAME")?;
        }
        Ok(())
    }
}

fn model((name, context): &(String, Option<u32>)) -> Value {
    let context = context.unwrap_or(CONTEXT);
    json!({
        "id": name,
        "name": name,
        "reasoning": false,
        "input": ["text"],
        "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
        "contextWindow": context,
        "maxTokens": ANSWER_TOKENS.min(context / 2).max(1),
    })
}

/// Where a program on this machine finds what listens there.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
