//! What a process says: a named pipe to which it writes, and from which it is collected.
//!
//! The process has the pipe open for reading too, as does whoever collects. So it is never told that nobody reads: when the
//! house is killed, what it says waits in the pipe (64 KiB, then it waits itself) for the next house, and nothing of it is lost.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::net::unix::pipe;
use tokio::sync::broadcast;

/// Lines that wait for whoever looks for one among them; of more, the oldest are passed over.
const LINES_AHEAD: usize = 1_024;

/// Where a process of this name writes, below the folder of all supervised ones.
pub fn pipe_path(place: &Path, name: &str) -> PathBuf {
    place.join(format!("{name}.out"))
}

/// The end from which is collected; makes the pipe where it is not there. Must be called within the runtime.
pub fn collect(path: &Path) -> io::Result<pipe::Receiver> {
    make(path)?;
    pipe::OpenOptions::new().read_write(true).open_receiver(path)
}

/// The end to which the process writes.
pub(crate) fn writer(path: &Path) -> io::Result<File> {
    make(path)?;
    File::options().read(true).write(true).open(path)
}

fn make(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_fifo() => return Ok(()),
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else than a pipe is there")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0) {
        // Somebody else was first.
        Err(rustix::io::Errno::EXIST) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Tells whoever looks for a line what processes say; clones tell the same.
#[derive(Clone, Debug)]
pub struct Lines(broadcast::Sender<(Arc<str>, Arc<str>)>);

impl Lines {
    /// To which nobody listens yet.
    pub fn new() -> Self {
        Self(broadcast::Sender::new(LINES_AHEAD))
    }

    /// The process of this name has said that.
    pub fn say(&self, name: &str, line: &str) {
        if self.0.receiver_count() > 0 {
            // Whoever has left since misses nothing.
            let _: Result<usize, _> = self.0.send((name.into(), line.into()));
        }
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<(Arc<str>, Arc<str>)> {
        self.0.subscribe()
    }
}

impl Default for Lines {
    fn default() -> Self {
        Self::new()
    }
}
