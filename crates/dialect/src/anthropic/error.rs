//! Writes the bodies of Anthropic's errors.

use crate::ErrorInfo;
use crate::json::Object;

/// The body of an error: `{"type":"error","error":{"type","message"},"request_id"}`.
pub(crate) fn write_error(told: &ErrorInfo) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + told.message.len());
    let mut body = Object::open(&mut out);
    body.put("type", "error");
    let mut error = Object::open(body.key("error"));
    error.put("type", kind(told.status));
    error.put("message", told.message);
    error.close();
    if !told.request_id.is_empty() {
        body.put("request_id", told.request_id);
    }
    body.close();
    out
}

/// Anthropic has one kind of error for each status.
fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        504 => "timeout_error",
        400..500 => "invalid_request_error",
        _ => "api_error",
    }
}
