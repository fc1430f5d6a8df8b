//! What is usable of `ship`: the clusters that documents are brought to.

use std::path::PathBuf;

use tollhouse_units::Bytes;

use crate::secret::Secret;

/// One cluster that the documents of all records are brought to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShipConfig {
    /// Its name in this configuration, in records and in the name of its cursor.
    pub name: String,
    /// What it is.
    pub kind: ShipKind,
    /// Base URLs of its nodes, without a slash at the end; at least one.
    pub urls: Vec<String>,
    /// Who we are there.
    pub login: Option<ShipLogin>,
    /// File of the authorities that its certificate may come from (PEM); the system's when absent.
    pub ca: Option<PathBuf>,
    /// Whether our index template is put there.
    pub template: bool,
    /// So much of the journal is kept for it beyond the journal's own retention.
    pub buffer: Bytes,
}

/// What a cluster is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ShipKind {
    /// Elasticsearch.
    Elasticsearch,
    /// OpenSearch.
    OpenSearch,
}

/// Who we are to a cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ShipLogin {
    /// Name and password.
    User {
        /// The name, without a colon.
        name: String,
        /// The password.
        password: Secret,
    },
    /// An API key in the encoded form in which the cluster gives it out.
    ApiKey(Secret),
}
