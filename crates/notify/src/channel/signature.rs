//! HMAC-SHA-256, in the forms in which services want it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The code of `data` under `key`.
fn code(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

/// In base64.
pub(super) fn base64(key: &[u8], data: &[u8]) -> String {
    STANDARD.encode(code(key, data))
}

/// In hexadecimal digits.
pub(super) fn hex(key: &[u8], data: &[u8]) -> String {
    tollhouse_units::hex(&code(key, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 4231, test case 2.
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(b"Jefe", b"what do ya want for nothing?"), expected);
    }
}
