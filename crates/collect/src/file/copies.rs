//! Whether a name is a copy of a known file that begins with the same bytes, and what follows for it.

use std::io;
use std::path::Path;

use super::known::{Known, Place, Probe, Seen, has_tail, name_of};
use super::positions::{HEAD_BYTES, Head, TAIL_BYTES};
use super::rotated;

/// Equal first bytes from which on two files are the same whatever their names.
pub(crate) const PROOF_BYTES: usize = 256;

const _: () = assert!(PROOF_BYTES <= HEAD_BYTES, "a head must be able to prove something");

/// What a name is to one known file with the same first bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Relation {
    /// None.
    None,
    /// Reading of the known file goes on here.
    Continues,
    /// A copy that was made before all was written that was read.
    Finished,
    /// A copy of a file that is still there.
    Copy,
    /// Something changed while it was looked at.
    Unsure,
}

/// What a name is to a file that begins with the same `proof` bytes.
pub(crate) fn relate(known: &Known, seen: &Seen, proof: usize, probe: &mut dyn Probe) -> Relation {
    let note = &known.note;
    let is_same_path = note.path == seen.path;
    // Files that are there beside each other and have numbers in their names may be of several programs.
    let is_rotated_name = is_rotated(&seen.path, &note.path, known.place != Place::Here)
        || known.former.as_ref().is_some_and(|former| is_rotated(&seen.path, former, false));
    // A file whose name leads to another one now may have been written anew by an editor, with all that was in it.
    let is_there = known.place == Place::Here || (known.place == Place::Nameless && !is_same_path);
    if is_there {
        let was_there = known.former.as_ref() == Some(&seen.path);
        return match seen.packing {
            _ if !is_rotated_name => Relation::None,
            Some(_) if note.packing.is_none() => Relation::Copy,
            Some(_) => Relation::None,
            None if was_there => Relation::None,
            None => compare(known, seen, probe),
        };
    }
    let is_credible = proof >= PROOF_BYTES || (!is_same_path && is_rotated_name);
    if !is_credible {
        return Relation::None;
    }
    if seen.packing.is_some() {
        return if is_same_path { Relation::None } else { Relation::Continues };
    }
    if seen.stat.size < note.read {
        // The end of what was read was written after the copy was made.
        let is_orphan = note.inode == 0;
        return if is_orphan && !is_same_path { Relation::Finished } else { Relation::None };
    }
    match probe.before(seen, note.read, note.tail.length as usize) {
        Ok(before) if has_tail(&before, note.tail) => Relation::Continues,
        Ok(_) => Relation::None,
        Err(_) => Relation::Unsure,
    }
}

/// Whether a file is a copy of one that is still there, as far as both go.
fn compare(known: &Known, seen: &Seen, probe: &mut dyn Probe) -> Relation {
    let end = seen.stat.size.min(known.stat.size);
    let length = TAIL_BYTES.min(end as usize);
    let (Ok(copy), Ok(original)) = (probe.before(seen, end, length), bytes_before(known, end, length, probe)) else {
        return Relation::Unsure;
    };
    if copy == original && copy.len() == length {
        return Relation::Copy;
    }
    // The known file may have been truncated since it was looked at; then it is no witness.
    let (head, tail) = (&known.note.head, known.note.tail);
    let first = bytes_before(known, u64::from(head.length), head.length as usize, probe);
    let before = bytes_before(known, known.note.read, tail.length as usize, probe);
    let is_witness = original.len() == length
        && first.is_ok_and(|first| Head::of(&first) == *head)
        && before.is_ok_and(|before| has_tail(&before, tail));
    if is_witness { Relation::None } else { Relation::Unsure }
}

fn bytes_before(known: &Known, end: u64, length: usize, probe: &mut dyn Probe) -> io::Result<Vec<u8>> {
    if probe.is_open(known.note.id) {
        return probe.before_open(known.note.id, end, length);
    }
    probe.before(&known.seen(), end, length)
}

/// Whether rotation makes such a name of `original`, or (`or_of_older`) of what that was made of itself.
fn is_rotated(path: &Path, original: &Path, or_of_older: bool) -> bool {
    let (Some(name), Some(original)) = (name_of(path), name_of(original)) else { return false };
    let mut wanted = vec![original.to_owned()];
    if or_of_older {
        wanted.extend(rotated::originals(original));
    }
    rotated::originals(name).any(|name| wanted.contains(&name))
}

/// How often a name looks rotated: its number or date, and its packing.
pub(crate) fn rotations(path: &Path) -> usize {
    name_of(path)
        .map_or(0, |name| rotated::originals(name).count().min(1) + usize::from(rotated::packing(name).is_some()))
}
