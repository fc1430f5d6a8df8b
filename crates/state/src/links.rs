//! Signed links: whoever has one may do the one thing that it is for, until it ends.

use tollhouse_units::hex;

use crate::State;

/// Digits of a signature: 128 bits.
const SIGNATURE_DIGITS: usize = 32;

/// Why a link is of no use.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LinkError {
    /// This house has not signed it, or not for this.
    #[error("this link is not one of this house")]
    Forged,
    /// Its time is over.
    #[error("this link has expired")]
    Expired,
}

impl State {
    /// A link's token for one purpose and one subject (of letters, digits, `.`, `_`, `-` and `~`), good until a moment in
    /// milliseconds since 1970 UTC. Nothing is kept: the signature under the pepper is what makes it good.
    pub fn sign_link(&self, purpose: &str, subject: &str, until_ms: i64) -> String {
        let until_s = until_ms / 1000;
        format!("{until_s:x}.{}.{subject}", self.signature(purpose, subject, until_s))
    }

    /// The subject of a link's token.
    pub fn read_link(&self, purpose: &str, token: &str, now_ms: i64) -> Result<String, LinkError> {
        let mut parts = token.splitn(3, '.');
        let (until, signature, subject) = (parts.next(), parts.next(), parts.next());
        let until_s = until.and_then(|until| i64::from_str_radix(until, 16).ok()).ok_or(LinkError::Forged)?;
        let (signature, subject) = signature.zip(subject).ok_or(LinkError::Forged)?;
        // Compared by their hashes: how long that takes says nothing of the signature.
        let wanted = self.signature(purpose, subject, until_s);
        if self.pepper.digest(&wanted) != self.pepper.digest(signature) {
            return Err(LinkError::Forged);
        }
        if now_ms / 1000 >= until_s { Err(LinkError::Expired) } else { Ok(subject.to_owned()) }
    }

    fn signature(&self, purpose: &str, subject: &str, until_s: i64) -> String {
        let digest = self.pepper.digest(&format!("link\n{purpose}\n{until_s:x}\n{subject}"));
        let mut digits = hex(&digest);
        digits.truncate(SIGNATURE_DIGITS);
        digits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_link_is_good_for_one_thing_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let token = state.sign_link("acknowledge", "slow-model.19ab~ops", 60_000);
        assert_eq!(state.read_link("acknowledge", &token, 59_000).as_deref(), Ok("slow-model.19ab~ops"));
        assert_eq!(state.read_link("acknowledge", &token, 60_000), Err(LinkError::Expired));
        assert_eq!(state.read_link("silence", &token, 0), Err(LinkError::Forged));
        for wrong in ["", "x", "a.b", "a.b.c", &token.replace("ops", "opS"), &token.replacen("3c", "3d", 1)] {
            assert_eq!(state.read_link("acknowledge", wrong, 0), Err(LinkError::Forged), "{wrong}");
        }
        let elsewhere = tempfile::tempdir().unwrap();
        let other = State::open(elsewhere.path()).await.unwrap();
        assert_eq!(other.read_link("acknowledge", &token, 0), Err(LinkError::Forged));
    }
}
