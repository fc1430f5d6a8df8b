//! Answers that cease in the middle, played by scripted TCP servers: as Ollama leaves them when its runner was killed, and by their pace.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::*;
use tollhouse_dialect::Event;
use tollhouse_upstream::{Context, Kind, Settings, Timeouts, UpstreamSpec, Upstreams};

/// What Ollama says in the middle of an answer whose runner has ended.
const LOST: &str = "{\"error\":\"an error was encountered while running the model: unexpected EOF\"}\n";
const GAP: Duration = Duration::from_millis(5);

/// Some pieces at a pace.
fn pieces(count: usize) -> Vec<Step> {
    let piece = |_| [chunk(PIECE), Step::Sleep(GAP)];
    std::iter::once(head(LINES)).chain((0..count).flat_map(piece)).collect()
}

/// A server that answers well to all but the first requests, which get these, and to whoever asks how it is.
async fn server(first: Vec<Vec<Step>>) -> Fake {
    let asked = AtomicUsize::new(0);
    Fake::with(move |path, request| match path {
        "/api/chat" => {
            let place = asked.fetch_add(1, Ordering::SeqCst);
            let whole = body_of(request)["stream"] == false;
            first.get(place).cloned().unwrap_or_else(if whole { || good_whole() } else { || good_stream() })
        }
        _ => vec![answer("200 OK", "application/json", "{\"version\":\"0\"}")],
    })
    .await
}

fn places(fake: &Fake, parallel: u32, timeouts: Timeouts) -> Upstreams {
    let spec = UpstreamSpec { parallel: Some(parallel), ..spec("local", Kind::Ollama, &fake.url) };
    Upstreams::new(vec![spec], models(&["m"]), Settings { timeouts, ..Settings::default() }).expect("set up")
}

#[tokio::test]
async fn what_hangs_when_the_server_has_told_another_one_of_it_is_ended_and_asked_again() {
    let hangs = || [pieces(20), vec![Step::Hang]].concat();
    let told = || [pieces(30), vec![chunk(LOST), end()]].concat();
    let half = vec![Step::Send("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"model\":".to_owned()), Step::Hang];
    // Two streams hang, and one that comes whole; one is told.
    let mut fake = server(vec![hangs(), hangs(), half, told()]).await;
    let upstreams = places(&fake, 4, Timeouts::default());
    let mut tasks = Vec::new();
    for stream in [true, true, false, true] {
        let asks = upstreams.clone();
        tasks.push(tokio::spawn(async move { all(chat(&asks, stream).await.expect("reply")).await }));
        while !soon(fake.requests.recv()).await.expect("request").starts_with("POST /api/chat") {}
    }
    // Somebody waits for a place meanwhile.
    let waits = upstreams.clone();
    let waits = tokio::spawn(async move { all(chat(&waits, true).await.expect("its turn")).await });
    let mut ends = Vec::new();
    for task in tasks {
        ends.push(soon(task).await.expect("task"));
    }
    for (at, words) in [(0, "fell silent in the middle"), (1, "told another request"), (3, "unexpected EOF")] {
        let error = ends[at].1.as_ref().expect("an error").to_string();
        assert!(ends[at].0.contains(&Event::Text("hi".into())) && error.contains(words), "{error}");
    }
    assert_eq!(ends[0].1.as_ref().map(tollhouse_upstream::UpstreamError::reason), Some("fell_silent"));
    assert!(ends[2].1.is_none() && is_whole(&ends[2].0), "one that comes whole is asked again: {:?}", ends[2]);
    assert!(is_whole(&soon(waits).await.expect("task").0));
    assert_eq!(upstreams.status()[0].breaker, "closed");
}

#[tokio::test]
async fn answers_that_cease_are_ended_by_their_pace_while_somebody_waits() {
    let fake = server(vec![[pieces(40), vec![Step::Hang]].concat()]).await;
    let timeouts = Timeouts { pause: Some(Duration::from_secs(1)), ..Timeouts::default() };
    let upstreams = places(&fake, 1, timeouts);
    let first = chat(&upstreams, true).await.expect("reply");
    let begun = Instant::now();
    let (hangs, waits) = soon(async { tokio::join!(all(first), chat(&upstreams, true)) }).await;
    let error = hangs.1.expect("an error");
    assert_eq!((error.status(), error.reason()), (503, "fell_silent"), "{error}");
    assert!(error.to_string().contains(" where a piece came every "), "{error}");
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(is_whole(&all(waits.expect("its turn")).await.0));
}

#[tokio::test]
async fn an_answer_that_nobody_waits_for_may_rest() {
    let gone_on = [pieces(40), vec![Step::Sleep(Duration::from_secs(5)), chunk(PIECE), chunk(DONE), end()]].concat();
    let fake = server(vec![gone_on]).await;
    let timeouts = Timeouts { pause: Some(Duration::from_secs(1)), ..Timeouts::default() };
    let upstreams = places(&fake, 1, timeouts);
    let (events, error) = soon(all(chat(&upstreams, true).await.expect("reply"))).await;
    assert!(error.is_none() && events.len() > 40, "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_away_as_a_whole_goes_on_where_it_was() {
    let gone_on = [pieces(40), vec![Step::Sleep(Duration::from_secs(5)), chunk(PIECE), chunk(DONE), end()]].concat();
    let chats = Arc::new(AtomicUsize::new(0));
    let fake = Fake::with(move |path, _| match path {
        "/api/chat" if chats.fetch_add(1, Ordering::SeqCst) == 0 => gone_on.clone(),
        "/api/chat" => good_stream(),
        _ => vec![Step::Hang],
    })
    .await;
    let timeouts = Timeouts { pause: Some(Duration::from_secs(1)), ..Timeouts::default() };
    let upstreams = places(&fake, 1, timeouts);
    let context = Context::default();
    let first = upstreams.chat(Arc::new(request(true)), context).await.expect("reply");
    let (goes_on, waits) = soon(async { tokio::join!(all(first), chat(&upstreams, true)) }).await;
    assert!(goes_on.1.is_none(), "{:?}", goes_on.1);
    assert!(is_whole(&all(waits.expect("its turn")).await.0));
}
