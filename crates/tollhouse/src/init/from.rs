//! `tollhouse init --from FILE`: older files, and what became of every value in them.

use std::{
    fmt::{self, Write},
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
};

use serde_json::json;
use tollhouse_config::{
    Config, ConfigErrors, Fate, Imported, Note, Old, Part, Place, Problem, RouteTarget, import_with, parse,
};

use super::{PORT, Plan, found, free_address, nginx};

/// Older files that are not understood at all.
#[derive(Debug)]
pub(crate) struct Unreadable(Vec<ConfigErrors>);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|errors| writeln!(f, "{errors}"))?;
        f.write_str("nothing was written")
    }
}

impl std::error::Error for Unreadable {}

/// The configuration that older files make, with what was read elsewhere. `named` is what names the new file in further commands.
pub(super) fn plan(files: &[&PathBuf], mut parts: Vec<Part>, has_ollama: bool, named: &str) -> anyhow::Result<Plan> {
    let (olds, errors): (Vec<_>, Vec<_>) = files.iter().map(|file| Old::read(file)).partition(Result::is_ok);
    let (sites, olds): (Vec<Old>, Vec<Old>) =
        olds.into_iter().filter_map(Result::ok).partition(|old| nginx::is_site(&old.text));
    let has_sites = !sites.is_empty();
    let broken = sites.iter().filter_map(|old| Some(broken_site(old, nginx::fault(&old.text)?)));
    let errors: Vec<Result<Old, ConfigErrors>> = errors.into_iter().chain(broken.map(Err)).collect();
    // One edge is made of all of them.
    let whole: Vec<Part> = sites.iter().map(|old| nginx::part(&old.name, &old.text)).collect();
    parts.extend(nginx::joined(whole));
    let mut errors: Vec<ConfigErrors> = errors.into_iter().filter_map(Result::err).collect();
    // Only taken where no file says where to listen.
    let free = free_address();
    let usual = SocketAddr::from(([127, 0, 0, 1], PORT));
    let env = |name: &str| std::env::var(name).ok();
    let imported = match import_with(&olds, parts, *free.as_ref().unwrap_or(&usual), &env) {
        Ok(imported) if errors.is_empty() => imported,
        Ok(_) => return Err(Unreadable(errors).into()),
        Err(more) => {
            errors.extend(more);
            return Err(Unreadable(errors).into());
        }
    };
    if !imported.has_listen {
        free?;
    }
    let config = parse(&imported.text, "the new configuration", &|_| Some("set".to_owned()))?;
    let listen = config.listen.address;
    let trouble = trouble(listen, imported.has_listen);
    let of_edge = [refused(&config), edge_trouble(&config)].map(|trouble| trouble.filter(|_| has_sites));
    let trouble = of_edge.into_iter().chain([trouble]).flatten().reduce(|a, b| a + "\n" + &b);
    let told = tell(&imported, trouble.as_deref(), has_ollama, named)?;
    let notes: Vec<_> = imported.notes.iter().map(note_json).collect();
    let json = json!({
        "taken": count(&imported, Fate::Taken),
        "changed": count(&imported, Fate::Changed),
        "not_taken": count(&imported, Fate::NotTaken),
        "notes": notes,
        "variables": imported.variables,
        "trouble": trouble,
        "ollama": has_ollama.then(|| format!("http://{}", found::OLLAMA)),
    });
    Ok(Plan { text: imported.text, listen, told, json })
}

/// A site that nginx would not take.
fn broken_site(old: &Old, (line, what): (usize, &'static str)) -> ConfigErrors {
    let problem = Problem::new(Some(Place { line, column: 1, width: 1 }), what)
        .expected("a whole nginx site, which `nginx -t` takes");
    ConfigErrors::of(&old.name, problem)
}

/// What has to be decided before the file is used.
fn refused(config: &Config) -> Option<String> {
    let sites = &config.edge.as_ref()?.sites;
    let routes = sites.iter().flat_map(|site| site.routes.iter().map(|route| (&site.host, route)));
    let refused: Vec<String> = routes
        .filter(|(_, route)| route.to == RouteTarget::Refuse)
        .map(|(host, route)| format!("{host}{}", route.path))
        .collect();
    (!refused.is_empty()).then(|| {
        format!(
            "DECIDE FIRST: nginx guards these, and no route asks who comes, so they are refused (`to: refuse`): {}",
            refused.join(", ")
        )
    })
}

/// The new configuration, as it will be read.
pub(super) fn config(text: &str) -> Config {
    parse(text, "the new configuration", &|_| Some("set".to_owned())).unwrap_or_default()
}

/// The models that the new configuration names, else those that Ollama has.
pub(super) fn models(config: &Config, of_ollama: Vec<String>) -> Vec<(String, Option<u32>)> {
    if config.models.is_empty() {
        return of_ollama.into_iter().map(|name| (name, None)).collect();
    }
    config.models.iter().map(|model| (model.name.clone(), model.context)).collect()
}

fn count(imported: &Imported, fate: Fate) -> usize {
    imported.notes.iter().filter(|note| note.fate == fate).count()
}

fn note_json(note: &Note) -> serde_json::Value {
    let Note { file, line, key, fate, text } = note;
    json!({"file": file, "line": line, "key": key, "fate": fate.word(), "text": text})
}

fn tell(imported: &Imported, trouble: Option<&str>, has_ollama: bool, named: &str) -> anyhow::Result<String> {
    let mut told = String::new();
    for Note { file, line, key, fate, text } in &imported.notes {
        let becomes = if *fate == Fate::NotTaken { ":" } else { " →" };
        writeln!(told, "  {:<9}  {file}:{line} {key}{becomes} {text}", fate.word())?;
    }
    let [taken, changed, left] = [Fate::Taken, Fate::Changed, Fate::NotTaken].map(|fate| count(imported, fate));
    let values = if imported.notes.len() == 1 { "value" } else { "values" };
    write!(
        told,
        "{} {values}: {taken} taken as they are, {changed} in another form, {left} not taken",
        imported.notes.len()
    )?;
    told.push_str(if left > 0 { " (they stand as comments at the end of the new file)\n" } else { "\n" });

    if !imported.has_server {
        let answers = if has_ollama { "it answers" } else { "nothing answers there now" };
        writeln!(told, "no file names a model server: Ollama at http://{} is asked ({answers})", found::OLLAMA)?;
    }
    if let Some(trouble) = trouble {
        writeln!(told, "{trouble}")?;
    }
    let unset: Vec<&str> =
        imported.variables.iter().map(String::as_str).filter(|name| std::env::var_os(name).is_none()).collect();
    if !unset.is_empty() {
        writeln!(told, "set before the start, since keys of model servers are not copied: {}", unset.join(", "))?;
    }
    if imported.has_keys {
        write!(told, "the clients' old keys work on\nnext: tollhouse check{named}, then tollhouse up{named}")?;
    } else {
        write!(told, "next: tollhouse key create{named} --name me, then tollhouse up{named}")?;
    }
    Ok(told)
}

/// What would keep the edge from listening.
fn edge_trouble(config: &Config) -> Option<String> {
    let edge = config.edge.as_ref()?;
    let is_taken =
        |address: &SocketAddr| TcpListener::bind(address).is_err_and(|error| error.kind() == ErrorKind::AddrInUse);
    let taken = [edge.http, Some(edge.https)].into_iter().flatten().find(is_taken)?;
    Some(format!(
        "{taken} is in use now, by the nginx perhaps: stop it before `tollhouse up`, or keep it and `tollhouse export nginx`"
    ))
}

/// What would keep the house from listening.
fn trouble(listen: SocketAddr, is_old: bool) -> Option<String> {
    if !is_old {
        let is_usual = listen.port() == PORT;
        return (!is_usual)
            .then(|| format!("port {PORT} is taken (OpenClaw uses it too): listening on {listen} instead"));
    }
    match TcpListener::bind(listen).err()?.kind() {
        ErrorKind::AddrInUse => Some(format!(
            "{listen} is in use now, by the old gateway perhaps: stop it before `tollhouse up`, or change `listen`"
        )),
        ErrorKind::AddrNotAvailable => Some(format!("{listen} is no address of this machine: change `listen`")),
        ErrorKind::PermissionDenied => Some(format!("{listen} is not for every user to listen on: see `listen`")),
        _ => None,
    }
}
