//! The alphabet in which byte-level vocabularies write bytes: each of the 256 as one printable character.

/// The character of each byte (GPT-2's `bytes_to_unicode`): printable ones stand for themselves, the others follow from
/// U+0100 on.
pub(crate) const TABLE: [char; 256] = table();

const fn table() -> [char; 256] {
    let mut table = ['\0'; 256];
    let (mut byte, mut next) = (0_u32, 0x100_u32);
    while byte < 256 {
        let printable = matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
        let code = if printable { byte } else { next };
        if !printable {
            next += 1;
        }
        table[byte as usize] = match char::from_u32(code) {
            Some(character) => character,
            None => panic!("all codes below U+0200 are characters"),
        };
        byte += 1;
    }
    table
}

/// The text that a token stands for; none when its bytes are no text by themselves or are written otherwise.
pub(crate) fn text(token: &str) -> Option<String> {
    let bytes = token.chars().map(|character| match character {
        '!'..='~' | '¡'..='¬' | '®'..='ÿ' => Some(character as u8),
        '\u{100}'..='\u{143}' => TABLE.iter().position(|known| *known == character).map(|byte| byte as u8),
        _ => None,
    });
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_a_character_of_its_own() {
        assert_eq!(TABLE[b' ' as usize], 'Ġ');
        assert_eq!(TABLE[b'\n' as usize], 'Ċ');
        assert_eq!(TABLE[0xAD], 'Ń');
        for text in ["", " the", "中 文\n", "\u{ad}\0~é"] {
            let token: String = text.bytes().map(|byte| TABLE[byte as usize]).collect();
            assert_eq!(super::text(&token).as_deref(), Some(text));
        }
        assert_eq!(super::text("é<中"), None);
        assert_eq!(super::text("ÿ"), None, "half a character is no text");
    }
}
