//! Values as other programs write them: times, rates, sizes, addresses, variables.

use std::time::Duration;

use tollhouse_units::Bytes;

/// `True`, `yes`, `on` and the like.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "enabled" => Some(true),
        "false" | "no" | "off" | "0" | "disabled" | "none" => Some(false),
        _ => None,
    }
}

/// A time such as `60`, `60s`, `1m30s`, `90 seconds`, `minute`; a number alone is in `unit`.
pub(super) fn time(text: &str, unit: Duration) -> Option<Duration> {
    let text = text.trim().to_lowercase();
    let mut rest = text.as_str();
    let mut whole = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u32 = if digits == 0 { 1 } else { rest[..digits].parse().ok()? };
        rest = rest[digits..].trim_start();
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let each = match &rest[..letters] {
            "" if digits > 0 => unit,
            "ms" | "millis" | "milliseconds" => Duration::from_millis(1),
            "s" | "sec" | "secs" | "second" | "seconds" => Duration::from_secs(1),
            "m" | "min" | "mins" | "minute" | "minutes" => Duration::from_mins(1),
            "h" | "hr" | "hour" | "hours" => Duration::from_hours(1),
            "d" | "day" | "days" => Duration::from_hours(24),
            _ => return None,
        };
        whole = whole.checked_add(each.checked_mul(number)?)?;
        rest = rest[letters..].trim_start();
    }
    (!whole.is_zero()).then_some(whole)
}

/// A rate such as `30/60s`, `30/m`, `30r/m`, `30 per minute`, `30 requests / 60`.
pub(super) fn rate(text: &str) -> Option<(u64, Duration)> {
    let text = text.trim().to_lowercase().replace(" per ", "/");
    let (most, per) = text.split_once('/')?;
    let digits = most.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let words = most[digits.len()..].trim();
    let most = digits.parse().ok().filter(|most| *most > 0)?;
    matches!(words, "" | "r" | "req" | "reqs" | "request" | "requests").then_some(())?;
    Some((most, time(per, Duration::from_secs(1))?))
}

/// A size such as `1048576`, `10MB`, `10mb`, `10M`; a number alone is in `unit` bytes.
pub(super) fn size(text: &str, unit: u64) -> Option<Bytes> {
    let text = text.trim();
    if let Ok(number) = text.parse::<u64>() {
        return number.checked_mul(unit).map(Bytes);
    }
    let upper = text.to_uppercase().replace(' ', "").replace("IB", "iB");
    let ways = [text.to_owned(), upper.clone(), format!("{upper}B")];
    ways.iter().find_map(|way| way.parse().ok())
}

/// The name of the variable that a value is taken from: `${NAME}`, `$NAME` or LiteLLM's `os.environ/NAME`.
pub(super) fn variable(text: &str) -> Option<&str> {
    let name = text.strip_prefix("os.environ/").or_else(|| {
        let rest = text.strip_prefix('$')?;
        let inner = rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(rest);
        Some(inner.split_once(":-").map_or(inner, |(name, _)| name))
    })?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then_some(name)
}

/// What a variable is where it is not set: the text behind `:-`.
pub(super) fn default_of(text: &str) -> Option<&str> {
    text.strip_prefix("${")?.strip_suffix('}')?.split_once(":-").map(|(_, default)| default)
}

/// Whether this begins as keys of well-known makers do.
pub(super) fn begins_like_key(text: &str) -> bool {
    ["sk-", "sk_", "pk-", "key-", "th_"].iter().any(|begin| text.starts_with(begin))
}

/// An address or a network as we write it, not yet checked; `None` where everybody is meant.
pub(super) fn network(text: &str) -> Option<String> {
    if matches!(text, "*" | "any" | "all" | "*.*.*.*") {
        return None;
    }
    if text == "localhost" {
        return Some("127.0.0.1".to_owned());
    }
    let labels: Vec<&str> = text.split('.').collect();
    let fixed = labels.iter().take_while(|label| **label != "*").count();
    let is_pattern = labels.len() == 4 && (1..4).contains(&fixed) && labels[fixed..].iter().all(|label| *label == "*");
    if !is_pattern {
        return Some(text.to_owned());
    }
    Some(format!("{}{}/{}", labels[..fixed].join("."), ".0".repeat(4 - fixed), fixed * 8))
}

/// An address to listen on, with why it is not the text itself.
pub(super) fn listen(text: &str) -> Result<(String, Option<&'static str>), String> {
    let bare = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    if bare.parse::<std::net::SocketAddr>().is_ok() {
        return Ok((bare.to_owned(), (bare != text).then_some("an address, not a URL")));
    }
    let (host, port) = bare.rsplit_once(':').unwrap_or(("", bare));
    let port: u16 = port.parse().map_err(|_| "it is not an address with a port".to_owned())?;
    match host {
        "localhost" => Ok((format!("127.0.0.1:{port}"), Some("localhost is 127.0.0.1"))),
        "" | "*" => Ok((format!("0.0.0.0:{port}"), Some("every address of this machine is 0.0.0.0"))),
        _ => Err("the host must be an IP address, such as 127.0.0.1 or 0.0.0.0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn times() {
        for (text, seconds) in
            [("60", 60), ("60s", 60), ("1m30s", 90), ("90 seconds", 90), ("Minute", 60), ("2h", 7200), ("1d", 86400)]
        {
            assert_eq!(time(text, S), Some(S * seconds), "{text}");
        }
        for text in ["", "0", "soon", "-1", "1.5s", "99999999999", "5 parsecs"] {
            assert_eq!(time(text, S), None, "{text}");
        }
        assert_eq!(time("1500", Duration::from_millis(1)), Some(Duration::from_millis(1500)));
    }

    #[test]
    fn rates() {
        for text in ["30/60s", "30/60", "30/m", "30r/m", "30 per minute", "30 requests per 60 seconds", "30/1min"] {
            assert_eq!(rate(text), Some((30, S * 60)), "{text}");
        }
        for text in ["30", "0/60s", "a/60s", "30/", "30 apples/60s"] {
            assert_eq!(rate(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_and_variables() {
        for text in ["10000000", "10MB", "10mb", "10M", "10 MB"] {
            assert_eq!(size(text, 1), Some(Bytes(10_000_000)), "{text}");
        }
        assert_eq!(size("100", 1 << 20), Some(Bytes(100 << 20)));
        for text in ["${A_B}", "$A_B", "os.environ/A_B", "${A_B:-x}"] {
            assert_eq!(variable(text), Some("A_B"), "{text}");
        }
        for text in ["A", "$", "${}", "$1", "sk-$A", "os.environ/"] {
            assert_eq!(variable(text), None, "{text}");
        }
    }

    #[test]
    fn networks() {
        for (text, ours) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("localhost", Some("127.0.0.1")),
            ("192.168.1.*", Some("192.168.1.0/24")),
            ("10.*.*.*", Some("10.0.0.0/8")),
            ("10.*.1.*", Some("10.*.1.*")),
            ("*", None),
        ] {
            assert_eq!(network(text).as_deref(), ours, "{text}");
        }
        assert_eq!(default_of("${A:-b:-c}"), Some("b:-c"));
        assert_eq!(default_of("${A}"), None);
    }

    #[test]
    fn addresses() {
        for (text, address) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("localhost:8080", "127.0.0.1:8080"),
            (":8080", "0.0.0.0:8080"),
            ("8080", "0.0.0.0:8080"),
            ("http://0.0.0.0:8080/", "0.0.0.0:8080"),
            ("[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(listen(text).map(|(address, _)| address).as_deref(), Ok(address), "{text}");
        }
        assert!(listen("gate.example.com:80").is_err() && listen("soon").is_err());
    }
}
