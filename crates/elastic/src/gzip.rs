//! Gzip, both ways: bodies that come packed, and answers for clients that take them so.

use std::io::{Read, Write};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, VARY};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use crate::error::ElasticError;
use crate::search::blocking;

const GZIP: HeaderValue = HeaderValue::from_static("gzip");
/// Shorter answers are not worth packing.
const ANSWER_BYTES_MIN: usize = 1 << 10;
/// Elasticsearch's level (`http.compression_level`): fast, and most of what there is to gain.
const LEVEL: u32 = 3;

/// Whether a body is packed; other packings than gzip are refused.
pub(crate) fn is_packed(headers: &HeaderMap) -> Result<bool, ElasticError> {
    let encoding = headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or_default().trim());
    match encoding.map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "identity") => Ok(false),
        Some("gzip" | "x-gzip") => Ok(true),
        Some(other) => {
            Err(ElasticError::Parameter(format!("Content-Encoding [{other}] is not supported, only [gzip]")))
        }
    }
}

/// Unpacks a body that may have so many bytes then.
pub(crate) async fn unpack(packed: Bytes, bytes_max: usize) -> Result<Bytes, ElasticError> {
    blocking(move || {
        let mut unpacked = Vec::new();
        let limit = bytes_max as u64 + 1;
        let read = MultiGzDecoder::new(&packed[..]).take(limit).read_to_end(&mut unpacked);
        read.map_err(|error| ElasticError::Gzip(error.to_string()))?;
        if unpacked.len() > bytes_max {
            return Err(ElasticError::BodyTooLarge(bytes_max));
        }
        Ok(unpacked.into())
    })
    .await
}

/// Packs the answers that clients want packed.
pub(crate) async fn pack_answer(request: Request, next: Next) -> Response {
    let is_wanted = request.method() != Method::HEAD && takes_gzip(request.headers());
    let response = next.run(request).await;
    if !is_wanted || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // Answers are whole in memory: there is no end to wait for.
    let Ok(bytes) = to_bytes(body, usize::MAX).await else { return Response::from_parts(parts, Body::empty()) };
    parts.headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if bytes.len() < ANSWER_BYTES_MIN {
        return Response::from_parts(parts, Body::from(bytes));
    }
    let plain = bytes.clone();
    let packed = blocking(move || {
        let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::new(LEVEL));
        encoder.write_all(&plain).and_then(|()| encoder.finish()).map_err(|_| ElasticError::Internal)
    });
    match packed.await {
        Ok(packed) => {
            parts.headers.insert(CONTENT_ENCODING, GZIP);
            parts.headers.remove(CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(packed))
        }
        Err(_) => Response::from_parts(parts, Body::from(bytes)),
    }
}

/// Whether `Accept-Encoding` names gzip without forbidding it (RFC 9110, section 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip") || name == "*");
        is_gzip && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_gzip() {
        for (value, takes) in [
            ("gzip", true),
            ("gzip, deflate, br", true),
            ("deflate;q=0.5, GZIP;q=0.1", true),
            ("*", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(takes_gzip(&headers), takes, "{value}");
        }
    }

    #[tokio::test]
    async fn bodies_are_unpacked_up_to_a_bound() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
        encoder.write_all(&[b'a'; 1_000]).unwrap();
        let packed = Bytes::from(encoder.finish().unwrap());
        assert_eq!(unpack(packed.clone(), 1_000).await.unwrap().len(), 1_000);
        assert!(matches!(unpack(packed.clone(), 999).await, Err(ElasticError::BodyTooLarge(999))));
        assert!(matches!(unpack(packed.slice(..packed.len() - 9), 1_000).await, Err(ElasticError::Gzip(_))));
        assert!(matches!(unpack(Bytes::from_static(b"no"), 1_000).await, Err(ElasticError::Gzip(_))));
    }
}
