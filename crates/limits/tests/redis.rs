//! Nodes that count together through a real redis-server, with the server frozen, killed and emptied in between.

mod server;

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::{Duration, Instant};

use server::{Server, wait_for};
use tollhouse_limits::{Budget, Denied, Limits, Period, Rate, Rules, Scope, Sharing};

const HOUR: Duration = Duration::from_secs(3_600);

#[expect(clippy::unnecessary_wraps, reason = "as the rules take it")]
fn rate(most: u64, per: Duration) -> Option<Rate> {
    Some(Rate { most: NonZeroU64::new(most).unwrap(), per })
}

fn scopes(rules: Rules) -> [Scope; 1] {
    [Scope::new("key prod", Arc::new(rules))]
}

/// How many of `tries` requests are let in.
async fn passes(limits: &Limits, scopes: &[Scope], tries: usize) -> usize {
    let mut passed = 0;
    for _ in 0..tries {
        passed += usize::from(limits.enter(scopes).await.is_ok());
    }
    passed
}

async fn shared_again(limits: &Limits) {
    wait_for("Redis to be reached again", async || limits.sharing() == Sharing::Shared).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs redis-server"]
async fn sixty_four_clients_of_two_nodes_pass_exactly_as_many_as_they_may() {
    let server = Server::start().await;
    let nodes = [server.node().await, server.node().await];
    let budgets = vec![Budget { tokens: 9_000, period: Period::Month }];
    let rules = Rules { requests: rate(500, HOUR), tokens: rate(10_000, HOUR), budgets, ..Rules::default() };
    let scopes = scopes(rules);
    let begun = Instant::now();
    let clients = (0..64_u64).map(|client| {
        let (limits, scopes) = (nodes[client as usize % 2].clone(), scopes.clone());
        tokio::spawn(async move {
            let (mut requests, mut used) = (0_u64, 0_u64);
            for round in 0..20 {
                let Ok(mut entered) = limits.enter(&scopes).await else { continue };
                let estimate = 20 + (client + round) % 30;
                if entered.reserve(estimate).await.is_ok() {
                    requests += 1;
                    used += estimate / 2;
                    entered.settle(estimate / 2);
                }
            }
            (requests, used)
        })
    });
    let (mut requests, mut used) = (0, 0);
    for client in clients.collect::<Vec<_>>() {
        let (client_requests, client_used) = client.await.unwrap();
        requests += client_requests;
        used += client_used;
    }
    println!("{requests} requests, {used} tokens, {:?} a request that was let in", begun.elapsed() / requests as u32);
    assert!(requests <= 500 && used <= 9_000);
    for node in &nodes {
        assert_eq!(node.sharing(), Sharing::Shared);
        node.flush().await;
    }
    // What is left after all have settled is left exactly.
    let mut rest = nodes[0].enter(&[Scope::new("key prod", scopes[0].rules.clone())]).await;
    if let Ok(entered) = &mut rest {
        assert_eq!(entered.told().requests.unwrap().remaining, 500 - requests - 1);
        assert!(entered.reserve(9_000 - used).await.is_ok());
    }
    assert_eq!(rest.is_ok(), requests < 500);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn waiting_as_told_is_enough_on_another_node_too() {
    let server = Server::start().await;
    let nodes = [server.node().await, server.node().await];
    let scopes = scopes(Rules { requests: rate(3, Duration::from_millis(200)), ..Rules::default() });
    let mut waited = 0;
    for round in 0..60 {
        match nodes[round % 2].enter(&scopes).await {
            Ok(entered) => entered.settle(0),
            Err(denied) => {
                tokio::time::sleep(denied.retry_after().unwrap()).await;
                nodes[(round + 1) % 2].enter(&scopes).await.expect("waited as told").settle(0);
                waited += 1;
            }
        }
    }
    assert!(waited > 5, "{waited}");
    assert!(nodes.iter().all(|node| node.sharing() == Sharing::Shared));
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn tokens_are_given_back_and_overruns_counted_for_all_nodes() {
    let server = Server::start().await;
    let (a, b) = (server.node().await, server.node().await);
    let budgets = vec![Budget { tokens: 1_200, period: Period::Day }];
    let scopes = scopes(Rules { tokens: rate(1_000, HOUR), budgets, ..Rules::default() });
    let mut first = a.enter(&scopes).await.unwrap();
    first.reserve(900).await.unwrap();
    assert_eq!(first.told().tokens.unwrap().remaining, 100);
    let denied = b.enter(&scopes).await.unwrap().reserve(101).await.unwrap_err();
    assert!(matches!(denied, Denied::Tokens { most: 1_000, .. }), "{denied:?}");
    first.settle(300);
    a.flush().await;
    let mut second = b.enter(&scopes).await.unwrap();
    second.reserve(700).await.unwrap();
    second.note(900);
    b.flush().await;
    let denied = a.enter(&scopes).await.unwrap_err();
    assert!(matches!(denied, Denied::Budget { tokens: 1_200, .. }), "{denied:?}");
    second.settle(600);
    b.flush().await;
    let mut third = a.enter(&scopes).await.unwrap();
    let too_large = third.reserve(1_001).await.unwrap_err();
    assert!(matches!(too_large, Denied::TooLarge { most: 1_000, .. }), "{too_large:?}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_request_denied_for_its_tokens_leaves_nothing_in_redis() {
    let server = Server::start().await;
    let node = server.node().await;
    let one = NonZeroU32::new(1);
    let scopes = scopes(Rules { requests: rate(1, HOUR), tokens: rate(10, HOUR), concurrent: one, ..Rules::default() });
    for _ in 0..3 {
        let mut entered = node.enter(&scopes).await.unwrap();
        assert!(matches!(entered.reserve(11).await, Err(Denied::TooLarge { .. })));
    }
    let mut entered = node.enter(&scopes).await.unwrap();
    entered.reserve(10).await.unwrap();
    assert_eq!(server.ask::<u64>(&["ZCARD", "{test}:c:key prod"]).await, 1);
    entered.settle(10);
    node.flush().await;
    assert_eq!(server.ask::<u64>(&["ZCARD", "{test}:c:key prod"]).await, 0);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn places_are_shared_renewed_and_free_when_their_node_is_gone() {
    let server = Server::start().await;
    let (a, b) = (server.node().await, server.node().await);
    let scopes = scopes(Rules { concurrent: NonZeroU32::new(2), ..Rules::default() });
    let (first, second) = (a.enter(&scopes).await.unwrap(), b.enter(&scopes).await.unwrap());
    assert!(matches!(b.enter(&scopes).await, Err(Denied::Concurrent { most: 2, .. })));
    first.settle(0);
    a.flush().await;
    let third = b.enter(&scopes).await.unwrap();
    assert!(a.enter(&scopes).await.is_err());
    // Somebody else's place, of a node that crashed a moment ago; it is not renewed, and ends by itself.
    drop((second, third));
    b.flush().await;
    let key = "{test}:c:key prod";
    let held = b.enter(&scopes).await.unwrap();
    server.ask::<u64>(&["ZADD", key, "1", "gone:7"]).await;
    let beside = a.enter(&scopes).await.expect("the lease of the node that is gone has ended");
    drop(beside);
    // A place whose lease was lost is taken again by its node.
    server.ask::<u64>(&["DEL", key]).await;
    wait_for("the lease to be renewed", async || server.ask::<u64>(&["ZCARD", key]).await == 1).await;
    assert!(server.ask::<i64>(&["PTTL", key]).await <= 20_000);
    drop(held);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn while_redis_is_frozen_nodes_count_alone_and_hand_it_in_later() {
    let server = Server::start().await;
    let (a, b) = (server.node().await, server.node().await);
    let budgets = vec![Budget { tokens: 1_000_000, period: Period::Month }];
    let scopes = scopes(Rules { requests: rate(30, HOUR), budgets, ..Rules::default() });
    assert_eq!(passes(&a, &scopes, 5).await + passes(&b, &scopes, 5).await, 10);
    server.freeze();
    let begun = Instant::now();
    // Both decide alone after a quarter of a second, by what each has let in itself: 5 before, so 25 more each, at most.
    assert_eq!(passes(&a, &scopes, 40).await, 25);
    assert_eq!(passes(&b, &scopes, 7).await, 7);
    let mut entered = Limits::local().enter(&scopes).await.unwrap();
    entered.reserve(1).await.unwrap();
    assert!(matches!(a.sharing(), Sharing::Away { .. }) && matches!(b.sharing(), Sharing::Away { .. }));
    assert!(begun.elapsed() < Duration::from_secs(3), "only the first waits: {:?}", begun.elapsed());
    server.thaw();
    shared_again(&a).await;
    shared_again(&b).await;
    // 42 of 30 by now: 10 together, 32 alone. What timed out is not counted by Redis later.
    assert_eq!(server.ask::<u64>(&["HGET", "{test}:R:key prod", "s"]).await, 42);
    assert_eq!(passes(&a, &scopes, 5).await + passes(&b, &scopes, 5).await, 0);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn tokens_used_alone_are_handed_in_and_running_requests_settle_on_either_side() {
    let server = Server::start().await;
    let (a, b) = (server.node().await, server.node().await);
    let budgets = vec![Budget { tokens: 1_000, period: Period::Day }];
    let scopes = scopes(Rules { tokens: rate(1_000, HOUR), budgets, ..Rules::default() });
    let mut together = a.enter(&scopes).await.unwrap();
    together.reserve(200).await.unwrap();
    server.freeze();
    let mut alone = a.enter(&scopes).await.unwrap();
    alone.reserve(300).await.unwrap();
    let mut alone_too = a.enter(&scopes).await.unwrap();
    alone_too.reserve(50).await.unwrap();
    alone_too.settle(40);
    server.thaw();
    shared_again(&a).await;
    shared_again(&b).await;
    // 200 reserved there, 40 used alone; of the 300 nothing is known there before they are settled.
    assert_eq!(server.ask::<u64>(&["HGET", "{test}:T:key prod", "s"]).await, 240);
    alone.settle(100);
    together.settle(150);
    a.flush().await;
    assert_eq!(server.ask::<u64>(&["HGET", "{test}:T:key prod", "s"]).await, 290);
    let budgets: Vec<u64> = server.ask(&["HVALS", "{test}:b:key prod"]).await;
    assert_eq!(budgets, [290, 290]);
    let mut rest = b.enter(&scopes).await.unwrap();
    rest.reserve(710).await.unwrap();
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_redis_that_lost_its_memory_is_told_everything_again() {
    let mut server = Server::start().await;
    let (a, b) = (server.node().await, server.node().await);
    let rules = Rules {
        requests: rate(20, HOUR),
        concurrent: NonZeroU32::new(30),
        tokens: rate(100, HOUR),
        ..Rules::default()
    };
    let scopes = scopes(rules);
    assert_eq!(passes(&a, &scopes, 6).await + passes(&b, &scopes, 7).await, 13);
    let mut running = a.enter(&scopes).await.unwrap();
    running.reserve(60).await.unwrap();
    server.kill();
    assert_eq!(passes(&b, &scopes, 2).await, 2);
    server.start_again().await;
    shared_again(&a).await;
    shared_again(&b).await;
    assert_eq!(server.ask::<u64>(&["HGET", "{test}:R:key prod", "s"]).await, 16);
    assert_eq!(server.ask::<u64>(&["ZCARD", "{test}:c:key prod"]).await, 1, "the running request has its place again");
    running.settle(70);
    a.flush().await;
    assert_eq!(server.ask::<u64>(&["HGET", "{test}:T:key prod", "s"]).await, 70);
    // Emptied without being restarted: the next call notices, and without one the next look does.
    server.ask::<String>(&["FLUSHALL"]).await;
    assert_eq!(passes(&a, &scopes, 1).await, 1);
    wait_for("both to tell it again", async || {
        server.ask::<Option<u64>>(&["HGET", "{test}:R:key prod", "s"]).await == Some(17)
    })
    .await;
    shared_again(&a).await;
    shared_again(&b).await;
    assert_eq!(passes(&b, &scopes, 5).await, 3);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_restarted_node_neither_doubles_nor_forgets() {
    let mut server = Server::start().await;
    let scopes = scopes(Rules { requests: rate(20, HOUR), ..Rules::default() });
    let sum = ["HGET", "{test}:R:key prod", "s"];
    let (first, other) = (server.node().await, server.node().await);
    passes(&first, &scopes, 8).await;
    let (snapshot, now_ms) = (first.snapshot(), jiff::Timestamp::now().as_millisecond());
    drop(first);
    let again = Limits::shared(&server.url(), "test").unwrap();
    again.restore(&snapshot, now_ms).unwrap();
    again.connect().await;
    assert_eq!(server.ask::<u64>(&sum).await, 8, "Redis knew all of it");
    passes(&other, &scopes, 2).await;
    let snapshot = again.snapshot();
    drop(again);
    server.kill();
    server.start_again().await;
    let again = Limits::shared(&server.url(), "test").unwrap();
    again.restore(&snapshot, now_ms).unwrap();
    again.connect().await;
    wait_for("the other node", async || server.ask::<Option<u64>>(&sum).await == Some(10)).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn revocations_reach_all_nodes_within_a_second_and_survive_redis() {
    let mut server = Server::start().await;
    let (a, b) = (server.node().await, server.node().await);
    let mut seen = b.revocations().watch();
    for round in 0..5 {
        let id = format!("key-{round}");
        let begun = Instant::now();
        a.revocations().publish(&id);
        let told = seen.wait_for(|ids| ids.contains(&id));
        tokio::time::timeout(Duration::from_secs(1), told).await.expect("within a second").unwrap();
        println!("revocation seen after {:?}", begun.elapsed());
    }
    server.kill();
    a.revocations().publish("while-away");
    server.start_again().await;
    tokio::time::timeout(server::PATIENCE, seen.wait_for(|ids| ids.contains("while-away"))).await.unwrap().unwrap();
    let newcomer = server.node().await;
    wait_for("the old revocations", async || newcomer.revocations().ids().len() == 6).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_node_starts_without_redis_and_finds_it_later() {
    let mut server = Server::start().await;
    let url = server.url();
    server.kill();
    let limits = Limits::shared(&url, "test").unwrap();
    limits.connect().await;
    let scopes = scopes(Rules { requests: rate(20, HOUR), ..Rules::default() });
    assert_eq!(passes(&limits, &scopes, 6).await, 6);
    assert!(matches!(limits.sharing(), Sharing::Away { .. }));
    server.start_again().await;
    shared_again(&limits).await;
    assert_eq!(server.ask::<u64>(&["HGET", "{test}:R:key prod", "s"]).await, 6);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn what_arrived_before_a_hand_in_failed_is_not_counted_again() {
    let server = Server::start().await;
    let limits = Limits::shared(&server.url(), "test").unwrap();
    let rules = Arc::new(Rules { requests: rate(100, HOUR), ..Rules::default() });
    let [first, second, third] = ["key first", "key second", "key third"].map(|name| [Scope::new(name, rules.clone())]);
    for (scopes, requests) in [(&first, 3), (&second, 5), (&third, 7)] {
        assert_eq!(passes(&limits, scopes, requests).await, requests);
    }
    // What is no list fails the hand-in of this scope, and only of this one.
    server.ask::<String>(&["SET", "{test}:r:key second", "no list"]).await;
    limits.connect().await;
    assert!(matches!(limits.sharing(), Sharing::Away { .. }));
    let sum_of = async |name| server.ask::<Option<u64>>(&["HGET", &format!("{{test}}:R:key {name}"), "s"]).await;
    assert!(sum_of("first").await.or(sum_of("third").await).is_some());
    // Meanwhile it goes on counting for itself.
    assert_eq!(passes(&limits, &first, 2).await + passes(&limits, &third, 2).await, 4);
    server.ask::<u64>(&["DEL", "{test}:r:key second"]).await;
    shared_again(&limits).await;
    assert_eq!([sum_of("first").await, sum_of("second").await, sum_of("third").await], [Some(5), Some(5), Some(9)]);
    // And with a second life of the counters all of it is told once more, once.
    server.ask::<String>(&["FLUSHALL"]).await;
    wait_for("all to be told again", async || sum_of("third").await.is_some()).await;
    shared_again(&limits).await;
    assert_eq!([sum_of("first").await, sum_of("second").await, sum_of("third").await], [Some(5), Some(5), Some(9)]);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_reservation_that_nobody_waits_for_any_more_is_given_back() {
    let server = Server::start().await;
    let node = server.node().await;
    let budgets = vec![Budget { tokens: 1_000, period: Period::Month }];
    let rules = Rules { tokens: rate(1_000, HOUR), budgets, concurrent: NonZeroU32::new(2), ..Rules::default() };
    let scopes = scopes(rules);
    let mut entered = node.enter(&scopes).await.unwrap();
    // Redis answers a little later than the client's patience lasts, and still in time.
    server.ask::<String>(&["CLIENT", "PAUSE", "100"]).await;
    let left = tokio::time::timeout(Duration::from_millis(20), entered.reserve(900)).await;
    assert!(left.is_err());
    drop(entered);
    let sum = ["HGET", "{test}:T:key prod", "s"];
    wait_for("the tokens", async || server.ask::<Option<u64>>(&sum).await == Some(0)).await;
    assert_eq!(server.ask::<Vec<u64>>(&["HVALS", "{test}:b:key prod"]).await, [0, 0]);
    assert_eq!(server.ask::<u64>(&["ZCARD", "{test}:c:key prod"]).await, 0);
    assert_eq!(node.sharing(), Sharing::Shared);
    let mut next = node.enter(&scopes).await.unwrap();
    next.reserve(1_000).await.unwrap();
}

#[test]
fn an_address_that_is_none_is_an_error_that_does_not_repeat_it() {
    let error = Limits::shared("http://user:secret@redis", "test").unwrap_err();
    let chain = format!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string));
    assert!(!chain.contains("secret"), "{chain}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_clock_of_redis_that_went_back_does_not_block_for_as_long() {
    let server = Server::start().await;
    let node = server.node().await;
    let scopes = scopes(Rules { requests: rate(3, Duration::from_millis(500)), ..Rules::default() });
    assert_eq!(passes(&node, &scopes, 2).await, 2);
    // As if those two had come an hour later by a clock that was wrong.
    let ahead = "local list, hash = '{test}:r:key prod', '{test}:R:key prod'
        local ats = redis.call('LRANGE', list, 0, -1)
        redis.call('DEL', list, hash)
        for _, at in ipairs(ats) do
            local later = string.format('%.0f', at + 3600000000)
            redis.call('RPUSH', list, later)
            redis.call('HSET', hash, later, '1')
        end
        redis.call('HSET', hash, 's', #ats)
        return #ats";
    assert_eq!(server.ask::<u64>(&["EVAL", ahead, "0"]).await, 2);
    assert_eq!(passes(&node, &scopes, 1).await, 1);
    let denied = node.enter(&scopes).await.unwrap_err();
    tokio::time::sleep(denied.retry_after().unwrap()).await;
    assert!(denied.retry_after().unwrap() <= Duration::from_millis(500));
    assert_eq!(passes(&node, &scopes, 3).await, 3);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_window_of_very_many_is_bounded_in_redis_too() {
    let server = Server::start().await;
    let node = server.node().await;
    let scopes = scopes(Rules { requests: rate(4_106, HOUR), ..Rules::default() });
    assert_eq!(passes(&node, &scopes, 1).await, 1);
    let fill = "local list, hash = '{test}:r:key prod', '{test}:R:key prod'
        local first = redis.call('LINDEX', list, 0)
        for i = 1, 4095 do
            local at = string.format('%.0f', first - i)
            redis.call('LPUSH', list, at)
            redis.call('HSET', hash, at, '1')
        end
        return redis.call('HINCRBY', hash, 's', 4095)";
    assert_eq!(server.ask::<u64>(&["EVAL", fill, "0"]).await, 4_096);
    assert_eq!(passes(&node, &scopes, 20).await, 10);
    let length = server.ask::<u64>(&["LLEN", "{test}:r:key prod"]).await;
    assert!((4_097..4_100).contains(&length), "the last ten share buckets: {length}");
    let denied = node.enter(&scopes).await.unwrap_err();
    assert!(denied.retry_after().unwrap() > HOUR * 99 / 100, "{denied:?}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn redis_numbers_months_as_the_calendar_does() {
    let server = Server::start().await;
    let source = include_str!("../src/shared/common.lua");
    let begin = source.find("local function month(").unwrap();
    let length = source[begin..].find("\nend\n").unwrap() + "\nend\n".len();
    let months = "local found = {} for day = 0, 60000 do found[day + 1] = month(day) end return found";
    let script = format!("{}{months}", &source[begin..begin + length]);
    let found: Vec<i64> = server.ask(&["EVAL", &script, "0"]).await;
    let first = jiff::civil::date(1970, 1, 1);
    for (day, month) in found.into_iter().enumerate() {
        let date = first.checked_add(jiff::Span::new().days(day as i64)).unwrap();
        assert_eq!(month, i64::from(date.year()) * 12 + i64::from(date.month()) - 1, "{date}");
    }
}
