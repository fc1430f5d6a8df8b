//! What was used, as bytes that survive a restart.
//!
//! Layout, little-endian: `THL1`, the wall clock in milliseconds (i64), the name of the shared counters' life (string),
//! the number of scopes (u32), then each scope: name (string), the window of requests and that of tokens (length in
//! nanoseconds (u64), number of grants (u32), each age in nanoseconds (i64: the end of a bucket may lie ahead) and
//! amount (u32)), and the budgets of day and month (number (i32), used (u64)). A string is its length (u16) and UTF-8.
//!
//! What running requests hold is left out: when they end, their journal lines say what they used, and
//! [`Limits::recount`](crate::Limits::recount) puts that in.

use std::sync::Arc;

use crate::Rate;
use crate::table::{Now, SCOPES_MAX, Slot, Table};
use crate::window::{GRANTS_OF_WINDOW_MAX, Grant, Window};

const MAGIC: &[u8; 4] = b"THL1";

/// Why a snapshot could not be put back.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SnapshotError {
    /// It was written by another version, or is none at all.
    #[error("reading the snapshot of the limits: not a snapshot of this version")]
    Unknown,
    /// It ends early, or a number in it cannot be.
    #[error("reading the snapshot of the limits: damaged at byte {at}")]
    Damaged {
        /// Where.
        at: usize,
    },
}

/// What was put back from a snapshot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Restored {
    /// When the snapshot was taken, in milliseconds since 1970.
    pub taken_ms: i64,
    /// How many scopes count again.
    pub scopes: usize,
}

/// Writes down what still counts, some scopes after the other.
pub(crate) struct Writer {
    out: Vec<u8>,
    count_at: usize,
    count: u32,
    now: Now,
}

impl Writer {
    /// Begins a snapshot of this moment.
    pub(crate) fn new(life: &str, now: Now) -> Self {
        let mut out = Vec::from(MAGIC);
        out.extend(now.wall_ms.to_le_bytes());
        write_str(&mut out, life);
        let count_at = out.len();
        out.extend(0_u32.to_le_bytes());
        Self { out, count_at, count: 0, now }
    }

    /// Adds scopes.
    pub(crate) fn add(&mut self, slots: &[Slot]) {
        for slot in slots {
            self.count += u32::from(write_slot(&mut self.out, slot, self.now.ns));
        }
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.out[self.count_at..self.count_at + 4].copy_from_slice(&self.count.to_le_bytes());
        self.out
    }
}

fn write_slot(out: &mut Vec<u8>, slot: &Slot, now: u64) -> bool {
    let Some(name) = &slot.name else { return false };
    let spent = slot.budgets.iter().any(|counter| counter.used > counter.running);
    let (requests, tokens) = (finished(&slot.requests, now), finished(&slot.tokens, now));
    if requests.is_empty() && tokens.is_empty() && !spent {
        return false;
    }
    write_str(out, name);
    for (window, grants) in [(&slot.requests, requests), (&slot.tokens, tokens)] {
        out.extend(window.per().to_le_bytes());
        out.extend((grants.len() as u32).to_le_bytes());
        for (age, amount) in grants {
            out.extend(age.to_le_bytes());
            out.extend(amount.to_le_bytes());
        }
    }
    for counter in &slot.budgets {
        out.extend(counter.number.to_le_bytes());
        out.extend((counter.used - counter.running).to_le_bytes());
    }
    true
}

/// Age and amount of what is in the window and belongs to no running request.
fn finished(window: &Window, now: u64) -> Vec<(i64, u32)> {
    let counts = |grant: &Grant| grant.amount > grant.running && grant.at.saturating_add(window.per()) > now;
    window.grants().filter(counts).map(|grant| (now as i64 - grant.at as i64, grant.amount - grant.running)).collect()
}

/// The longest name: names are made from ids and addresses of bounded length.
const NAME_BYTES_MAX: usize = u16::MAX as usize;

fn write_str(out: &mut Vec<u8>, text: &str) {
    let cut = text.floor_char_boundary(NAME_BYTES_MAX);
    out.extend((cut as u16).to_le_bytes());
    out.extend(&text.as_bytes()[..cut]);
}

/// Puts a snapshot back: a scope that counts something already keeps that instead. Gives also the name of the shared
/// counters' life.
pub(crate) fn read(table: &mut Table, bytes: &[u8], now: Now) -> Result<(Restored, String), SnapshotError> {
    let mut reader = Reader { bytes, at: 0 };
    if reader.take::<4>().ok().as_ref() != Some(MAGIC) {
        return Err(SnapshotError::Unknown);
    }
    let taken_ms = i64::from_le_bytes(reader.take()?);
    let life = reader.text()?.to_owned();
    let count = u32::from_le_bytes(reader.take()?) as usize;
    if count > SCOPES_MAX {
        return Err(reader.damaged());
    }
    // A wall clock that went back meanwhile makes the pause look like none: nothing opens early.
    let pause_ns = now.wall_ms.saturating_sub(taken_ms).max(0).saturating_mul(1_000_000);
    let mut scopes = Vec::with_capacity(count);
    for _ in 0..count {
        scopes.push(read_slot(&mut reader, pause_ns, now.ns)?);
    }
    if reader.at != bytes.len() {
        return Err(reader.damaged());
    }
    let restored = scopes.len();
    for scope in scopes {
        let name = scope.name.clone().expect("every scope read has its name");
        if let Some(slot) = table.slot_mut(&name, now)
            && slot.is_unused()
        {
            *slot = scope;
        }
    }
    table.count_grants();
    Ok((Restored { taken_ms, scopes: restored }, life))
}

fn read_slot(reader: &mut Reader<'_>, pause_ns: i64, now: u64) -> Result<Slot, SnapshotError> {
    let mut slot = Slot::named(Arc::from(reader.text()?));
    for window in [&mut slot.requests, &mut slot.tokens] {
        let per = u64::from_le_bytes(reader.take()?);
        let count = u32::from_le_bytes(reader.take()?) as usize;
        if count > GRANTS_OF_WINDOW_MAX || per > Rate::PER_MAX.as_nanos() as u64 {
            return Err(reader.damaged());
        }
        let mut grants = Vec::with_capacity(count);
        for _ in 0..count {
            let age = i64::from_le_bytes(reader.take()?).saturating_add(pause_ns);
            let amount = u32::from_le_bytes(reader.take()?);
            grants.push(Grant { at: now.saturating_add_signed(age.saturating_neg()), amount, running: 0 });
        }
        if !grants.is_sorted_by_key(|grant| grant.at) {
            return Err(reader.damaged());
        }
        *window = Window::restored(per, grants, now);
    }
    for counter in &mut slot.budgets {
        counter.number = i32::from_le_bytes(reader.take()?);
        counter.used = u64::from_le_bytes(reader.take()?);
    }
    Ok(slot)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let taken = self.bytes[self.at..].first_chunk::<N>().ok_or(self.damaged())?;
        self.at += N;
        Ok(*taken)
    }

    fn text(&mut self) -> Result<&'a str, SnapshotError> {
        let length = usize::from(u16::from_le_bytes(self.take()?));
        let text = self.bytes[self.at..].get(..length).and_then(|text| str::from_utf8(text).ok());
        let text = text.ok_or(self.damaged())?;
        self.at += length;
        Ok(text)
    }

    fn damaged(&self) -> SnapshotError {
        SnapshotError::Damaged { at: self.at }
    }
}
