//! Whether a file can be a journal at all: nothing is cut off, or appended to, a file of somebody else.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use crate::error::JournalError;
use crate::line::{self, LINE_BYTES_MAX};
use crate::names::Names;

/// So much of a file is searched for a record; the first line tells as a rule.
const SEARCHED_BYTES_MAX: u64 = 1 << 30;

/// Refuses a current file in which nothing looks like a record, not even a torn or damaged one. Changes nothing.
///
/// Closed files beside it show that the journal was here: then it is damaged, whatever is in it, and opens.
pub(crate) fn refuse_foreign(names: &Names) -> Result<(), JournalError> {
    let failed = |action| JournalError::io(action, &names.current);
    let file = match File::open(&names.current) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("opening")(error)),
    };
    let found = file.metadata().map_err(failed("examining"))?;
    if !found.is_file() || can_be_journal(file).map_err(failed("reading"))? || !names.list()?.is_empty() {
        return Ok(());
    }
    Err(JournalError::Foreign(names.current.clone()))
}

/// Whether a record is in it, or its begin, or nothing at all: a power loss can leave zeros where a record was to be.
fn can_be_journal(file: File) -> io::Result<bool> {
    let mut input = BufReader::new(file.take(SEARCHED_BYTES_MAX));
    let mut is_blank = true;
    let mut piece = Vec::new();
    loop {
        piece.clear();
        if input.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut piece)? == 0 {
            return Ok(is_blank);
        }
        let is_ours = match piece.strip_suffix(b"\n") {
            Some(line) => line::begins(line) || line::ends(line).is_some(),
            None => line::begins(&piece) || (is_blank && line::can_begin(&piece)),
        };
        if is_ours {
            return Ok(true);
        }
        is_blank &= piece.iter().all(|byte| *byte == 0);
    }
}
