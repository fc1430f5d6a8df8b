//! The console: who signs in how.

use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;

/// The console.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConsoleConfig {
    /// A provider at which users sign in (OpenID Connect).
    pub oidc: Option<OidcConfig>,
}

/// A provider at which users sign in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OidcConfig {
    /// What stands on the button.
    pub name: String,
    /// The provider, exactly as it calls itself.
    pub issuer: String,
    /// As what this house is known there.
    pub client_id: String,
    /// Its secret there; PKCE alone has to do without one.
    pub client_secret: Option<Secret>,
    /// A PEM file with the authority that signed the provider's certificate.
    pub ca: Option<PathBuf>,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// The claim with the user's name.
    pub name_claim: String,
    /// The claim with the user's groups or roles; `a.b` is a member of a member.
    pub role_claim: String,
    /// Which of its values give which role, the least role first; never none.
    pub roles: Vec<(ConsoleRole, Vec<String>)>,
    /// Only users with a verified mail address in one of these; all where there is none.
    pub domains: Vec<String>,
    /// How long a session lasts.
    pub session: Duration,
}

/// What somebody may do in the console.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConsoleRole {
    /// Read, search, chat.
    Viewer,
    /// And act on what happens.
    Operator,
    /// And decide.
    Admin,
}

impl ConsoleRole {
    /// All, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}
