//! HTTP/2 frame by frame.

use tollhouse_testkit::RawClient;

use super::House;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const ENHANCE_YOUR_CALM: u32 = 11;

pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub content: Vec<u8>,
}

pub fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let mut frame = (content.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(content);
    frame
}

/// A `GET` of this path with one more field; nothing is compressed but what the static table has.
pub fn get(path: &str, field: Option<(&str, &str)>) -> Vec<u8> {
    let mut block = vec![0x82, 0x86];
    let mut text = |prefix: u8, text: &str| {
        block.push(prefix);
        block.push(text.len() as u8);
        block.extend(text.as_bytes());
    };
    text(0x04, path);
    text(0x01, "localhost");
    if let Some((name, value)) = field {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    block
}

pub struct Client {
    pub raw: RawClient,
    unread: Vec<u8>,
}

impl Client {
    pub async fn connect(house: &House) -> Self {
        let mut raw = RawClient::connect(house.address).await;
        raw.send([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await;
        Self { raw, unread: Vec::new() }
    }

    /// The next frame; none after the end.
    pub async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(header) = self.unread.get(..9) {
                let length = usize::from(header[1]) << 8 | usize::from(header[2]);
                if self.unread.len() >= 9 + length {
                    let (kind, flags) = (header[3], header[4]);
                    let stream = u32::from_be_bytes(header[5..9].try_into().unwrap());
                    let content: Vec<u8> = self.unread.drain(..9 + length).skip(9).collect();
                    if (kind, flags) == (PING, 0) {
                        self.raw.send(frame(PING, 1, 0, &content)).await;
                    }
                    return Some(Frame { kind, flags, stream, content });
                }
            }
            let bytes = self.raw.bytes().await;
            if bytes.is_empty() {
                return None;
            }
            self.unread.extend(bytes);
        }
    }

    /// The frames of a stream until its end.
    pub async fn stream(&mut self, stream: u32) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame().await {
            if frame.stream != stream {
                continue;
            }
            let is_last = frame.flags & END_STREAM != 0 || frame.kind == RST_STREAM;
            frames.push(frame);
            if is_last {
                break;
            }
        }
        frames
    }

    /// The reason of the GOAWAY frame before the end.
    pub async fn goodbye(&mut self) -> Option<u32> {
        let mut reason = None;
        while let Some(frame) = self.frame().await {
            if frame.kind == GOAWAY {
                reason = Some(u32::from_be_bytes(frame.content[4..8].try_into().unwrap()));
            }
        }
        reason
    }
}
