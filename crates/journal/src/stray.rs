//! Lines in a journal that are no records: where they lie, and how many there are.

/// Most places that are listed; all lines are counted.
const LISTED_MAX: usize = 100;

/// Lines that are no records, one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strays {
    /// The file.
    pub file: String,
    /// `seq` of the record before them; nothing before the first one.
    pub after: Option<u64>,
    /// How many there are.
    pub lines: u64,
}

/// The first places with such lines, and the number of all.
#[derive(Debug, Default)]
pub(crate) struct StrayList {
    pub(crate) listed: Vec<Strays>,
    pub(crate) total: u64,
}

impl StrayList {
    /// Counts a line that is no record.
    pub(crate) fn add(&mut self, file: &str, after: Option<u64>) {
        self.total += 1;
        let is_full = self.listed.len() >= LISTED_MAX;
        match self.listed.last_mut() {
            Some(last) if last.after == after && last.file == file => last.lines += 1,
            _ if is_full => {}
            _ => self.listed.push(Strays { file: file.to_owned(), after, lines: 1 }),
        }
    }
}
