//! Files as they lie on the disk, read in pieces of which none is kept.
//!
//! What the system has in its memory is taken from there at once; what it would have to fetch is waited for by a thread that
//! has time for it.

use std::fs::Metadata;
use std::future::{Ready, ready};
use std::io::{self, IoSliceMut, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Context, Poll};

use rustix::io::ReadWriteFlags;
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tokio::task::{JoinHandle, spawn_blocking};
use tower_http::services::fs::{Backend, File};

type Later<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// Where [`tower_http::services::ServeDir`] finds its files.
#[derive(Clone, Debug)]
pub(crate) struct Disk;

impl Backend for Disk {
    type File = Opened;
    type Metadata = Metadata;
    type OpenFuture = Later<Opened>;
    type MetadataFuture = Later<Metadata>;

    fn open(&self, path: PathBuf) -> Later<Opened> {
        Box::pin(with_time(move || {
            let file = std::fs::File::open(path)?;
            let metadata = file.metadata()?;
            Ok(Opened { file: Arc::new(file), metadata, at: 0, coming: None })
        }))
    }

    fn metadata(&self, path: PathBuf) -> Later<Metadata> {
        Box::pin(with_time(move || std::fs::metadata(path)))
    }
}

async fn with_time<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

/// A file that is being sent.
#[derive(Debug)]
pub(crate) struct Opened {
    file: Arc<std::fs::File>,
    /// As it was when the file was opened.
    metadata: Metadata,
    /// Where the next piece begins.
    at: u64,
    /// The piece that the disk is asked for.
    coming: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl File for Opened {
    type Metadata = Metadata;
    type MetadataFuture<'a> = Ready<io::Result<Metadata>>;

    fn metadata(&self) -> Self::MetadataFuture<'_> {
        ready(Ok(self.metadata.clone()))
    }
}

impl Opened {
    /// Takes what the system has in its memory; `None` where it has nothing there, or cannot tell.
    fn take_at_hand(&mut self, buffer: &mut ReadBuf<'_>) -> Option<()> {
        let piece = &mut [IoSliceMut::new(buffer.initialize_unfilled())];
        let count = rustix::io::preadv2(&self.file, piece, self.at, ReadWriteFlags::NOWAIT).ok()?;
        buffer.advance(count);
        self.at += count as u64;
        Some(())
    }
}

impl AsyncRead for Opened {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.coming.is_none() && this.take_at_hand(buffer).is_some() {
            return Poll::Ready(Ok(()));
        }
        let coming = this.coming.get_or_insert_with(|| {
            let (file, at, most) = (this.file.clone(), this.at, buffer.remaining());
            spawn_blocking(move || piece(&file, at, most))
        });
        let piece = task::ready!(Pin::new(coming).poll(context));
        this.coming = None;
        let piece = piece.map_err(io::Error::other)??;
        // Should there be less room by now, the rest is read again.
        let count = piece.len().min(buffer.remaining());
        buffer.put_slice(&piece[..count]);
        this.at += count as u64;
        Poll::Ready(Ok(()))
    }
}

/// The piece that begins here, of at most so many bytes.
fn piece(file: &std::fs::File, at: u64, most: usize) -> io::Result<Vec<u8>> {
    let mut piece = vec![0; most];
    let count = file.read_at(&mut piece, at)?;
    piece.truncate(count);
    Ok(piece)
}

impl AsyncSeek for Opened {
    fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        let at = match position {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.metadata.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        self.coming = None;
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Ok(self.at))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncSeekExt};

    use super::*;

    #[tokio::test]
    async fn a_file_is_the_same_from_memory_and_from_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(&path, &content).unwrap();
        let mut opened = Disk.open(path.clone()).await.unwrap();
        assert_eq!(File::metadata(&opened).await.unwrap().len(), content.len() as u64);
        let mut read = Vec::new();
        opened.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, content);
        opened.seek(SeekFrom::End(-5)).await.unwrap();
        let mut end = Vec::new();
        opened.read_to_end(&mut end).await.unwrap();
        assert_eq!(end, content[content.len() - 5..]);
        assert!(opened.seek(SeekFrom::Current(i64::MIN)).await.is_err());
        // As a thread reads it that has time.
        let mut pieces = Vec::new();
        while let piece = piece(&opened.file, pieces.len() as u64, 8_192).unwrap()
            && !piece.is_empty()
        {
            pieces.extend(piece);
        }
        assert_eq!(pieces, content);
        assert!(Disk.open(folder.path().join("none")).await.is_err());
    }
}
