//! What goes over the wire, byte by byte, and what answers mean, against scripted peers.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;
use crate::message::{Figure, Phase, Severity};
use crate::settings::{Encryption, Login, SmtpServer, Url};

/// A message with all that a message can have.
pub(crate) fn message() -> Message {
    Message {
        id: "i1-f".into(),
        thread: vec![],
        rule: "slow-model".into(),
        severity: Severity::Critical,
        state: Phase::Firing,
        title: "\"quoted\" <b> 模型 is slow".into(),
        text: "5 records of the last 5m\nmodel_name: qwen3:32b".into(),
        figures: vec![
            Figure { name: "requests".into(), value: "5".into() },
            Figure { name: "limit".into(), value: ">= 5".into() },
        ],
        worst: vec!["9000 ms · req_1 & more".into()],
        link: Some("https://ai.example.com/requests?q=duration_ms%3A%3E5000".into()),
        title_told: Vec::new(),
        text_told: Vec::new(),
        timeline: Vec::new(),
        tables: Vec::new(),
        chart: None,
        acknowledge: Some("https://gate.example.com/console/link/1.a.b".into()),
        runbook: Some("Look at `ollama ps`.".into()),
        service: "gate".into(),
        at_ms: "2026-01-27T08:00:00Z".parse::<Timestamp>().unwrap().as_millisecond(),
    }
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn services() -> Vec<(&'static str, Box<dyn Service>)> {
    let hook = || url("https://hooks.example.com/services/T0/B0/geheim");
    let form = json!({"summary": "{{headline}}", "severity": "{{severity}}", "figures": "{{figures}}"});
    vec![
        ("webhook", Box::new(webhook::Webhook::new(hook(), Some("s3".into()), None).unwrap())),
        ("webhook-form", Box::new(webhook::Webhook::new(hook(), None, Some(form)).unwrap())),
        ("slack", Box::new(slack::Slack { url: hook() })),
        (
            "dingtalk",
            Box::new(dingtalk::DingTalk {
                url: url("https://oapi.dingtalk.com/robot/send?access_token=t"),
                secret: Some("SEC1".into()),
            }),
        ),
        ("feishu", Box::new(feishu::Feishu { url: hook(), secret: Some("f1".into()) })),
        ("wecom", Box::new(wecom::WeCom { url: url("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k") })),
        (
            "telegram",
            Box::new(telegram::Telegram {
                url: url("https://api.telegram.org"),
                token: "1:a".into(),
                chat: "-100".into(),
            }),
        ),
        ("ntfy", Box::new(ntfy::Ntfy::new(&url("https://ntfy.sh/my-topic"), Some("tk_1".into())).unwrap())),
    ]
}

/// `TOLLHOUSE_BLESS=1` writes the files anew; look at the difference before you keep it.
#[test]
fn requests_are_as_the_services_want_them() {
    let now = "2026-01-27T08:00:01.5Z".parse().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/channel/golden");
    for (name, service) in services() {
        let Outgoing { url, headers, body } = service.outgoing(&message(), now);
        let body: Value = serde_json::from_slice(&body).unwrap();
        let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let text = format!("POST {url}\n{}\n{body:#}\n", headers.concat());
        let file = folder.join(format!("{name}.txt"));
        if std::env::var_os("TOLLHOUSE_BLESS").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(&file).unwrap_or_default(), "{name}");
    }
}

/// Answers every request with one text; gives the requests.
async fn peer(answers: Vec<String>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            loop {
                let mut buffer = [0; 4096];
                let read = stream.read(&mut buffer).await.unwrap();
                request.extend_from_slice(&buffer[..read]);
                let text = String::from_utf8_lossy(&request);
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                    break;
                }
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            asked.push(String::from_utf8(request).unwrap());
        }
        asked
    });
    (base, task)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}", body.len())
}

/// How a channel is made for an address, what is answered there, and the trouble that this means.
type Case = (Box<dyn Fn(&str) -> Settings>, String, Option<(bool, Option<u64>)>);

#[tokio::test]
async fn answers_mean_what_the_services_mean_by_them() {
    let slack = |base: &str| Settings::Slack { url: url(&format!("{base}/services/geheim")) };
    let dingtalk = |base: &str| Settings::DingTalk { url: url(&format!("{base}/?access_token=geheim")), secret: None };
    let feishu = |base: &str| Settings::Feishu { url: url(&format!("{base}/hook/geheim")), secret: None };
    let telegram = |base: &str| Settings::Telegram { url: url(base), token: "geheim".into(), chat: "@c".into() };
    let cases: Vec<Case> = vec![
        (Box::new(slack), answer("200 OK", "", "ok"), None),
        (Box::new(slack), answer("404 Not Found", "", "no_team services/geheim"), Some((false, None))),
        (Box::new(slack), answer("429 Too Many", "retry-after: 7\r\n", ""), Some((true, Some(7)))),
        (Box::new(slack), answer("503 Away", "", ""), Some((true, None))),
        (Box::new(slack), answer("302 Found", "location: http://169.254.169.254/\r\n", ""), Some((false, None))),
        (Box::new(dingtalk), answer("200 OK", "", r#"{"errcode":0}"#), None),
        (Box::new(dingtalk), answer("200 OK", "", r#"{"errcode":310000,"errmsg":"sign"}"#), Some((false, None))),
        (Box::new(dingtalk), answer("200 OK", "", r#"{"errcode":130101}"#), Some((true, None))),
        (Box::new(feishu), answer("200 OK", "", r#"{"code":0}"#), None),
        (Box::new(feishu), answer("200 OK", "", r#"{"StatusCode":0}"#), None),
        (Box::new(feishu), answer("200 OK", "", "<html>"), Some((true, None))),
        (
            Box::new(telegram),
            answer("429 Too Many", "", r#"{"ok":false,"parameters":{"retry_after":3}}"#),
            Some((true, Some(3))),
        ),
    ];
    for (settings, answer, expected) in cases {
        let (base, task) = peer(vec![answer.clone()]).await;
        let channel = Channel::new("c", settings(&base)).unwrap();
        let result = channel.send(&message()).await;
        let told = result.err();
        let found = told.as_ref().map(|told| (told.is_retryable, told.retry_after.map(|wait| wait.as_secs())));
        assert_eq!(found, expected, "{answer}");
        assert!(told.is_none_or(|told| !told.text.contains("geheim")), "{answer}");
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_no_reason_to_give_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/geheim", listener.local_addr().unwrap());
    drop(listener);
    let channel = Channel::new("c", Settings::Slack { url: url(&base) }).unwrap();
    let trouble = channel.send(&message()).await.unwrap_err();
    assert!(trouble.is_retryable && !trouble.text.contains("geheim"), "{trouble:?}");
}

/// Speaks SMTP as its script says: for a command that begins so, that answer. With `tls`, STARTTLS is offered. Gives what
/// it heard, in the clear and encrypted.
async fn mail_server(
    script: Vec<(&'static str, &'static str)>,
    sessions: usize,
    tls: Option<TlsAcceptor>,
) -> (u16, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let mut heard = Vec::new();
        for _ in 0..sessions {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"220 scripted\r\n").await.unwrap();
            let mut stream = BufReader::new(stream);
            if converse(&mut stream, &script, tls.is_some(), &mut heard).await
                && let Some(tls) = &tls
                && let Ok(stream) = tls.accept(stream.into_inner()).await
            {
                heard.push("(encrypted)".to_owned());
                converse(&mut BufReader::new(stream), &script, false, &mut heard).await;
            }
        }
        heard
    });
    (port, task)
}

/// One conversation; whether it is to go on encrypted.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    script: &[(&'static str, &'static str)],
    offers_tls: bool,
    heard: &mut Vec<String>,
) -> bool {
    let mut in_data = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return false;
        }
        let line = line.trim_end().to_owned();
        heard.push(line.clone());
        let found = script.iter().find(|(command, _)| line.starts_with(command));
        let answer = match (in_data, line.as_str()) {
            (true, ".") => {
                in_data = false;
                "250 taken"
            }
            (true, _) => continue,
            (false, _) if found.is_some() => found.map_or("", |(_, answer)| answer),
            (false, "DATA") => {
                in_data = true;
                "354 go on"
            }
            (false, line) if line.starts_with("EHLO") && offers_tls => "250-scripted\r\n250 STARTTLS",
            (false, line) if line.starts_with("EHLO") => "250-scripted\r\n250 AUTH PLAIN",
            (false, _) => "250 ok",
        };
        if stream.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
            return false;
        }
        if line == "STARTTLS" {
            return true;
        }
    }
}

fn mail_settings(port: u16, encryption: Encryption, login: bool, to: &[&str]) -> Settings {
    let login = login.then(|| Login { user: "ops".into(), password: "geheim".into() });
    Settings::Smtp {
        server: SmtpServer { host: "127.0.0.1".into(), port, encryption, login, ca: None },
        from: "Gate <tollhouse@example.com>".into(),
        to: to.iter().map(|&to| to.to_owned()).collect(),
    }
}

#[tokio::test]
async fn a_mail_has_its_thread_its_texts_and_its_login() {
    let (port, task) = mail_server(vec![("AUTH", "235 welcome")], 1, None).await;
    let channel = Channel::new("ops", mail_settings(port, Encryption::Plain, true, &["ops@example.com"])).unwrap();
    let message = Message { id: "i1-r".into(), thread: vec!["i1-f".into()], state: Phase::Resolved, ..message() };
    assert_eq!(channel.send(&message).await.unwrap(), Delivered::default());
    let heard = task.await.unwrap().join("\n");
    for part in [
        "AUTH PLAIN",
        "MAIL FROM:<tollhouse@example.com>",
        "RCPT TO:<ops@example.com>",
        "Message-ID: <i1-r@example.com>",
        "In-Reply-To: <i1-f@example.com>",
        "References: <i1-f@example.com>",
        "Auto-Submitted: auto-generated",
        "Content-Type: multipart/alternative",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Type: text/html; charset=utf-8",
        "Date: Tue, 27 Jan 2026 08:00:00 +0000",
    ] {
        assert!(heard.contains(part), "{part}: {heard}");
    }
}

#[tokio::test]
async fn refusals_of_a_mail_server_are_told_apart() {
    let cases = [
        (vec![("MAIL", "451 later")], true),
        (vec![("MAIL", "550 never")], false),
        (vec![("AUTH", "535 wrong geheim")], true),
        (vec![("DATA", "554 spam")], false),
    ];
    for (script, is_retryable) in cases {
        let (port, _task) = mail_server(script.clone(), 1, None).await;
        let settings = mail_settings(port, Encryption::Plain, true, &["ops@example.com"]);
        let trouble = Channel::new("ops", settings).unwrap().send(&message()).await.unwrap_err();
        assert_eq!(trouble.is_retryable, is_retryable, "{script:?}: {trouble:?}");
        assert!(!trouble.text.contains("geheim"), "{trouble:?}");
    }
}

#[tokio::test]
async fn one_refused_receiver_does_not_keep_it_from_the_others() {
    let script = vec![("RCPT TO:<gone@example.com>", "550 unknown")];
    let (port, task) = mail_server(script, 3, None).await;
    let to = ["ops@example.com", "gone@example.com"];
    let delivered = Channel::new("ops", mail_settings(port, Encryption::Plain, false, &to))
        .unwrap()
        .send(&message())
        .await
        .unwrap();
    assert_eq!(delivered.refused.len(), 1);
    assert!(delivered.refused[0].starts_with("gone@example.com: "), "{delivered:?}");
    let heard = task.await.unwrap();
    assert_eq!(heard.iter().filter(|line| *line == ".").count(), 1, "one mail was taken: {heard:?}");
}

#[tokio::test]
async fn nothing_is_said_without_the_encryption_that_was_asked_for() {
    let (port, task) = mail_server(vec![], 1, None).await;
    let settings = mail_settings(port, Encryption::StartTls, true, &["ops@example.com"]);
    let trouble = Channel::new("ops", settings).unwrap().send(&message()).await.unwrap_err();
    let heard = task.await.unwrap().join("\n");
    assert!(!heard.contains("AUTH") && !heard.contains("MAIL"), "{heard}");
    assert!(trouble.is_retryable, "{trouble:?}");
}

#[tokio::test]
async fn a_password_is_told_only_once_the_server_has_shown_who_it_is() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, made.cert.pem()).unwrap();

    for is_known in [true, false] {
        let (port, task) = mail_server(vec![("AUTH", "235 welcome")], 1, Some(acceptor.clone())).await;
        let Settings::Smtp { mut server, from, to } =
            mail_settings(port, Encryption::StartTls, true, &["ops@example.com"])
        else {
            unreachable!()
        };
        server.ca = is_known.then(|| file.clone());
        let sent = Channel::new("ops", Settings::Smtp { server, from, to }).unwrap().send(&message()).await;
        assert_eq!(sent.is_ok(), is_known, "{sent:?}");
        let heard = task.await.unwrap();
        let encrypted = heard.iter().position(|line| line == "(encrypted)").unwrap_or(heard.len());
        assert!(heard[..encrypted].iter().all(|line| line.starts_with("EHLO") || line == "STARTTLS"), "{heard:?}");
        assert_eq!(heard.iter().any(|line| line.starts_with("AUTH")), is_known);
    }
}

#[test]
fn settings_that_would_give_something_away_are_refused() {
    let Settings::Smtp { mut server, from, to } = mail_settings(25, Encryption::Plain, true, &["ops@example.com"])
    else {
        unreachable!()
    };
    server.host = "mail.example.com".into();
    let settings = Settings::Smtp { server: server.clone(), from: from.clone(), to: to.clone() };
    assert!(matches!(Channel::new("ops", settings), Err(NotifyError::Exposed)));
    server.host = "169.254.169.254".into();
    server.login = None;
    assert!(matches!(Channel::new("ops", Settings::Smtp { server, from, to }), Err(NotifyError::Address(_))));
    let settings = mail_settings(25, Encryption::Plain, false, &["nobody"]);
    assert!(matches!(Channel::new("ops", settings), Err(NotifyError::Mailbox { .. })));
}
