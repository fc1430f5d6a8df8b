//! Writes server-sent events, <https://html.spec.whatwg.org/multipage/server-sent-events.html>; `lines` reads them.

use crate::json::Object;

/// A comment, which every reader of event streams skips.
pub(crate) const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// Appends an event of a type, which its data repeat; `write` puts the other fields.
pub(crate) fn event(out: &mut Vec<u8>, kind: &str, write: impl FnOnce(&mut Object)) {
    begin(out, kind);
    let mut body = Object::open(out);
    body.put("type", kind);
    write(&mut body);
    body.close();
    out.extend_from_slice(b"\n\n");
}

/// Appends an event of a type whose data are there already.
pub(crate) fn named(out: &mut Vec<u8>, kind: &str, data: &[u8]) {
    begin(out, kind);
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

/// Appends an event without a type.
pub(crate) fn unnamed(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

fn begin(out: &mut Vec<u8>, kind: &str) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
}
