//! Mail: text and HTML in one, in one thread with the mail that it goes on from.
//!
//! The server's name is resolved here, and the connection goes to the address that was looked at. A receiver that the server
//! refuses does not keep the others from getting it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message as Mail, Tokio1Executor};
use tokio::time::timeout;
use tollhouse_outbound::{is_forbidden, resolve};
use tollhouse_units::chain;
use tollhouse_web::pem;

use crate::chart::Chart;
use crate::error::{Delivered, NotifyError, Trouble};
use crate::message::Message;
use crate::settings::{Encryption, SmtpServer};
use crate::text::{html, plain};

/// How long each step of the conversation may take.
const STEP_TIME_MAX: Duration = Duration::from_secs(20);
/// How long all of it may take, over all addresses and receivers.
const WHOLE_TIME_MAX: Duration = Duration::from_secs(90);
/// By which the HTML of a mail names its picture.
const CHART_ID: &str = "chart";
/// The server wants us to log in, or otherwise: the settings are wrong, and the mail is as good as before once they are right
/// (RFC 4954, section 6).
const LOGIN_CODES: [&str; 4] = ["530", "534", "535", "538"];

/// A mail server and those who get mail by it.
pub(super) struct Smtp {
    server: SmtpServer,
    from: Mailbox,
    to: Vec<Mailbox>,
    tls: Option<TlsParameters>,
}

impl Smtp {
    /// Reads certificates, so it blocks.
    pub(super) fn new(server: SmtpServer, from: &str, to: &[String]) -> Result<Self, NotifyError> {
        if server.encryption == Encryption::Plain && server.login.is_some() && !is_loopback(&server.host) {
            return Err(NotifyError::Exposed);
        }
        let literal = server.host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if literal.is_ok_and(is_forbidden) {
            return Err(NotifyError::Address(
                "nothing is sent to link-local addresses and metadata services".to_owned(),
            ));
        }
        let tls = match server.encryption {
            Encryption::Plain => None,
            Encryption::Implicit | Encryption::StartTls => Some(tls(&server)?),
        };
        let to = to.iter().map(|text| mailbox(text)).collect::<Result<_, _>>()?;
        Ok(Self { from: mailbox(from)?, to, server, tls })
    }

    pub(super) async fn send(&self, message: &Message) -> Result<Delivered, Trouble> {
        match timeout(WHOLE_TIME_MAX, self.send_to_all(message)).await {
            Ok(result) => result,
            Err(_) => Err(self.passing(&format!("not done within {WHOLE_TIME_MAX:?}"))),
        }
    }

    async fn send_to_all(&self, message: &Message) -> Result<Delivered, Trouble> {
        let (host, port) = (self.server.host.as_str(), self.server.port);
        let addresses = resolve(host, port).await.map_err(|error| self.passing(&error.to_string()))?;
        let everybody: Vec<&Mailbox> = self.to.iter().collect();
        let error = match self.send_to(&addresses, message, &everybody).await {
            Ok(()) => return Ok(Delivered::default()),
            Err(error) => error,
        };
        if error.status().is_none() || everybody.len() == 1 {
            return Err(self.trouble(&error));
        }
        // One of them was refused, and with that the whole: each by itself, then.
        let mut refused = Vec::new();
        let mut last = error;
        for receiver in &everybody {
            if let Err(error) = self.send_to(&addresses, message, &[receiver]).await {
                refused.push(format!("{}: {}", receiver.email, chain(&error)));
                last = error;
            }
        }
        if refused.len() == everybody.len() { Err(self.trouble(&last)) } else { Ok(Delivered { refused }) }
    }

    /// Tries the addresses one after the other until a server answers.
    async fn send_to(&self, addresses: &[SocketAddr], message: &Message, to: &[&Mailbox]) -> Result<(), SmtpError> {
        let envelope: Vec<Address> = to.iter().map(|mailbox| mailbox.email.clone()).collect();
        let mail = self.mail(message).formatted();
        let envelope = lettre::address::Envelope::new(Some(self.from.email.clone()), envelope)
            .expect("there is a receiver: an empty list is refused by the configuration");
        let mut result = Ok(());
        for address in addresses {
            result = self.transport(*address).send_raw(&envelope, &mail).await.map(|_| ());
            // A server that answers has said what it thinks of it.
            if result.as_ref().is_ok_and(|()| true) || result.as_ref().is_err_and(|error| error.status().is_some()) {
                break;
            }
        }
        result
    }

    fn transport(&self, address: SocketAddr) -> AsyncSmtpTransport<Tokio1Executor> {
        let tls = match (&self.tls, self.server.encryption) {
            (Some(tls), Encryption::Implicit) => Tls::Wrapper(tls.clone()),
            (Some(tls), _) => Tls::Required(tls.clone()),
            (None, _) => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string())
            .port(address.port())
            .tls(tls)
            .timeout(Some(STEP_TIME_MAX));
        if let Some(login) = &self.server.login {
            builder = builder.credentials(Credentials::new(login.user.clone(), login.password.clone()));
        }
        builder.build()
    }

    /// The mail for a message.
    pub(super) fn mail(&self, message: &Message) -> Mail {
        let mut builder = Mail::builder()
            .from(self.from.clone())
            .subject(message.headline())
            .date(message.at().into())
            .message_id(Some(self.message_id(&message.id)))
            .user_agent("tollhouse".to_owned())
            .header(AutoSubmitted);
        for receiver in &self.to {
            builder = builder.to(receiver.clone());
        }
        let thread: Vec<String> = message.thread.iter().map(|id| self.message_id(id)).collect();
        if let Some(last) = thread.last() {
            builder = builder.in_reply_to(last.clone()).references(thread.join(" "));
        }
        builder.multipart(body(message)).expect("a sender and at least one receiver are there")
    }

    fn message_id(&self, id: &str) -> String {
        format!("<{id}@{}>", self.from.email.domain())
    }

    fn passing(&self, what: &str) -> Trouble {
        Trouble::passing(format!("{}:{}: {what}", self.server.host, self.server.port))
    }

    fn trouble(&self, error: &SmtpError) -> Trouble {
        let mut text = chain(error);
        if let Some(login) = &self.server.login {
            text = text.replace(&login.password, "***");
        }
        let is_login = error.status().is_some_and(|code| LOGIN_CODES.contains(&code.to_string().as_str()));
        Trouble { is_retryable: !error.is_permanent() || is_login, ..self.passing(&text) }
    }
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("server", &self.server).field("to", &self.to).finish_non_exhaustive()
    }
}

/// Text and HTML; with the picture of the chart in the HTML's own part (RFC 2387), so that nothing is loaded from elsewhere.
fn body(message: &Message) -> MultiPart {
    let Some(picture) = message.chart.as_ref().and_then(Chart::png) else {
        return MultiPart::alternative_plain_html(plain(message), html(message, None));
    };
    let page = SinglePart::html(html(message, Some(&format!("cid:{CHART_ID}"))));
    let picture = Attachment::new_inline(CHART_ID.to_owned())
        .body(picture, ContentType::parse("image/png").expect("a content type"));
    MultiPart::alternative()
        .singlepart(SinglePart::plain(plain(message)))
        .multipart(MultiPart::related().singlepart(page).singlepart(picture))
}

/// Written by a program: no answer of a vacation notice is wanted (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl lettre::message::header::Header for AutoSubmitted {
    fn name() -> lettre::message::header::HeaderName {
        lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> lettre::message::header::HeaderValue {
        lettre::message::header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

fn mailbox(text: &str) -> Result<Mailbox, NotifyError> {
    text.parse().map_err(|source| NotifyError::Mailbox { text: text.to_owned(), source })
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn tls(server: &SmtpServer) -> Result<TlsParameters, NotifyError> {
    let mut builder = TlsParameters::builder(server.host.clone());
    if let Some(path) = &server.ca {
        builder = builder.certificate_store(CertificateStore::None);
        for certificate in authorities(path)? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(NotifyError::Tls)
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, NotifyError> {
    let unfit = |why: String| NotifyError::Authorities { path: path.to_owned(), why };
    let mut found = Vec::new();
    for certificate in pem::certificates(path).map_err(|error| unfit(error.why))? {
        found.push(Certificate::from_der(certificate.to_vec()).map_err(|error| unfit(error.to_string()))?);
    }
    if found.is_empty() {
        return Err(unfit("there is no certificate in it".to_owned()));
    }
    Ok(found)
}
