//! A unit of systemd: how it is, as `systemctl` tells, and what it is asked for.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

use crate::rules::Exit;
use crate::spec::Unit;

/// How long `systemctl` may take; jobs are not waited for.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// So much of what it says is read.
const SAID_BYTES_MAX: u64 = 16 << 10;
/// What is asked of a unit (`org.freedesktop.systemd1(5)`).
const PROPERTIES: &str = "--property=LoadState,ActiveState,SubState,MainPID,ExecMainCode,ExecMainStatus,Job";

/// A unit as it is now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) how: How,
    /// The number of its main process.
    pub(crate) pid: Option<i32>,
    /// How its main process ended last.
    pub(crate) exit: Exit,
}

/// Where a unit is in its life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum How {
    /// It runs as systemd sees it.
    Active,
    /// It is being started.
    Activating,
    /// It has failed, and systemd starts it again by itself.
    Again,
    /// It changes: it is being ended, or a job for it waits.
    Changing,
    /// It has failed, and systemd leaves it there.
    Failed,
    /// It does not run, and is not meant to.
    Inactive,
}

/// What a unit is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verb {
    Start,
    Stop,
    Restart,
    Kill,
}

/// Looks how a unit is.
pub(crate) async fn look(unit: &Unit) -> Result<Seen, String> {
    read(&run(unit, &["show", PROPERTIES]).await?)
}

/// Asks systemd for something, and does not wait until that is done.
pub(crate) async fn ask(unit: &Unit, verb: Verb) -> Result<(), String> {
    let words: &[&str] = match verb {
        Verb::Start => {
            // A unit that has failed too often is not started until that is forgotten; of others there is nothing to forget.
            let _: Result<String, String> = run(unit, &["reset-failed"]).await;
            &["start", "--no-block"]
        }
        Verb::Stop => &["stop", "--no-block"],
        Verb::Restart => &["restart", "--no-block"],
        Verb::Kill => &["kill", "--signal=KILL"],
    };
    run(unit, words).await.map(drop)
}

async fn run(unit: &Unit, words: &[&str]) -> Result<String, String> {
    let mut command = Command::new("systemctl");
    command.args(unit.is_of_user.then_some("--user")).args(["--no-pager", "--no-ask-password"]);
    command.args(words).arg("--").arg(&unit.name).env("LC_ALL", "C");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("systemctl cannot be run: {error}"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let whole = async { tokio::join!(said(out), said(err), child.wait()) };
    let (out, err, status) = timeout(ANSWER_TIME_MAX, whole)
        .await
        .map_err(|_| format!("systemctl did not answer within {} s", ANSWER_TIME_MAX.as_secs()))?;
    match status {
        Ok(status) if status.success() => Ok(out),
        Ok(status) if err.trim().is_empty() => Err(format!("systemctl ended with {status}")),
        Ok(_) => Err(format!("systemctl: {}", err.trim())),
        Err(error) => Err(format!("systemctl cannot be waited for: {error}")),
    }
}

async fn said(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let mut text = Vec::new();
    if let Some(pipe) = pipe {
        // What broke off is as long as it is.
        let _: std::io::Result<usize> = pipe.take(SAID_BYTES_MAX).read_to_end(&mut text).await;
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads `NAME=VALUE` lines of `systemctl show`.
fn read(text: &str) -> Result<Seen, String> {
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or("");
    let number = |name: &str| value(name).parse::<i32>().unwrap_or(0);
    match value("LoadState") {
        "loaded" => {}
        "" => return Err("systemctl does not tell how the unit is".to_owned()),
        "not-found" => return Err("no unit has this name".to_owned()),
        other => return Err(format!("systemd has not loaded the unit ({other})")),
    }
    let how = match (value("ActiveState"), value("SubState")) {
        ("active" | "reloading" | "refreshing", _) => How::Active,
        // From version 256 on there is `auto-restart-queued` too.
        ("activating", state) if !state.starts_with("auto-restart") => How::Activating,
        ("activating", _) if number("Job") == 0 => How::Again,
        ("failed", _) if number("Job") == 0 => How::Failed,
        ("inactive", _) if number("Job") == 0 => How::Inactive,
        _ => How::Changing,
    };
    // CLD_EXITED is 1, CLD_KILLED 2, CLD_DUMPED 3 (sigaction(2)).
    let exit = match (number("ExecMainCode"), number("ExecMainStatus")) {
        (1, code) => Exit::Code(code),
        (2 | 3, signal) => Exit::Signal(signal),
        _ => Exit::Unknown,
    };
    Ok(Seen { how, pid: Some(number("MainPID")).filter(|pid| *pid > 0), exit })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As systemd 252 writes them.
    #[test]
    fn what_systemctl_tells_is_understood() {
        let shown = |state: &str, sub: &str, pid: i32, code: i32, status: i32, job: &str| {
            read(&format!(
                "MainPID={pid}\nExecMainCode={code}\nExecMainStatus={status}\nLoadState=loaded\nActiveState={state}\n\
                 SubState={sub}\n{job}"
            ))
        };
        let seen = |how, pid, exit| Ok(Seen { how, pid, exit });
        assert_eq!(shown("active", "running", 7, 0, 0, ""), seen(How::Active, Some(7), Exit::Unknown));
        assert_eq!(shown("active", "exited", 0, 1, 0, ""), seen(How::Active, None, Exit::Code(0)));
        assert_eq!(shown("activating", "start", 7, 0, 0, "Job=12\n"), seen(How::Activating, Some(7), Exit::Unknown));
        assert_eq!(shown("activating", "auto-restart", 0, 2, 9, ""), seen(How::Again, None, Exit::Signal(9)));
        // Somebody else does not let it wait for that.
        assert_eq!(shown("activating", "auto-restart", 0, 2, 9, "Job=3\n"), seen(How::Changing, None, Exit::Signal(9)));
        assert_eq!(shown("deactivating", "stop-sigterm", 7, 0, 0, ""), seen(How::Changing, Some(7), Exit::Unknown));
        assert_eq!(shown("failed", "failed", 0, 1, 78, ""), seen(How::Failed, None, Exit::Code(78)));
        assert_eq!(shown("inactive", "dead", 0, 1, 0, "Job=0\n"), seen(How::Inactive, None, Exit::Code(0)));
        // It is about to be started.
        assert_eq!(shown("inactive", "dead", 0, 0, 0, "Job=9\n"), seen(How::Changing, None, Exit::Unknown));
    }

    #[test]
    fn what_is_not_there_is_told() {
        assert_eq!(read("LoadState=not-found\nActiveState=inactive\n"), Err("no unit has this name".to_owned()));
        assert!(read("LoadState=masked\n").unwrap_err().contains("masked"));
        assert!(read("").is_err());
    }
}
