//! A Redis that answers what was not asked: the node counts for itself.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tollhouse_limits::{Budget, Limits, Period, Rate, Rules, Scope, Sharing};

/// What the scripts are answered with.
type Said = Arc<Mutex<Vec<i64>>>;

/// A server that knows no more of Redis than a node needs to connect to it.
async fn start(said: Said) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, said.clone()));
        }
    });
    url
}

async fn answer(stream: TcpStream, said: Said) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut loaded = 0;
    loop {
        let command = command(&mut read).await?;
        let reply = match command[0].to_ascii_uppercase().as_str() {
            "SCRIPT" => {
                loaded += 1;
                format!("$1\r\n{loaded}\r\n")
            }
            "EVAL" | "GET" => "$4\r\nlife\r\n".to_owned(),
            "TIME" => "*2\r\n$10\r\n1800000000\r\n$1\r\n0\r\n".to_owned(),
            "ZRANGEBYSCORE" => "*0\r\n".to_owned(),
            "EVALSHA" => {
                let numbers = said.lock().unwrap().clone();
                numbers.iter().fold(format!("*{}\r\n", numbers.len()), |reply, number| format!("{reply}:{number}\r\n"))
            }
            _ => "+OK\r\n".to_owned(),
        };
        write.write_all(reply.as_bytes()).await.ok()?;
    }
}

/// One command: an array of strings.
async fn command(read: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Vec<String>> {
    let count = number(read).await?;
    let mut words = Vec::new();
    for _ in 0..count {
        let mut word = vec![0; number(read).await? + 2];
        read.read_exact(&mut word).await.ok()?;
        word.truncate(word.len() - 2);
        words.push(String::from_utf8(word).unwrap());
    }
    Some(words)
}

/// The number behind a line's first byte.
async fn number(read: &mut (impl AsyncBufReadExt + Unpin)) -> Option<usize> {
    let mut line = String::new();
    read.read_line(&mut line).await.ok()?;
    line.get(1..)?.trim_end().parse().ok()
}

#[tokio::test]
async fn a_reply_that_does_not_fit_the_question_is_none() {
    let said = Said::default();
    let url = start(said.clone()).await;
    let rate = Some(Rate { most: NonZeroU64::new(1_000).unwrap(), per: Duration::from_secs(60) });
    let budgets = vec![Budget { tokens: 1_000_000, period: Period::Day }];
    let rules = Arc::new(Rules { requests: rate, tokens: rate, concurrent: NonZeroU32::new(100), budgets });
    let scopes = ["a", "b"].map(|name| Scope::new(name, rules.clone()));
    let only_places = Rules { concurrent: NonZeroU32::new(100), ..Rules::default() };
    let only_places = [Scope::new("c", Arc::new(only_places))];
    let whole = [0, 0, 1, 1, 1, 1, 1, 1];
    for nonsense in [
        &[][..],
        &[0],
        &[0, 0],
        &[0, 0, 1, 1],
        &[0, 0, 1, 1, 1, 1, 1, 1, 1],
        &[1, 0],
        &[1, 0, 1, 1],
        &[1, 0, 1, 0, 5],
        &[1, 0, 1, -1, 5],
        &[1, 0, 1, 3, 5],
        &[1, 0, 1, i64::MAX, 5],
        &[1, 0, 9, 1, 5],
        &[1, 0, 4, 1, 5],
        &[1, 0, 8, 1, 5],
        &[7, 0],
    ] {
        for (scopes, entering) in [(&scopes[..], true), (&scopes[..], false), (&only_places[..], true)] {
            said.lock().unwrap().clone_from(&vec![0, 0]);
            let limits = Limits::shared(&url, "test").unwrap();
            limits.connect().await;
            assert_eq!(limits.sharing(), Sharing::Shared);
            said.lock().unwrap().clone_from(&if entering { nonsense.to_vec() } else { whole.to_vec() });
            let mut entered = limits.enter(scopes).await.unwrap_or_else(|denied| panic!("{nonsense:?}: {denied}"));
            said.lock().unwrap().clone_from(&nonsense.to_vec());
            entered.reserve(10).await.unwrap_or_else(|denied| panic!("{nonsense:?}: {denied}"));
            entered.settle(5);
            assert!(matches!(limits.sharing(), Sharing::Away { .. }), "{nonsense:?} {entering}");
        }
    }
    // Numbers beyond all bounds are cut.
    said.lock().unwrap().clone_from(&vec![0, 0]);
    let limits = Limits::shared(&url, "test").unwrap();
    limits.connect().await;
    said.lock().unwrap().clone_from(&vec![1, i64::MAX, 1, 1, i64::MAX]);
    let denied = limits.enter(&scopes).await.unwrap_err();
    assert_eq!(denied.retry_after(), Some(Duration::from_hours(366 * 24)));
    said.lock().unwrap().clone_from(&vec![0, i64::MIN, i64::MIN, -5, -5, i64::MAX, i64::MAX, i64::MAX]);
    let entered = limits.enter(&scopes).await.unwrap();
    assert_eq!(entered.told().requests.unwrap().remaining, 0);
}
