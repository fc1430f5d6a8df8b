//! The edge alone, to be looked at by a profiler: no journal, no index, no house. Its certificate is for `localhost`.
//!
//! ```sh
//! cargo run --release -p tollhouse-edge --example alone PORT CERT KEY FOLDER SERVER
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tollhouse_edge::{
    Balance, Certificate, Certificates, Challenges, Edge, Headers, Kept, Records, RouteSpec, SiteSpec, To, Visitor,
};
use tollhouse_web::{Proxied, ServeOptions, Server};

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, cert, key, folder, server] = words.as_slice() else {
        eprintln!("alone PORT CERT KEY FOLDER SERVER");
        return;
    };
    let certificate = Certificate::read(&PathBuf::from(cert), &PathBuf::from(key)).expect("a certificate");
    let certificates = Arc::new(Certificates::new(Arc::new(Challenges::default())));
    certificates.show([("localhost", &certificate)]);
    let servers = To::Servers {
        urls: vec![server.clone()],
        balance: Balance::RoundRobin,
        body_bytes_max: 1 << 20,
        timeout: Duration::from_secs(60),
        idle: Duration::from_secs(60),
        health: None,
        slow_start: None,
    };
    let route = |path: &str, to| RouteSpec { path: path.to_owned(), to };
    let site = SiteSpec {
        host: "localhost".to_owned(),
        aliases: Vec::new(),
        routes: vec![route("/files/", To::Files(PathBuf::from(folder))), route("/", servers)],
        headers: Headers::Off,
        records: Records::All,
    };
    let edge = Arc::new(Edge::new(vec![site], 443, Arc::new(|_| {}), Arc::new(Kept::default())).expect("a site"));
    let tls = certificates.tls().expect("TLS");
    let options = ServeOptions { tls: Some(tls), per_address_max: 0, ..ServeOptions::default() };
    let server = Server::new(options, move |request, peer| {
        let edge = edge.clone();
        async move {
            let visitor = Visitor { address: peer.0.ip() };
            Ok(match edge.find(&request) {
                Ok(route) => edge.serve(&route, request, visitor).await,
                Err(lost) => edge.refuse(lost, request, visitor).await,
            })
        }
    });
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await.expect("the port");
    let _listening = server.listen(listener, Proxied::No);
    tokio::signal::ctrl_c().await.expect("a signal");
}
