//! A process of the system: started in a group of its own, or found again after the house was killed.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use procfs::process::{Process, all_processes};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, WaitOptions, kill_process, kill_process_group, pidfd_open, prlimit,
    test_kill_process_group, waitpgid,
};
use serde::{Deserialize, Serialize};
use tokio::io::unix::AsyncFd;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::error::UpkeepError;
use crate::output;
use crate::rules::Exit;
use crate::spec::{Spec, StopSignal};

/// By which variable of their environment our processes are known, even when nothing else tells of them.
const MARK: &str = "TOLLHOUSE_PROCESS";
/// How often is looked whether a group has ended that nobody tells of.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long the last of a killed group may take to be gone.
const SWEEP_TIME_MAX: Duration = Duration::from_secs(2);

/// A process that runs.
#[derive(Debug)]
pub(crate) struct Child {
    pid: Pid,
    handle: Handle,
}

#[derive(Debug)]
enum Handle {
    /// Our own child: the system tells how it ends.
    Own(Box<tokio::process::Child>),
    /// That of a house before: the system tells that it has ended.
    Adopted(AsyncFd<OwnedFd>),
}

/// What stands in the file of a process, so that it is known again.
#[derive(Debug, Deserialize, Serialize)]
struct Note {
    pid: i32,
    /// When it was started, in the system's ticks since its boot: a number is given to other processes later.
    started: u64,
    boot: String,
    /// Of the configuration that it was started with.
    print: String,
}

/// What a house before has left of a process.
#[derive(Debug)]
pub(crate) enum Left {
    /// Nothing.
    Nothing,
    /// It runs, as it is configured.
    Running(Child),
    /// These groups are left of it, of which nothing is wanted.
    Groups(Vec<Pid>),
}

impl Child {
    /// Starts the process, and notes it where the next house looks.
    pub(crate) fn start(spec: &Spec, place: &Path, notify: Option<&str>) -> Result<Self, UpkeepError> {
        let program = spec.command.first().ok_or(UpkeepError::NoCommand)?;
        let pipe = output::pipe_path(place, &spec.name);
        let output = |source| UpkeepError::Output { path: pipe.clone(), source };
        let out = output::writer(&pipe).map_err(output)?;
        let err = out.try_clone().map_err(output)?;
        let mut command = Command::new(program);
        command.args(&spec.command[1..]).stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
        if let Some(name) = &spec.user {
            let user = User::find(name)?;
            command.uid(user.uid).gid(user.gid).env("HOME", &user.home).env("USER", name).env("LOGNAME", name);
        }
        command.envs(spec.env.iter().map(|(name, value)| (name, value))).env(MARK, mark(place, &spec.name));
        if let Some(notify) = notify {
            command.env("NOTIFY_SOCKET", notify);
        } else {
            command.env_remove("NOTIFY_SOCKET");
        }
        if let Some(directory) = &spec.directory {
            command.current_dir(directory);
        }
        let start = |source| UpkeepError::Start { program: program.clone(), source };
        let child = command.spawn().map_err(start)?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid as i32));
        let pid = pid.ok_or_else(|| start(io::Error::other("it was gone at once")))?;
        limit(spec, pid);
        if let Err(error) = note(spec, place, pid) {
            tracing::warn!(process = spec.name, error = %error, "noting a process for the next house");
        }
        Ok(Self { pid, handle: Handle::Own(Box::new(child)) })
    }

    /// One that somebody else looks after, if it is there: it is only watched.
    pub(crate) fn watch(pid: i32) -> Option<Self> {
        adopted(pid)
    }

    /// Its number.
    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Whether this house has started it.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.handle, Handle::Own(_))
    }

    /// Waits until it has ended. Cancelling loses nothing.
    pub(crate) async fn exited(&mut self) -> Exit {
        use std::os::unix::process::ExitStatusExt;
        match &mut self.handle {
            Handle::Own(child) => match child.wait().await {
                Ok(status) => match (status.code(), status.signal()) {
                    (Some(code), _) => Exit::Code(code),
                    (None, Some(signal)) => Exit::Signal(signal),
                    (None, None) => Exit::Unknown,
                },
                Err(_) => Exit::Unknown,
            },
            Handle::Adopted(fd) => {
                // It becomes readable when the process has ended, and an error would say that nothing can be known.
                let _ = fd.readable().await;
                Exit::Unknown
            }
        }
    }

    /// Asks it to end; it ends what it has started itself.
    pub(crate) fn terminate(&self, signal: StopSignal) {
        let signal = match signal {
            StopSignal::Term => Signal::TERM,
            StopSignal::Int => Signal::INT,
            StopSignal::Quit => Signal::QUIT,
            StopSignal::Hup => Signal::HUP,
        };
        // One that is gone needs no signal.
        let _ = kill_process(self.pid, signal);
    }

    /// Ends it with its whole group.
    pub(crate) fn kill(&self) {
        kill_group(self.pid);
    }

    /// After it has ended: ends what it has left in its group, and waits until that is gone; false
    /// where something does not go.
    pub(crate) async fn sweep(self) -> bool {
        kill_group(self.pid);
        gone(self.pid, SWEEP_TIME_MAX).await
    }
}

impl Left {
    /// Looks for what a house before has left of this process: by its note, and by the mark in the environment of each process
    /// of the system. Reads `/proc`, so it blocks.
    pub(crate) fn find(spec: &Spec, place: &Path) -> Self {
        let noted = fs::read(place.join(format!("{}.json", spec.name))).ok();
        let noted: Option<Note> = noted.and_then(|text| serde_json::from_slice(&text).ok());
        let noted = noted.filter(Note::is_running);
        if let Some(note) = &noted
            && spec.adopt
            && note.print == print(spec)
            && let Some(child) = adopted(note.pid)
        {
            return Self::Running(child);
        }
        let mut groups: Vec<Pid> = noted.and_then(|note| Pid::from_raw(note.pid)).into_iter().collect();
        let strays = strays(place, &spec.name).into_iter().filter(|group| !groups.contains(group));
        groups.extend(strays.collect::<Vec<_>>());
        if groups.is_empty() { Self::Nothing } else { Self::Groups(groups) }
    }
}

/// Ends groups that are not wanted: they are asked to, and killed when their time is over.
/// False where something does not go.
pub(crate) async fn end_groups(groups: &[Pid], time: Duration) -> bool {
    for group in groups {
        let _ = kill_process_group(*group, Signal::TERM);
    }
    let mut are_gone = true;
    for group in groups {
        if !gone(*group, time).await {
            kill_group(*group);
            are_gone &= gone(*group, SWEEP_TIME_MAX).await;
        }
    }
    are_gone
}

/// The groups that carry a process's mark, whoever leads them. Looks at all processes, so it blocks.
pub(crate) fn strays(place: &Path, name: &str) -> Vec<Pid> {
    let mut groups = marked(&mark(place, name));
    groups.sort_unstable();
    groups.dedup();
    groups.into_iter().filter_map(Pid::from_raw).collect()
}

fn kill_group(group: Pid) {
    // One that is gone needs no signal.
    let _ = kill_process_group(group, Signal::KILL);
}

/// Whether nothing is left of a group within this time.
async fn gone(group: Pid, time: Duration) -> bool {
    let until = Instant::now() + time;
    loop {
        // Where we are the first process of a container, what it has left is ours to bury.
        while let Ok(Some(_)) = waitpgid(group, WaitOptions::NOHANG) {}
        // Zombies whose parent does not bury them are dead all the same.
        if test_kill_process_group(group).is_err() || !has_living(group) {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Whether somebody lives in a group. Looks at all processes, so it is asked for a moment only.
fn has_living(group: Pid) -> bool {
    let group = group.as_raw_nonzero().get();
    let stats = all_processes().into_iter().flatten().filter_map(|process| process.ok()?.stat().ok());
    stats.filter(|stat| stat.state != 'Z').any(|stat| stat.pgrp == group)
}

fn adopted(pid: i32) -> Option<Child> {
    let pid = Pid::from_raw(pid)?;
    let fd = pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
    #[expect(deprecated, reason = "its successor is unsafe, for descriptors that close elsewhere; this one is owned")]
    let fd = AsyncFd::new(fd).ok()?;
    Some(Child { pid, handle: Handle::Adopted(fd) })
}

/// The groups of all processes that carry this mark, but ours.
fn marked(mark: &str) -> Vec<i32> {
    let own = rustix::process::getpgrp().as_raw_nonzero().get();
    let Ok(all) = all_processes() else { return Vec::new() };
    let is_marked = |process: &Process| {
        let environ = process.environ().unwrap_or_default();
        environ.get(std::ffi::OsStr::new(MARK)).is_some_and(|found| found.as_encoded_bytes() == mark.as_bytes())
    };
    let stats = all.flatten().filter(is_marked).filter_map(|process| process.stat().ok());
    stats.filter(|stat| stat.state != 'Z' && stat.pgrp != own).map(|stat| stat.pgrp).collect()
}

fn mark(place: &Path, name: &str) -> String {
    format!("{name} of {}", place.display())
}

impl Note {
    fn is_running(&self) -> bool {
        let stat = Process::new(self.pid).and_then(|process| process.stat());
        boot() == self.boot && stat.is_ok_and(|stat| stat.starttime == self.started && stat.state != 'Z')
    }
}

fn note(spec: &Spec, place: &Path, pid: Pid) -> io::Result<()> {
    let pid = pid.as_raw_nonzero().get();
    let stat = Process::new(pid).and_then(|process| process.stat()).map_err(io::Error::other)?;
    let note = Note { pid, started: stat.starttime, boot: boot(), print: print(spec) };
    let path = place.join(format!("{}.json", spec.name));
    let written = place.join(format!("{}.json.new", spec.name));
    fs::write(&written, serde_json::to_vec(&note)?)?;
    fs::rename(written, path)
}

fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// What a process is that was started so, in short (FNV-1a): another program under the same name is not taken over.
fn print(spec: &Spec) -> String {
    let Spec { command, env, directory, user, limits, .. } = spec;
    let text = format!("{command:?}{env:?}{directory:?}{user:?}{limits:?}");
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
}

fn limit(spec: &Spec, pid: Pid) {
    for (resource, most) in [(Resource::Nofile, spec.limits.files), (Resource::Nproc, spec.limits.processes)] {
        let Some(most) = most else { continue };
        if let Err(error) = prlimit(Some(pid), resource, Rlimit { current: Some(most), maximum: Some(most) }) {
            tracing::warn!(process = spec.name, error = %error, ?resource, most, "limiting a process");
        }
    }
}

/// A user of the system.
struct User {
    uid: u32,
    gid: u32,
    home: String,
}

impl User {
    /// Reads `/etc/passwd` (passwd(5)): name, password, uid, gid, comment, home, shell.
    fn find(name: &str) -> Result<Self, UpkeepError> {
        let unknown = || UpkeepError::User(name.to_owned());
        let text = fs::read_to_string("/etc/passwd").map_err(|_| unknown())?;
        let line = text.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|parts| parts[0] == name);
        match &line.ok_or_else(unknown)?[..] {
            [_, _, uid, gid, _, home, ..] => {
                let number = |text: &str| text.parse().map_err(|_| unknown());
                Ok(Self { uid: number(uid)?, gid: number(gid)?, home: (*home).to_owned() })
            }
            _ => Err(unknown()),
        }
    }
}
