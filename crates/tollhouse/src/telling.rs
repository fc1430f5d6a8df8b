//! Brings traces and metrics to the receiver of OpenTelemetry that the configuration names.

use std::io::Write;

use anyhow::Context;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Method;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tollhouse_config::{Config, OtlpConfig};
use tollhouse_ship::{Body, Client, Login};
use tollhouse_telemetry::{Failed, Post, export};

use crate::figures::Figures;
use crate::house::Current;

/// The port that gRPC has there by convention; we speak HTTP, which has the one after it.
const GRPC_PORT: &str = ":4317";

/// The exporter at work, if there is one.
#[derive(Default)]
pub(crate) struct Telling(Option<Running>);

struct Running {
    config: OtlpConfig,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What a configuration wants, ready: from here on nothing fails.
pub(crate) enum Prepared {
    /// The running one goes on, or still there is none.
    Same,
    /// It ends, and another one begins in its place where there is one.
    New(Option<Box<(OtlpConfig, Client)>>),
}

impl Telling {
    /// Makes ready what a configuration wants.
    pub(crate) async fn prepare(&self, config: &Config) -> anyhow::Result<Prepared> {
        let wanted = config.telemetry.otlp.clone();
        if wanted.as_ref() == self.0.as_ref().map(|running| &running.config) {
            return Ok(Prepared::Same);
        }
        let Some(otlp) = wanted else { return Ok(Prepared::New(None)) };
        let ready = spawn_blocking(move || client(&otlp).map(|client| Box::new((otlp, client)))).await??;
        Ok(Prepared::New(Some(ready)))
    }

    /// Tells from now on as was prepared. What waits for the receiver of before has a few seconds.
    pub(crate) fn adopt(&mut self, prepared: Prepared, service: &str, figures: &Figures, current: &Current) {
        let Prepared::New(wanted) = prepared else { return };
        if let Some(before) = self.0.take() {
            before.stop.send_replace(true);
        }
        let telemetry = figures.telemetry();
        let Some((config, client)) = wanted.map(|ready| *ready) else { return telemetry.tell_no_traces() };
        let (stop, stopped) = watch::channel(false);
        let (figures, current) = (figures.clone(), current.clone());
        let gather = move || {
            let (figures, house) = (figures.clone(), current.get());
            async move { figures.now(&house).await }
        };
        let who = (service.to_owned(), crate::cli::VERSION);
        let (receiver, outbox) = (Receiver(client), telemetry.tell_traces());
        let task = tokio::spawn(export(telemetry.clone(), outbox, who, receiver, gather, stopped));
        self.0 = Some(Running { config, stop, task });
    }

    /// Brings what waits, as far as that goes within seconds, and ends.
    pub(crate) async fn end(self) {
        if let Some(Running { stop, task, .. }) = self.0 {
            stop.send_replace(true);
            // An error is a panic, which has been printed.
            let _ = task.await;
        }
    }
}

/// A client of the receiver. Reads its authorities, so it blocks.
pub(crate) fn client(otlp: &OtlpConfig) -> anyhow::Result<Client> {
    let login = otlp.key.as_ref().map(|key| Login::Bearer(key.expose().to_owned()));
    Client::new("telemetry.otlp", std::slice::from_ref(&otlp.url), login.as_ref(), otlp.ca.as_deref())
        .context("preparing the receiver of traces and metrics (`telemetry.otlp`)")
}

/// The receiver, asked over HTTP.
struct Receiver(Client);

impl Post for Receiver {
    async fn post(&self, path: &'static str, message: Vec<u8>) -> Result<(), Failed> {
        let mut packed = GzEncoder::new(Vec::with_capacity(message.len() / 4), Compression::fast());
        let packed = packed.write_all(&message).and_then(|()| packed.finish()).expect("memory takes every byte");
        let answer = self.0.ask(Method::POST, path, Body::PackedProtobuf(packed.into())).await.map_err(|trouble| {
            let is_grpc = self.0.url().ends_with(GRPC_PORT);
            let hint = if is_grpc { "; 4317 is the port of gRPC as a rule, OTLP over HTTP has 4318" } else { "" };
            Failed::Later(format!("{}{hint}", trouble.text))
        })?;
        let status = answer.status;
        if status.is_success() {
            return Ok(());
        }
        let told: String =
            String::from_utf8_lossy(&answer.body).chars().filter(|c| !c.is_control()).take(200).collect();
        let text = format!("{}{path}: {status} {told}", self.0.url());
        // OTLP 1.x, "Failures": these four are worth another try.
        Err(if matches!(status.as_u16(), 429 | 502 | 503 | 504) { Failed::Later(text) } else { Failed::Refused(text) })
    }
}
