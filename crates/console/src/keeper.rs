//! What the console asks of whoever keeps the house: it changes nothing itself.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

/// How long an answer is waited for; what was asked goes on without it.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// Callers that may wait for their turn.
const ASKS_MAX: usize = 16;

/// By which the keeper of the house is asked; clones ask the same one.
#[derive(Clone, Debug)]
pub struct AskKeeper(mpsc::Sender<Ask>);

/// What is asked, each with the way back of the answer.
#[derive(Debug)]
pub enum Ask {
    /// Read the configuration again and put it in force: what changed, or all that is wrong.
    Reload(oneshot::Sender<Result<Vec<String>, String>>),
    /// Put saved alert rules in force now.
    Rules(oneshot::Sender<()>),
    /// Put changed keys in force now.
    Keys(oneshot::Sender<()>),
    /// Tell of the processes under supervision.
    Processes(oneshot::Sender<Value>),
    /// Follow an order about one of them.
    Order(ProcessOrder, oneshot::Sender<Result<Value, NotFollowed>>),
    /// Tell what the stores of the house take on their disks.
    Stores(oneshot::Sender<Value>),
}

/// What somebody wants of a process under supervision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProcessOrder {
    /// Which one.
    pub process: String,
    /// `start`, `stop`, `restart` or `confirm`.
    pub order: &'static str,
    /// Who says so, for the record.
    pub by: String,
}

/// Why an order is not followed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NotFollowed {
    /// There is no such process.
    Unknown(String),
    /// It does not fit where the process is.
    Refused(String),
}

impl AskKeeper {
    /// The asking end, and the one that hears it.
    pub fn channel() -> (Self, mpsc::Receiver<Ask>) {
        let (sender, receiver) = mpsc::channel(ASKS_MAX);
        (Self(sender), receiver)
    }

    /// `None` when nobody answered in time.
    pub(crate) async fn reload(&self) -> Option<Result<Vec<String>, String>> {
        self.ask(Ask::Reload).await
    }

    /// Returns when changed keys are in force. Without an answer they will be within a second.
    pub(crate) async fn keys_changed(&self) {
        if self.ask(Ask::Keys).await.is_none() {
            tracing::warn!("the house did not say that it has taken the changed keys");
        }
    }

    /// Returns when saved rules are in force.
    pub(crate) async fn rules_changed(&self) {
        if self.ask(Ask::Rules).await.is_none() {
            tracing::warn!("the house did not say that it has taken the saved rules");
        }
    }

    /// `None` when nobody answered in time.
    pub(crate) async fn processes(&self) -> Option<Value> {
        self.ask(Ask::Processes).await
    }

    /// `None` when nobody answered in time.
    pub(crate) async fn stores(&self) -> Option<Value> {
        self.ask(Ask::Stores).await
    }

    /// `None` when nobody answered in time.
    pub(crate) async fn order(&self, order: ProcessOrder) -> Option<Result<Value, NotFollowed>> {
        self.ask(|answer| Ask::Order(order, answer)).await
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.0.send(question(answer)).await.ok()?;
            answered.await.ok()
        };
        tokio::time::timeout(ANSWER_TIME_MAX, asked).await.ok().flatten()
    }
}
