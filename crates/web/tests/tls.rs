//! Requests through TLS: both protocols, and nothing that is not encrypted.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{HeaderValue, SERVER};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tollhouse_web::{Proxied, ServeOptions, Server, text};

const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\nhi";

fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let cert = CertificateDer::from(cert);
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![cert.clone()], key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert).unwrap();
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    (Arc::new(server), Arc::new(client.with_root_certificates(roots).with_no_client_auth()))
}

/// What a client reads until the connection ends or `end` has come.
async fn read_until(stream: &mut (impl tokio::io::AsyncRead + Unpin), end: &str) -> String {
    let mut answer = Vec::new();
    let mut piece = [0; 1_024];
    while !answer.ends_with(end.as_bytes()) {
        let read = stream.read(&mut piece).await.unwrap_or(0);
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&piece[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_trusted_proxy_says_in_front_of_tls_whose_a_connection_is() {
    let (server, client) = configs();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let trusted = vec!["127.0.0.1/32".parse().unwrap()];
    let options = ServeOptions { tls: Some(server), trusted, ..ServeOptions::default() };
    let serving =
        Server::new(options, |_, peer| async move { Ok(text(StatusCode::OK, format!("hello {}", peer.0.ip()))) });
    let listening = serving.listen(listener, Proxied::Yes);
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x09\x7f\0\0\x01\x12\x34\x01\xbb";
    for (header, said) in
        [(&b"PROXY TCP4 192.0.2.7 127.0.0.1 1234 443\r\n"[..], "hello 192.0.2.7"), (v2, "hello 192.0.2.9")]
    {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(header).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(client.clone()).connect(name, stream).await.unwrap();
        stream.write_all(REQUEST).await.unwrap();
        let answer = read_until(&mut stream, said).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(said), "{answer}");
    }
    // Without one nobody is served.
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    assert!(TlsConnector::from(client).connect(name, stream).await.is_err());
    listening.stop().await;
}

#[tokio::test]
async fn what_is_refused_has_the_headers_of_the_name_that_it_came_for() {
    let (server, client) = configs();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = ServeOptions { tls: Some(server), ..ServeOptions::default() };
    let serving = Server::with_refusals_dressed(
        options,
        |_, _| async { Ok(text(StatusCode::OK, "hello")) },
        |_, _| {},
        |name, headers| {
            let name = name.map_or("nobody", |name| &name.0);
            headers.insert(SERVER, HeaderValue::from_str(name).unwrap());
        },
    );
    let listening = serving.listen(listener, Proxied::No);
    for (request, status) in [
        (&b"GET / HTTP/1.1\r\nhost : localhost\r\n\r\n"[..], 400),
        (b"TRACE / HTTP/1.1\r\nhost: localhost\r\n\r\n", 405),
        (b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0x5\r\n", 400),
    ] {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(client.clone()).connect(name, stream).await.unwrap();
        stream.write_all(request).await.unwrap();
        let answer = read_until(&mut stream, "no end").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("server: localhost\r\n"), "{answer}");
    }
    listening.stop().await;
}

#[tokio::test]
async fn requests_come_through_tls_and_in_no_other_way() {
    let (server, client) = configs();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = ServeOptions { tls: Some(server), head_timeout: Duration::from_secs(5), ..ServeOptions::default() };
    let serving =
        Server::new(options, |_, peer| async move { Ok(text(StatusCode::OK, format!("hello {}", peer.0.ip()))) });
    let listening = serving.listen(listener, Proxied::No);

    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(client).connect(name, stream).await.unwrap();
    // Two on one connection.
    for _ in 0..2 {
        stream.write_all(REQUEST).await.unwrap();
        let mut answer = vec![0; 1_024];
        let mut length = 0;
        while !answer[..length].ends_with(b"hello 127.0.0.1") {
            let read = stream.read(&mut answer[length..]).await.unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&answer[..length]));
            length += read;
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 "));
    }

    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(REQUEST).await.unwrap();
    let mut answer = Vec::new();
    // Reset or closed; there is no answer to it, but for an alert.
    let _: std::io::Result<usize> = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    listening.stop().await;
}

/// What TLS holds when the last of an answer has been given to it, and the client's socket takes no more, comes when that does.
#[tokio::test(start_paused = true)]
async fn the_end_of_an_answer_is_not_lost_when_the_client_takes_it_late() {
    let (server, client) = configs();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = ServeOptions { tls: Some(server), ..ServeOptions::default() };
    let serving = Server::new(options, |request, _| async move {
        let length = request.uri().path()[1..].parse().unwrap();
        Ok(text(StatusCode::OK, "x".repeat(length)))
    });
    let listening = serving.listen(listener, Proxied::No);
    // How much the system takes is its own affair: some of these lengths end a few kilobytes behind it.
    for length in (64 * 1024..512 * 1024).step_by(4 * 1024) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        let stream = socket.connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(client.clone()).connect(name, stream).await.unwrap();
        let request = format!("GET /{length} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        // Longer than a connection without a request keeps its buffers, shorter than a client is waited for.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let (mut taken, mut piece) = (0, vec![0; 64 * 1024]);
        while taken < length {
            let read = stream.read(&mut piece).await.unwrap();
            assert!(read > 0, "{taken} of {length}");
            taken += read;
        }
    }
    listening.stop().await;
}
