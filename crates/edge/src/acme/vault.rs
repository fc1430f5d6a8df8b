//! The files of keys and certificates: each for its owner alone, and replaced as a whole.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Longest name of a file that stands for an authority.
const NAME_BYTES_MAX: usize = 120;

/// A folder of keys and certificates. All that it does blocks.
#[derive(Clone, Debug)]
pub struct Vault {
    folder: PathBuf,
}

impl Vault {
    /// A vault in this folder, which need not be there yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The file of a site's certificate and its key, both in one so that no half of a pair is ever read.
    pub fn certificate(&self, host: &str) -> PathBuf {
        self.folder.join(format!("{host}.pem"))
    }

    /// The key that an order under way is about.
    pub(crate) fn next_key(&self, host: &str) -> PathBuf {
        self.folder.join(format!("{host}.next.pem"))
    }

    /// The account at an authority, with its key.
    pub(crate) fn account(&self, directory: &str) -> PathBuf {
        let plain = |byte: u8| if byte.is_ascii_alphanumeric() || byte == b'.' { byte as char } else { '_' };
        let name: String = directory.bytes().map(plain).take(NAME_BYTES_MAX).collect();
        self.folder.join(format!("account-{name}.json"))
    }

    /// What a file holds; `None` where there is none.
    pub(crate) fn read(path: &Path) -> io::Result<Option<String>> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces a file: whoever reads it gets the old text or the new one, also after a loss of power.
    pub(crate) fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        tollhouse_files::replace(path, text.as_bytes(), 0o600)
    }

    pub(crate) fn remove(path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_are_their_owners_and_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::new(dir.path().join("acme"));
        let path = vault.certificate("a.example");
        assert_eq!(Vault::read(&path).unwrap(), None);
        for text in ["one", "two"] {
            vault.write(&path, text).unwrap();
            assert_eq!(Vault::read(&path).unwrap().as_deref(), Some(text));
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(dir.path().join("acme")).unwrap().count(), 1, "nothing is left beside it");
        Vault::remove(&path).unwrap();
        Vault::remove(&path).unwrap();
        let account = vault.account("https://ca.example:14000/dir");
        assert_eq!(account.file_name().unwrap(), "account-https___ca.example_14000_dir.json");
    }
}
