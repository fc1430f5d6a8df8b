//! Who a request is in a trace, by the header `traceparent` (W3C Trace Context, level 1).

use tollhouse_units::hex;

/// A request's place in a trace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TraceContext {
    /// Names the whole trace.
    pub trace_id: [u8; 16],
    /// Names the request's own span.
    pub span_id: [u8; 8],
    /// The client's span, where it named one.
    pub parent_id: Option<[u8; 8]>,
    /// Whether the trace is kept: what the client said, and where it said nothing, yes.
    pub is_sampled: bool,
}

impl TraceContext {
    /// A span of our own below that of `traceparent`, or at the root of a trace of its own where there is none or none that is
    /// valid. `None` when the system gives no random numbers.
    pub fn below(traceparent: Option<&str>) -> Option<Self> {
        let mut random = [0_u8; 24];
        getrandom::fill(&mut random).ok()?;
        let span_id: [u8; 8] = random[16..].try_into().ok()?;
        if let Some((trace_id, parent, is_sampled)) = traceparent.and_then(parse) {
            return Some(Self { trace_id, span_id, parent_id: Some(parent), is_sampled });
        }
        let trace_id: [u8; 16] = random[..16].try_into().ok()?;
        Some(Self { trace_id, span_id, parent_id: None, is_sampled: true })
    }

    /// The header for whoever works for this request: its parent is our span.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-{:02x}", hex(&self.trace_id), hex(&self.span_id), u8::from(self.is_sampled))
    }

    /// The trace's id as headers and records have it.
    pub fn trace_id_text(&self) -> String {
        hex(&self.trace_id)
    }
}

/// Trace, parent and whether the trace is kept. Versions to come may have more fields behind the flags.
fn parse(text: &str) -> Option<([u8; 16], [u8; 8], bool)> {
    let mut parts = text.trim().split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let version: [u8; 1] = bytes(version)?;
    if version == [0xff] || (version == [0] && parts.next().is_some()) {
        return None;
    }
    let (trace, parent, [flags]): ([u8; 16], [u8; 8], [u8; 1]) = (bytes(trace)?, bytes(parent)?, bytes(flags)?);
    (trace != [0; 16] && parent != [0; 8]).then_some((trace, parent, flags & 1 == 1))
}

/// Lower-case hexadecimal digits as bytes.
pub(crate) fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 2 * N || !text.bytes().all(is_hex) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn only_what_the_specification_allows_is_a_parent() {
        for (text, expected) in [
            (format!("00-{TRACE}-{SPAN}-01"), Some(true)),
            (format!("00-{TRACE}-{SPAN}-00"), Some(false)),
            (format!("00-{TRACE}-{SPAN}-03"), Some(true)),
            (format!("cc-{TRACE}-{SPAN}-01-more"), Some(true)),
            (format!("00-{TRACE}-{SPAN}-01-more"), None),
            (format!("ff-{TRACE}-{SPAN}-01"), None),
            (format!("00-{}-{SPAN}-01", "0".repeat(32)), None),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), None),
            (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), None),
            (format!("00-{TRACE}-{SPAN}"), None),
            (String::new(), None),
        ] {
            let context = TraceContext::below(Some(&text)).unwrap();
            assert_eq!(context.parent_id.map(|_| context.is_sampled), expected, "{text}");
            assert_eq!(expected.is_some(), context.trace_id_text() == TRACE, "{text}");
        }
    }

    #[test]
    fn what_goes_on_names_our_own_span() {
        let context = TraceContext::below(Some(&format!("00-{TRACE}-{SPAN}-00"))).unwrap();
        let on = context.traceparent();
        assert!(on.starts_with(&format!("00-{TRACE}-")) && on.ends_with("-00") && !on.contains(SPAN), "{on}");
        let next = TraceContext::below(Some(&on)).unwrap();
        assert_eq!((next.trace_id, next.parent_id, next.is_sampled), (context.trace_id, Some(context.span_id), false));
        let (one, two) = (TraceContext::below(None).unwrap(), TraceContext::below(None).unwrap());
        assert!(one.is_sampled && one.parent_id.is_none() && one.trace_id != two.trace_id);
    }

    proptest! {
        #[test]
        fn nothing_that_comes_in_panics(text in "\\PC{0,80}") {
            let _ = TraceContext::below(Some(&text));
        }
    }
}
