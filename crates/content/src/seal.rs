//! Compressed and sealed: what lies in the file can be read with the owner's key only.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tollhouse_state::ContentKey;

/// Zstandard's own default.
const COMPRESSION_LEVEL: i32 = 3;
/// Largest transcript, unpacked: more than ever is written.
const PLAIN_BYTES_MAX: usize = 16 << 20;

/// Seals `plain` for `context`, without which it cannot be opened: base64 of the nonce, the ciphertext and its tag. The
/// nonce is random (NIST SP 800-38D, 8.2.2: up to 2³² times with one key).
pub(crate) fn seal(key: &ContentKey, context: &str, plain: &[u8]) -> Option<String> {
    let mut bytes = zstd::bulk::compress(plain, COMPRESSION_LEVEL).ok()?;
    let key = RandomizedNonceKey::new(&AES_256_GCM, key.bytes()).ok()?;
    let nonce = key.seal_in_place_append_tag(Aad::from(context), &mut bytes).ok()?;
    let mut sealed = nonce.as_ref().to_vec();
    sealed.append(&mut bytes);
    Some(STANDARD_NO_PAD.encode(sealed))
}

/// Opens what [`seal`] made; nothing when the key, the context or a byte is another.
pub(crate) fn open(key: &ContentKey, context: &str, sealed: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD_NO_PAD.decode(sealed).ok()?;
    let (nonce, rest) = bytes.split_at_checked(NONCE_LEN)?;
    let key = RandomizedNonceKey::new(&AES_256_GCM, key.bytes()).ok()?;
    let mut rest = rest.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let packed = key.open_in_place(nonce, Aad::from(context), &mut rest).ok()?;
    zstd::bulk::decompress(packed, PLAIN_BYTES_MAX).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_context_open_it() {
        let (key, other) = (ContentKey::new("a", [7; 32]), ContentKey::new("b", [8; 32]));
        let sealed = seal(&key, "req_1", "hello 你好".as_bytes()).unwrap();
        assert_eq!(open(&key, "req_1", &sealed).unwrap(), "hello 你好".as_bytes());
        assert_eq!(open(&key, "req_2", &sealed), None);
        assert_eq!(open(&other, "req_1", &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(open(&key, "req_1", std::str::from_utf8(&changed).unwrap()), None, "{at}");
        }
        for broken in ["", "A", "AAAA", "not base64!", &sealed[..20]] {
            assert_eq!(open(&key, "req_1", broken), None);
        }
        assert_ne!(seal(&key, "req_1", b"x"), seal(&key, "req_1", b"x"), "a nonce of its own each time");
    }
}
