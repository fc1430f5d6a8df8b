//! Bodies of documents: read while there is memory for them, refused with 429 when others have it.

use std::io::Read;

use axum::body::{Body, HttpBody as _};
use axum::http::HeaderMap;
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt as _;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::ElasticError;
use crate::gzip;
use crate::media::check_content_type;
use crate::search::blocking;

/// Longest body, unpacked; Elasticsearch's `http.max_content_length`.
pub(crate) const BODY_BYTES_MAX: usize = 100 << 20;
/// Bytes of all bodies that are being written.
pub(crate) const ALL_BYTES_MAX: usize = 256 << 20;
/// Unpacked at once.
const PIECE_BYTES: usize = 64 << 10;

/// One for the whole process: it stands for the machine's memory.
static BYTES: Semaphore = Semaphore::const_new(ALL_BYTES_MAX);

/// Memory that is held while a request is worked on.
#[derive(Debug)]
pub(crate) struct Room(SemaphorePermit<'static>);

impl Room {
    fn none() -> Result<Self, ElasticError> {
        BYTES.try_acquire_many(0).map(Self).map_err(|_| ElasticError::Internal)
    }

    fn grow(&mut self, bytes: usize) -> Result<(), ElasticError> {
        let busy = |_| ElasticError::BulkBusy(ALL_BYTES_MAX);
        let bytes = u32::try_from(bytes).map_err(|_| ElasticError::BodyTooLarge(BODY_BYTES_MAX))?;
        self.0.merge(BYTES.try_acquire_many(bytes).map_err(busy)?);
        Ok(())
    }
}

/// Reads a body, and unpacks it.
pub(crate) async fn read_body(headers: &HeaderMap, mut body: Body) -> Result<(Bytes, Room), ElasticError> {
    let is_packed = gzip::is_packed(headers)?;
    if !body.is_end_stream() {
        check_content_type(headers)?;
    }
    let mut room = Room::none()?;
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame.map_err(|_| ElasticError::BodyUnreadable)?.into_data() else { continue };
        room.grow(frame.len())?;
        read.extend_from_slice(&frame);
        if read.len() > BODY_BYTES_MAX {
            return Err(ElasticError::BodyTooLarge(BODY_BYTES_MAX));
        }
    }
    let read = read.freeze();
    if !is_packed {
        return Ok((read, room));
    }
    blocking(move || {
        let unpacked = unpack(&read, &mut room)?;
        Ok((unpacked, room))
    })
    .await
}

fn unpack(packed: &[u8], room: &mut Room) -> Result<Bytes, ElasticError> {
    let mut decoder = MultiGzDecoder::new(packed);
    let mut unpacked = Vec::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = decoder.read(&mut piece).map_err(|error| ElasticError::Gzip(error.to_string()))?;
        if read == 0 {
            return Ok(unpacked.into());
        }
        room.grow(read)?;
        unpacked.extend_from_slice(&piece[..read]);
        if unpacked.len() > BODY_BYTES_MAX {
            return Err(ElasticError::BodyTooLarge(BODY_BYTES_MAX));
        }
    }
}
