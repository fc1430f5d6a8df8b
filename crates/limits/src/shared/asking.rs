//! A reservation that is being asked for: when nobody waits for the answer any more, it is given back as soon as it comes.

use std::pin::Pin;
use std::sync::Arc;

use redis::Cmd;
use tokio::runtime::Handle;

use super::link::{Away, Connected, Reply};
use super::post::{Settled, Settlement};
use super::{moments, periods};
use crate::limits::Inner;

type Answer = Result<Result<Reply, Reply>, Away>;

/// A question that Redis may have answered with "granted" although the one who asked has left.
pub(super) struct Asking {
    inner: Arc<Inner>,
    /// Absent once it is answered.
    answer: Option<Pin<Box<dyn Future<Output = Answer> + Send>>>,
    /// What gives all of it back, but for the moments that the answer tells.
    give_back: Option<Settlement>,
}

impl Asking {
    pub(super) fn new(inner: &Arc<Inner>, to: Arc<Connected>, question: Cmd, give_back: Settlement) -> Self {
        let asked = inner.clone();
        let answer = async move {
            match asked.shared() {
                Some(shared) => shared.link.call(&to, question).await,
                None => Err(Away),
            }
        };
        Self { inner: inner.clone(), answer: Some(Box::pin(answer)), give_back: Some(give_back) }
    }

    /// The answer. Whoever drops this future has left.
    pub(super) async fn answer(mut self) -> Answer {
        let Some(answer) = &mut self.answer else { return Err(Away) };
        let answered = answer.await;
        self.answer = None;
        answered
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let (Some(answer), Some(mut give_back)) = (self.answer.take(), self.give_back.take()) else { return };
        // Without a runtime the program ends; what was reserved then stays counted.
        let Ok(runtime) = Handle::try_current() else { return };
        let inner = self.inner.clone();
        runtime.spawn(async move {
            if let (Ok(Ok(reply)), Some(shared)) = (answer.await, inner.shared()) {
                give_back.place(&moments(&reply), periods(&reply));
                // Posted or not: nothing was used.
                let _: Settled = shared.post(give_back);
            }
        });
    }
}
