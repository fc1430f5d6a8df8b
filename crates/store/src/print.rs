//! Tells texts apart by two hashes with keys of this process: 128 bits that nobody can aim at.

use std::collections::hash_map::RandomState;
use std::fmt::{self, Write};
use std::hash::{BuildHasher, Hasher};

/// Makes prints; those of two printers have nothing to do with each other.
#[derive(Debug, Default)]
pub(crate) struct Printer {
    keys: [RandomState; 2],
}

/// Stands for a text.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Print([u64; 2]);

impl Printer {
    /// The print of what would be written; nothing where that is longer than so many bytes.
    pub(crate) fn print(&self, text: fmt::Arguments<'_>, bytes_max: usize) -> Option<Print> {
        let mut hashed = Hashed { hashers: self.keys.each_ref().map(BuildHasher::build_hasher), room: bytes_max };
        hashed.write_fmt(text).ok()?;
        Some(Print(hashed.hashers.map(|hasher| hasher.finish())))
    }
}

/// Hashes a text as it is written.
struct Hashed<H> {
    hashers: [H; 2],
    room: usize,
}

impl<H: Hasher> Write for Hashed<H> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.room = self.room.checked_sub(text.len()).ok_or(fmt::Error)?;
        self.hashers.iter_mut().for_each(|hasher| hasher.write(text.as_bytes()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_print_however_it_is_written() {
        let printer = Printer::default();
        let whole = printer.print(format_args!("abc"), 3);
        assert!(whole.is_some());
        assert_eq!(whole, printer.print(format_args!("{}{}", "a", "bc"), 3));
        assert_ne!(whole, printer.print(format_args!("abd"), 3));
        assert_ne!(whole, Printer::default().print(format_args!("abc"), 3));
        assert_eq!(printer.print(format_args!("abc"), 2), None);
    }
}
