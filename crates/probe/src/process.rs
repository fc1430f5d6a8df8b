//! A program: its process, its port, and what it says of itself.

use std::sync::Mutex;
use std::time::Duration;

use procfs::process::all_processes;
use serde_json::{Map, Value};
use tokio::net::TcpStream;

use crate::alone::Alone;
use crate::finding::{Finding, Outcome, round3};
use crate::http::{Health, Http, path_of};
use crate::said::Said;

/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// So much of a process's name the kernel keeps.
const COMM_CHARS: usize = 15;

/// What to look at; what is `None` is not looked at.
#[derive(Clone, Debug)]
pub struct ProcessLook {
    /// Name of the process. With a space or a slash in it, it is looked for in whole command lines.
    pub process: Option<String>,
    /// Where it listens.
    pub host: String,
    /// Its port.
    pub port: Option<u16>,
    /// URL that tells whether it is alive.
    pub health: Option<String>,
    /// URL that tells whether it takes work.
    pub ready: Option<String>,
}

/// A probe of a program.
#[derive(Debug)]
pub(crate) struct ProcessProbe {
    look: ProcessLook,
    alone: Alone,
    /// Process id and start of the one that was seen last.
    before: Mutex<Option<(i32, u64)>>,
}

/// Processes of a name.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    /// The one that started first.
    pid: i32,
    started: u64,
    /// Of all of them.
    rss_bytes: u64,
}

impl ProcessProbe {
    pub(crate) fn new(look: ProcessLook) -> Self {
        Self { look, alone: Alone::new(), before: Mutex::new(None) }
    }

    pub(crate) fn about(&self) -> Vec<Said> {
        let look = &self.look;
        let process = look.process.clone().map(|process| Said::LooksProcess { process });
        let port = look.port.map(|port| Said::LooksPort { address: format!("{}:{port}", look.host) });
        let url = |url: &Option<String>| url.clone().map(|url| Said::LooksAddress { url });
        [process, port, url(&look.health), url(&look.ready)].into_iter().flatten().collect()
    }

    /// Process, then port, then what it says: the first that fails is told.
    pub(crate) async fn run(&self, http: &Http) -> Finding {
        let look = &self.look;
        let mut fields = Map::new();
        let seen = match &look.process {
            None => None,
            Some(name) => {
                let wanted = name.clone();
                match self.alone.run(move || find(&wanted)).await {
                    Ok(seen) => seen,
                    Err(error) => return Finding::fault(Said::ProcessesHidden { error }),
                }
            }
        };
        let mut well: Vec<Said> = Vec::new();
        if let Some(Seen { pid, rss_bytes, .. }) = seen {
            fields.insert("pid".to_owned(), pid.into());
            fields.insert("rss_bytes".to_owned(), rss_bytes.into());
            well.push(Said::ProcessRuns { pid });
        }
        let restarted = seen.and_then(|seen| self.restarted(seen));
        if let Some(before) = restarted {
            fields.insert("restarted".to_owned(), true.into());
            well.push(Said::ProcessRestarted { before });
        }
        let name = look.process.clone().unwrap_or_default();
        if let Some(port) = look.port {
            fields.insert("port".to_owned(), port.into());
            match connects(&look.host, port).await {
                Ok(()) => well.push(Said::PortOpen { port }),
                Err(why) => {
                    let whether = if seen.is_some() { Said::ButRuns {} } else { Said::NobodyRuns {} };
                    let said = look.process.is_some().then_some(whether).into_iter().chain([why]).collect();
                    return Finding::of(Outcome::Fault, said).fields(fields);
                }
            }
        } else if look.process.is_some() && seen.is_none() {
            return Finding::fault(Said::ProcessGone { process: name }).fields(fields);
        }
        let mut doubt = None;
        for url in [&look.health, &look.ready].into_iter().flatten() {
            match ask(http, url, &mut fields).await {
                Health::Well(_) => well.push(Said::SaysWell { path: path_of(url).to_owned() }),
                Health::Doubtful(why, _) => doubt = Some(why),
                Health::Unwell(why) => return Finding::fault(why).fields(fields),
            }
        }
        if look.process.is_some() && seen.is_none() {
            doubt = Some(Said::ProcessUnseen { process: name });
        }
        match doubt {
            Some(why) => Finding::new(Outcome::Warn, why).fields(fields),
            None => Finding::of(Outcome::Ok, well).fields(fields),
        }
    }

    /// The process that was seen before, if it is another one now.
    fn restarted(&self, seen: Seen) -> Option<i32> {
        let now = (seen.pid, seen.started);
        let before = self.before.lock().expect("no panic while the lock is held").replace(now);
        before.filter(|before| *before != now).map(|(pid, _)| pid)
    }
}

/// Asks an address made for the question, and notes the figures.
async fn ask(http: &Http, url: &str, fields: &mut Map<String, Value>) -> Health {
    let answer = match http.get(url).await {
        Ok(answer) => answer,
        Err(error) => return Health::Unwell(Said::Silent { path: path_of(url).to_owned(), error }),
    };
    fields.insert("health_status".to_owned(), answer.status.as_u16().into());
    let health = answer.health(path_of(url));
    if let Health::Well(Some(ms)) | Health::Doubtful(_, Some(ms)) = &health {
        fields.insert("event_loop_delay_ms".to_owned(), round3(*ms).into());
    }
    health
}

async fn connects(host: &str, port: u16) -> Result<(), Said> {
    let address = format!("{host}:{port}");
    match tokio::time::timeout(CONNECT_TIME_MAX, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => Err(Said::PortClosed { address }),
        Ok(Err(error)) => Err(Said::PortAway { address, error: error.to_string() }),
        Err(_) => Err(Said::PortLate { address, limit_s: CONNECT_TIME_MAX.as_secs() }),
    }
}

/// The processes of this name; zombies and we ourselves are none.
fn find(name: &str) -> Result<Option<Seen>, String> {
    let own = std::process::id().cast_signed();
    let mut found: Option<Seen> = None;
    for process in all_processes().map_err(|error| error.to_string())? {
        // They come and go while we look.
        let Some(process) = process.ok().filter(|process| process.pid() != own) else { continue };
        let Ok(stat) = process.stat() else { continue };
        if matches!(stat.state, 'Z' | 'X' | 'x') || !is_it(name, &stat.comm, || process.cmdline().ok()) {
            continue;
        }
        let rss_bytes = stat.rss * procfs::page_size();
        let seen = found.get_or_insert(Seen { pid: stat.pid, started: stat.starttime, rss_bytes: 0 });
        seen.rss_bytes += rss_bytes;
        if stat.starttime < seen.started {
            (seen.pid, seen.started) = (stat.pid, stat.starttime);
        }
    }
    Ok(found)
}

fn is_it(name: &str, comm: &str, cmdline: impl FnOnce() -> Option<Vec<String>>) -> bool {
    if name.contains([' ', '/']) {
        return cmdline().is_some_and(|words| words.join(" ").contains(name));
    }
    let start: String = name.chars().take(COMM_CHARS).collect();
    if comm == start && name.chars().count() <= COMM_CHARS {
        return true;
    }
    // Programs may give themselves another name; the first word of the command line is what was started.
    let first = cmdline().and_then(|words| words.into_iter().next());
    first.is_some_and(|first| first.rsplit('/').next() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_known_by_their_names() {
        let line = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert!(is_it("ollama", "ollama", || None));
        assert!(is_it("ollama", "exe", || line(&["/usr/bin/ollama", "serve"])));
        assert!(is_it("openclaw gateway", "node", || line(&["node", "openclaw", "gateway", "run"])));
        assert!(is_it("a-program-with-a-long-name", "a-program-with-", || line(&["/opt/a-program-with-a-long-name"])));
        assert!(!is_it("a-program-with-a-long-name", "a-program-with-", || line(&["/opt/a-program-with-another"])));
        assert!(!is_it("ollama", "vim", || line(&["vim", "ollama"])));
    }

    #[test]
    fn a_running_child_is_found_and_an_ended_one_is_not() {
        let mut child = std::process::Command::new("sleep").arg("31.4159").spawn().unwrap();
        // Its command line is there a moment after it was started (execve(2) ends in steps).
        let seen = (0..1000).find_map(|_| {
            std::thread::sleep(Duration::from_millis(5));
            find("sleep 31.4159").unwrap()
        });
        let seen = seen.unwrap();
        assert_eq!(seen.pid, child.id().cast_signed());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(find("sleep 31.4159").unwrap(), None);
    }

    #[tokio::test]
    async fn what_fails_first_is_told() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let http = Http::new().unwrap();
        let look = |process: Option<&str>, port| ProcessLook {
            process: process.map(str::to_owned),
            host: "127.0.0.1".to_owned(),
            port,
            health: None,
            ready: None,
        };
        let open = ProcessProbe::new(look(None, Some(port))).run(&http).await;
        assert_eq!((open.outcome, open.fields["port"].as_u64()), (Outcome::Ok, Some(port.into())));
        let unseen = ProcessProbe::new(look(Some("no such program here"), Some(port))).run(&http).await;
        assert_eq!(unseen.outcome, Outcome::Warn);
        drop(listener);
        let closed = ProcessProbe::new(look(Some("no such program here"), Some(port))).run(&http).await;
        assert_eq!(closed.outcome, Outcome::Fault);
        assert!(closed.found().contains("no process of that name runs, 127.0.0.1"), "{closed:?}");
        let gone = ProcessProbe::new(look(Some("no such program here"), None)).run(&http).await;
        assert_eq!((gone.outcome, gone.found()), (Outcome::Fault, "no process no such program here runs".to_owned()));
    }
}
