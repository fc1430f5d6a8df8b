//! Takes keys, mail addresses, telephone numbers, identity and card numbers out of texts.
//!
//! A value is found by its form, and where the form has a check digit (cards, Chinese identity numbers, IBAN) by that too,
//! so that order numbers and times stay. In its place stands its kind: `[email]`. What is spelt out in words, split over
//! several messages, or known only from what it means (a name, an address) is not found: this makes leaks rarer, it does
//! not make texts anonymous.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// A kind of value: its name, the form it has, and what else must be true of it.
struct Kind {
    name: &'static str,
    form: Regex,
    /// Whether a text of this form is such a value.
    is_one: fn(&str) -> bool,
}

/// A name, a regular expression, and what else must be true.
type Form = (&'static str, &'static str, fn(&str) -> bool);

/// Takes values out by these kinds, in this order: what a kind replaced, the next ones do not see.
pub struct Redactor {
    kinds: Vec<Kind>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.kinds.iter().map(|kind| kind.name)).finish()
    }
}

static BUILT_IN: LazyLock<Redactor> = LazyLock::new(Redactor::new);

/// Edges of ASCII words: letters of Chinese and others may stand right beside a number.
macro_rules! word {
    ($form:literal) => {
        concat!(r"(?-u:\b)(?:", $form, r")(?-u:\b)")
    };
}

impl Redactor {
    /// The one with all kinds that are known here.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    fn new() -> Self {
        let any = |_: &str| true;
        let kinds: [Form; 12] = [
            (
                "private_key",
                r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)",
                any,
            ),
            // user:password@ in an address
            ("password", r"(?-u:\b)[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{1,128}:(?P<value>[^\s/@]{1,256})@", any),
            (
                "key",
                word!(
                    r"sk-[A-Za-z0-9_-]{16,}|th_[A-Za-z0-9]+_[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{20,}|xox[abeprs]-[A-Za-z0-9-]{10,}|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[A-Za-z0-9_-]{35}|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}|[rs]k_(?:live|test)_[A-Za-z0-9]{16,}|LTAI[A-Za-z0-9]{12,24}|AKID[A-Za-z0-9]{13,40}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
                ),
                any,
            ),
            ("key", r"(?i:bearer|basic)\s+(?P<value>[A-Za-z0-9._~+/-]{16,}=*)", any),
            (
                "password",
                r#"(?i:(?-u:\b)(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?key|auth[_-]?token)|密码|口令|密钥)["']?\s*(?:[:=：＝]|是|为)\s*["']?(?P<value>[^\s"',;，；。]{4,256})"#,
                |value| !value.starts_with('['),
            ),
            ("email", r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?-u:\b)", any),
            (
                "id_number",
                word!(r"\d{6}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]"),
                is_chinese_id,
            ),
            // Hong Kong's, and the United States' social security number.
            ("id_number", r"(?-u:\b)[A-Z]{1,2}\d{6}[(（][0-9A][)）]", is_hong_kong_id),
            ("id_number", word!(r"\d{3}-\d{2}-\d{4}"), is_social_security),
            ("iban", word!(r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?"), is_iban),
            ("card", word!(r"\d(?:[ -]?\d){12,18}"), is_card),
            (
                "phone",
                r"(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){1,4}|(?-u:\b)(?:86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}|(?-u:\b)0\d{2,3}[ -]\d{7,8}|\(\d{3}\) ?\d{3}[ .-]\d{4}|(?-u:\b)\d{3}[.-]\d{3}[.-]\d{4})(?-u:\b)",
                is_phone,
            ),
        ];
        let kind = |(name, form, is_one)| Kind { name, form: Regex::new(form).expect("a form is right"), is_one };
        Self { kinds: kinds.map(kind).into() }
    }

    /// Takes all values out of `text`, and counts them by kind.
    pub fn redact(&self, text: &mut String, counts: &mut BTreeMap<String, usize>) {
        if text.contains(is_wide_digit) {
            *text = text.chars().map(narrow).collect();
        }
        for kind in &self.kinds {
            let mut found = 0;
            let replaced = kind.form.replace_all(text, |captures: &Captures<'_>| {
                let whole = captures.get(0).expect("a match has a whole");
                let value = captures.name("value").unwrap_or(whole);
                if !(kind.is_one)(value.as_str()) {
                    return whole.as_str().to_owned();
                }
                found += 1;
                let (before, after) = (value.start() - whole.start(), value.end() - whole.start());
                format!("{}[{}]{}", &whole.as_str()[..before], kind.name, &whole.as_str()[after..])
            });
            if found > 0 {
                *text = replaced.into_owned();
                *counts.entry(kind.name.to_owned()).or_default() += found;
            }
        }
    }
}

/// Digits as wide as Chinese characters (U+FF10 to U+FF19).
fn is_wide_digit(character: char) -> bool {
    matches!(character, '０'..='９')
}

fn narrow(character: char) -> char {
    if is_wide_digit(character) { char::from(b'0' + (character as u32 - '０' as u32) as u8) } else { character }
}

fn digits(text: &str) -> impl DoubleEndedIterator<Item = u32> {
    text.chars().filter_map(|character| character.to_digit(10))
}

/// ISO/IEC 7812-1, annex B: the sum of all digits, every second one from the right doubled, ends with 0.
fn is_card(text: &str) -> bool {
    let sum: u32 = digits(text)
        .rev()
        .enumerate()
        .map(|(at, digit)| if at % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { digit })
        .sum();
    let first = digits(text).next();
    // Of banks, and not all the same digit.
    sum.is_multiple_of(10) && matches!(first, Some(2..=6)) && digits(text).any(|digit| Some(digit) != first)
}

/// GB 11643-1999: the last character makes the weighted sum 1 modulo 11.
fn is_chinese_id(text: &str) -> bool {
    const WEIGHTS: [u32; 18] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2, 1];
    let value = |character: char| if matches!(character, 'X' | 'x') { Some(10) } else { character.to_digit(10) };
    let sum: u32 = text.chars().filter_map(value).zip(WEIGHTS).map(|(digit, weight)| digit * weight).sum();
    sum % 11 == 1
}

/// The Hong Kong identity card: letters count from A = 10, a missing first one 36; the weighted sum is 0 modulo 11.
fn is_hong_kong_id(text: &str) -> bool {
    let body: Vec<u32> = text.chars().filter(char::is_ascii_alphanumeric).filter_map(|it| it.to_digit(36)).collect();
    let missing = if body.len() == 8 { vec![36] } else { Vec::new() };
    let sum: u32 = missing.into_iter().chain(body).zip((1..=9).rev()).map(|(value, weight)| value * weight).sum();
    sum.is_multiple_of(11)
}

/// Which numbers were never given out (Social Security Administration, 2011).
fn is_social_security(text: &str) -> bool {
    let never = ["000", "666", "9"].iter().any(|start| text.starts_with(start)) || text.ends_with("-0000");
    !never && !text.contains("-00-")
}

/// ISO 13616: with the first four characters at the end and letters as numbers, 1 modulo 97.
fn is_iban(text: &str) -> bool {
    let plain: Vec<char> = text.chars().filter(|character| *character != ' ').collect();
    if !(15..=34).contains(&plain.len()) {
        return false;
    }
    let rest = plain[4..].iter().chain(&plain[..4]).try_fold(0_u32, |rest, character| {
        let value = character.to_digit(36)?;
        Some((rest * if value > 9 { 100 } else { 10 } + value) % 97)
    });
    rest == Some(1)
}

/// ITU-T E.164: at most 15 digits with the country's. Fewer than 8 are hardly anybody's.
fn is_phone(text: &str) -> bool {
    (8..=15).contains(&digits(text).count())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redacted(text: &str) -> String {
        let mut text = text.to_owned();
        Redactor::built_in().redact(&mut text, &mut BTreeMap::new());
        text
    }

    #[test]
    fn values_are_taken_out() {
        for (text, expected) in [
            ("write to zhang.san+x@mail.example.com.cn, please", "write to [email], please"),
            ("我的邮箱是zhang@qq.com。", "我的邮箱是[email]。"),
            ("电话13812345678，谢谢", "电话[phone]，谢谢"),
            ("+86 138-1234-5678 or 86 13812345678", "[phone] or [phone]"),
            ("手机：１３８１２３４５６７８", "手机：[phone]"),
            ("座机010-62345678", "座机[phone]"),
            ("call +49 30 1234567 or (212) 555-0187 or 212-555-0187", "call [phone] or [phone] or [phone]"),
            ("身份证11010519491231002X好", "身份证[id_number]好"),
            ("身份证号 440524188001010014", "身份证号 [id_number]"),
            ("HKID A123456(3) and AB987654(3)", "HKID [id_number] and [id_number]"),
            ("ssn 078-05-1120", "ssn [id_number]"),
            ("卡号6222 0212 3456 7890 128", "卡号[card]"),
            ("card 4111 1111 1111 1111 and 5500-0000-0000-0004", "card [card] and [card]"),
            ("GB82 WEST 1234 5698 7654 32 and DE89370400440532013000", "[iban] and [iban]"),
            ("key sk-abcdefghijklmnopqrst, th_3kX9_abcdefghijklmnopqrstu", "key [key], [key]"),
            ("AKIAIOSFODNN7EXAMPLE LTAI4FoLegAlidation1", "[key] [key]"),
            ("Authorization: Bearer abcdefghijklmnop.qrstuv", "Authorization: Bearer [key]"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP", "[key]"),
            ("postgres://app:hunter2@db/x", "postgres://app:[password]@db/x"),
            ("password: hunter2, next", "password: [password], next"),
            (r#"{"api_key": "0123456789"}"#, r#"{"api_key": "[password]"}"#),
            ("密码是abc12345。", "密码是[password]。"),
            ("-----BEGIN RSA PRIVATE KEY-----\nMII\nx==\n-----END RSA PRIVATE KEY-----\nend", "[private_key]\nend"),
            ("-----BEGIN PRIVATE KEY-----\ncut off", "[private_key]"),
        ] {
            assert_eq!(redacted(text), expected, "{text}");
        }
    }

    #[test]
    fn other_numbers_stay() {
        for text in [
            "at 2026-01-27T10:20:30.456Z the 1769509230456 th",
            "order 1234567890123456, version 1.2.3-4567",
            "卡号6222 0212 3456 7890 127",
            "pi is 3.14159265358979",
            "0000000000000000 and 1111111111111111",
            "id 110105194912310021",
            "10.0.0.1:18789 and 192.168.100.200",
            "sk-short and AKIA",
            "the password is easy to guess; a secret garden",
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "a @ b, @user, user@host",
            "x = 000-12-3456",
        ] {
            assert_eq!(redacted(text), text);
        }
    }

    proptest! {
        #[test]
        fn what_was_redacted_once_stays(text in "[a-z0-9@ .+:()X中文-]{0,80}") {
            let once = redacted(&text);
            prop_assert_eq!(redacted(&once), once);
        }

        #[test]
        fn a_card_is_found_in_any_company(digits in proptest::collection::vec(0_u32..10, 14), before in "[中文，：a]{0,3}") {
            let mut number = format!("4{}", digits.iter().map(u32::to_string).collect::<String>());
            let check = (0..10).find(|check| is_card(&format!("{number}{check}")));
            prop_assume!(check.is_some());
            number += &check.unwrap().to_string();
            // A letter right before it makes it a part of a word.
            prop_assume!(!before.ends_with('a'));
            let told = redacted(&format!("{before}{number}。"));
            prop_assert!(!told.contains(&number), "{}", told);
        }
    }
}
