//! What is answered to a request, and how an answer is read.

use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use prost::Message;
use serde_json::{Value, json};

use crate::encoding::Encoding;
use crate::error::OtlpError;

/// Longest text in an answer that is taken, in characters.
const WHY_CHARS_MAX: usize = 512;

/// Records of a request that were not kept and will not be, however often they are sent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rejected {
    /// How many.
    pub lines: u64,
    /// Why; the first reason where there are several. A receiver may say something here though it rejects nothing.
    pub why: String,
}

impl Rejected {
    pub(crate) fn add(&mut self, why: String) {
        self.lines += 1;
        if self.why.is_empty() {
            self.why = why;
        }
    }

    /// The body of the answer 200: all records but these were kept.
    pub fn answer(&self, encoding: Encoding) -> Vec<u8> {
        let is_whole = self.lines == 0 && self.why.is_empty();
        match encoding {
            Encoding::Protobuf => {
                let partial_success = (!is_whole).then(|| ExportLogsPartialSuccess {
                    rejected_log_records: i64::try_from(self.lines).unwrap_or(i64::MAX),
                    error_message: self.why.clone(),
                });
                ExportLogsServiceResponse { partial_success }.encode_to_vec()
            }
            Encoding::Json if is_whole => b"{}".to_vec(),
            Encoding::Json => {
                let told = json!({"rejectedLogRecords": self.lines.to_string(), "errorMessage": self.why});
                json!({"partialSuccess": told}).to_string().into_bytes()
            }
        }
    }
}

/// `google.rpc.Status`: the body of every answer that is no success.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// The body of an answer that is no success. `code` is one of gRPC's: 3 where the request is wrong, 8 where there is too
/// much, 14 where it should be sent again, 16 where nobody is known by the key.
pub fn failure(encoding: Encoding, code: i32, message: &str) -> Vec<u8> {
    match encoding {
        Encoding::Protobuf => Status { code, message: message.to_owned() }.encode_to_vec(),
        Encoding::Json => json!({"code": code, "message": message}).to_string().into_bytes(),
    }
}

/// Reads the body of an answer of success, and what it rejects. An empty body rejects nothing.
pub fn read_answer(body: &[u8], encoding: Encoding) -> Result<Rejected, OtlpError> {
    let (lines, why) = match encoding {
        Encoding::Protobuf => {
            let told = ExportLogsServiceResponse::decode(body)?.partial_success.unwrap_or_default();
            (told.rejected_log_records, told.error_message)
        }
        Encoding::Json if body.is_empty() => (0, String::new()),
        Encoding::Json => {
            let told = serde_json::from_slice::<Value>(body)?;
            let told = &told["partialSuccess"];
            let lines = &told["rejectedLogRecords"];
            let lines = lines.as_i64().or_else(|| lines.as_str()?.parse().ok()).unwrap_or(0);
            (lines, told["errorMessage"].as_str().unwrap_or_default().to_owned())
        }
    };
    Ok(Rejected { lines: u64::try_from(lines).unwrap_or(0), why: why.chars().take(WHY_CHARS_MAX).collect() })
}

/// The message in the body of an answer that is no success, where there is one.
pub fn failure_message(body: &[u8]) -> Option<String> {
    let message = Status::decode(body).ok()?.message;
    let message: String = message.chars().take(WHY_CHARS_MAX).collect();
    (!message.is_empty()).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_they_are_written() {
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            for rejected in [
                Rejected::default(),
                Rejected { lines: 3, why: "too large".to_owned() },
                Rejected { lines: 0, why: "a warning".to_owned() },
            ] {
                assert_eq!(read_answer(&rejected.answer(encoding), encoding).unwrap(), rejected);
            }
            assert_eq!(read_answer(b"", encoding).unwrap(), Rejected::default());
        }
        assert_eq!(failure_message(&failure(Encoding::Protobuf, 3, "no")).as_deref(), Some("no"));
        assert_eq!(failure_message(b"<html>"), None);
        assert_eq!(failure(Encoding::Json, 3, "no"), br#"{"code":3,"message":"no"}"#);
        assert!(read_answer(b"\xff", Encoding::Protobuf).is_err());
    }
}
