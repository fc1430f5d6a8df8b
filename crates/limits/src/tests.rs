//! The promises of the limits, held against what was really granted.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use crate::table::{HeldList, Now, SCOPES_MAX, Table};
use crate::window::GRANTS_OF_WINDOW_MAX;
use crate::{Budget, Denied, Limits, Period, Rate, Rules, Scope, SnapshotError, snapshot};

const DAY_NS: u64 = 86_400_000_000_000;

#[expect(clippy::unnecessary_wraps, reason = "as the rules take it")]
fn rate(most: u64, per_ms: u64) -> Option<Rate> {
    Some(Rate { most: NonZeroU64::new(most).unwrap(), per: Duration::from_millis(per_ms) })
}

fn scope(name: &str, rules: Rules) -> Scope {
    Scope::new(name, Arc::new(rules))
}

/// Both clocks, so many nanoseconds after the beginning.
fn now(ns: u64) -> Now {
    Now { ns: (1 << 62) + ns, wall_ms: 1_700_000_000_000 + (ns / 1_000_000) as i64 }
}

fn enter(table: &mut Table, scopes: &[Scope], now: Now) -> Result<HeldList, Denied> {
    let mut held = table.pin(scopes, now)?;
    if let Err(denied) = table.check_request(&held, now) {
        table.unpin(&held);
        return Err(denied);
    }
    table.count_request(&mut held, now);
    Ok(held)
}

fn wait_ns(denied: &Denied) -> u64 {
    denied.retry_after().expect("a window is in the way").as_nanos() as u64
}

/// Enters and at once ends with `tokens`, waiting as told where that is denied. Gives when it was let in. The tokens are
/// looked at only when the request may start, so each of the two may be denied once, in this order.
fn pass_after_waiting(table: &mut Table, scopes: &[Scope], tokens: u64, mut at: u64) -> Result<u64, TestCaseError> {
    let (mut waited_to_start, mut waited_for_tokens) = (false, false);
    loop {
        let mut held = match enter(table, scopes, now(at)) {
            Ok(held) => held,
            Err(denied) => {
                prop_assert!(!waited_to_start && !waited_for_tokens, "waited as told, and denied again: {denied}");
                prop_assert!(wait_ns(&denied) > 0);
                at += wait_ns(&denied);
                waited_to_start = true;
                continue;
            }
        };
        if let Err(denied) = table.check_tokens(&held, tokens, now(at)) {
            table.end(&held, 0, 0, true, 0);
            prop_assert!(!waited_for_tokens, "waited as told, and denied again: {denied}");
            at += wait_ns(&denied);
            waited_for_tokens = true;
            continue;
        }
        table.count_tokens(&mut held, tokens, now(at));
        table.end(&held, tokens, tokens, false, 1);
        return Ok(at);
    }
}

/// The largest sum of amounts in any stretch of `per`, begun just after a moment or at it.
fn fullest(granted: &[(u64, u64)], per: u64) -> u64 {
    let (mut most, mut sum, mut first) = (0, 0, 0);
    for (at, amount) in granted {
        sum += amount;
        while granted[first].0 + per <= *at {
            sum -= granted[first].1;
            first += 1;
        }
        most = most.max(sum);
    }
    most
}

proptest! {
    #[test]
    fn waiting_as_told_is_enough_and_no_stretch_holds_more(
        most in 1_u64..6, tokens_most in 50_u64..200, per_us in 1_u64..50, tokens_per_us in 1_u64..50,
        steps in prop::collection::vec((0_u64..20_000, 0_u64..50), 1..200)
    ) {
        let requests = Rate { most: NonZeroU64::new(most).unwrap(), per: Duration::from_micros(per_us) };
        let tokens = Rate { most: NonZeroU64::new(tokens_most).unwrap(), per: Duration::from_micros(tokens_per_us) };
        let scopes = [
            scope("a", Rules { requests: Some(requests), ..Rules::default() }),
            scope("b", Rules { tokens: Some(tokens), ..Rules::default() }),
        ];
        let (mut table, mut at) = (Table::default(), 0);
        let (mut entered, mut used) = (Vec::new(), Vec::new());
        for (step, amount) in steps {
            at = pass_after_waiting(&mut table, &scopes, amount, at + step)?;
            entered.push((at, 1));
            used.push((at, amount));
        }
        prop_assert!(fullest(&entered, per_us * 1_000) <= most);
        prop_assert!(fullest(&used, tokens_per_us * 1_000) <= tokens_most);
    }

    #[test]
    fn what_was_not_needed_is_free_again_and_what_was_used_beyond_is_not_forgotten(
        steps in prop::collection::vec((0_u64..3_000_000, 1_u64..400, 0_u64..800, 0_usize..8), 1..150)
    ) {
        const MOST: u64 = 1_000;
        const PER: u64 = 10_000_000;
        let scopes = [scope("a", Rules { tokens: rate(MOST, PER / 1_000_000), ..Rules::default() })];
        let (mut table, mut at) = (Table::default(), 0);
        // What runs: when it began, granted, used, held. What counts: when, how much.
        let mut running: Vec<(u64, u64, u64, HeldList)> = Vec::new();
        let mut model: Vec<(u64, u64)> = Vec::new();
        for (step, granted, used, others) in steps {
            at += step;
            while running.len() > others {
                let (began, granted, used, held) = running.remove(0);
                table.end(&held, granted, used.min(granted), false, 1);
                model.retain(|(when, _)| *when != began);
                model.push((began, used.min(granted)));
            }
            let mut held = enter(&mut table, &scopes, now(at)).unwrap();
            let counted: u64 = model.iter().filter(|(when, _)| when + PER > at).map(|(_, amount)| amount).sum();
            let allowed = table.check_tokens(&held, granted, now(at)).is_ok();
            prop_assert_eq!(allowed, counted + granted <= MOST, "{} of {} at {}", granted, counted, at);
            if !allowed || model.iter().any(|(when, _)| *when == at) {
                table.end(&held, 0, 0, true, 0);
                continue;
            }
            table.count_tokens(&mut held, granted, now(at));
            model.push((at, granted));
            running.push((at, granted, used, held));
        }
    }

    #[test]
    fn no_bytes_upset_the_reading_of_a_snapshot(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..300) {
        let mut table = Table::default();
        let mut damaged = b"THL1".to_vec();
        damaged.extend(&bytes);
        let _: Result<_, SnapshotError> = snapshot::read(&mut table, &damaged, now(0));
        let whole = filled_snapshot();
        if cut < whole.len() {
            prop_assert!(snapshot::read(&mut table, &whole[..cut], now(0)).is_err());
        }
    }
}

/// A window of more requests than keep their own moment still keeps all promises.
#[test]
fn a_window_of_very_many_is_bounded_and_promises_the_same() {
    let scopes = [scope("a", Rules { requests: rate(20_000, 1_000), ..Rules::default() })];
    let (mut table, mut at, mut entered) = (Table::default(), 0, Vec::new());
    for step in 0..100_000_u64 {
        at = pass_after_waiting(&mut table, &scopes, 0, at + step % 97 * 500).unwrap();
        entered.push((at, 1));
    }
    assert!(fullest(&entered, 1_000_000_000) <= 20_000);
    let slot = table.slots()[0].requests.grants().len();
    assert!(slot <= GRANTS_OF_WINDOW_MAX, "{slot}");
    let whole = entered.last().unwrap().0 / 1_000_000_000 * 20_000;
    assert!(entered.len() as u64 >= whole * 99 / 100, "coarse buckets cost little: {} of {whole}", entered.len());
}

#[test]
fn a_lowered_limit_is_waited_out() {
    let mut table = Table::default();
    let before = [scope("a", Rules { requests: rate(5, 100), ..Rules::default() })];
    for at in 0..5 {
        drop(enter(&mut table, &before, now(at * 1_000_000)).unwrap());
    }
    let after = [scope("a", Rules { requests: rate(2, 100), ..Rules::default() })];
    let denied = enter(&mut table, &after, now(10_000_000)).unwrap_err();
    assert_eq!(denied.retry_after(), Some(Duration::from_millis(93)));
    assert!(enter(&mut table, &after, now(10_000_000 + wait_ns(&denied))).is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_thirty_first_waits_for_the_whole_window_and_only_its_own() {
    let limits = Limits::local();
    let [a, b] = ["a", "b"].map(|name| [scope(name, Rules { requests: rate(30, 60_000), ..Rules::default() })]);
    for left in (0..30).rev() {
        let told = limits.enter(&a).await.unwrap().told().requests.unwrap();
        assert_eq!((told.most, told.remaining, told.reset), (30, left, Duration::from_secs(60)));
    }
    let denied = limits.enter(&a).await.unwrap_err();
    assert_eq!(denied.retry_after(), Some(Duration::from_secs(60)));
    assert_eq!(denied.to_string(), "rate limit of a reached: 30 requests per 60s");
    assert!(limits.enter(&b).await.is_ok());
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(limits.enter(&a).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_request_counts_in_all_of_its_scopes_or_in_none() {
    let limits = Limits::local();
    let wide = scope("wide", Rules { requests: rate(10, 1_000), ..Rules::default() });
    let narrow =
        scope("narrow", Rules { requests: rate(1, 9_000), concurrent: NonZeroU32::new(5), ..Rules::default() });
    limits.enter(std::slice::from_ref(&narrow)).await.unwrap().settle(0);
    for _ in 0..20 {
        let denied = limits.enter(&[wide.clone(), narrow.clone(), wide.clone()]).await.unwrap_err();
        assert_eq!(denied.retry_after(), Some(Duration::from_secs(9)));
    }
    let entered = limits.enter(&[wide.clone(), wide]).await.unwrap();
    assert_eq!(entered.told().requests.unwrap().remaining, 9, "denied ones and repeated scopes are not counted");
}

#[tokio::test(start_paused = true)]
async fn a_request_denied_for_its_tokens_is_counted_nowhere() {
    let limits = Limits::local();
    let rules = Rules {
        requests: rate(2, 60_000),
        tokens: rate(100, 10_000),
        concurrent: NonZeroU32::new(1),
        ..Rules::default()
    };
    let scopes = [scope("a", rules)];
    let mut first = limits.enter(&scopes).await.unwrap();
    first.reserve(80).await.unwrap();
    first.settle(80);
    for _ in 0..5 {
        let mut entered = limits.enter(&scopes).await.unwrap();
        let denied = entered.reserve(21).await.unwrap_err();
        assert_eq!(denied.retry_after(), Some(Duration::from_secs(10)));
    }
    let mut entered = limits.enter(&scopes).await.unwrap();
    let too_large = entered.reserve(101).await.unwrap_err();
    assert!(matches!(too_large, Denied::TooLarge { most: 100, asked: 101, .. }), "{too_large:?}");
    let mut entered = limits.enter(&scopes).await.unwrap();
    entered.reserve(20).await.unwrap();
    assert_eq!(entered.told().tokens.unwrap().remaining, 0);
}

#[tokio::test(start_paused = true)]
async fn dropped_it_settles_with_what_was_noted_and_long_answers_count_as_they_come() {
    let limits = Limits::local();
    let scopes = [scope("a", Rules { tokens: rate(1_000, 10_000), ..Rules::default() })];
    let mut entered = limits.enter(&scopes).await.unwrap();
    entered.reserve(500).await.unwrap();
    entered.note(200);
    drop(entered);
    let mut long = limits.enter(&scopes).await.unwrap();
    long.reserve(100).await.unwrap();
    assert_eq!(long.told().tokens.unwrap().remaining, 700);
    long.note(790);
    let mut other = limits.enter(&scopes).await.unwrap();
    assert!(other.reserve(11).await.is_err(), "the overrun counts while the answer runs");
    long.settle(800);
    let mut other = limits.enter(&scopes).await.unwrap();
    assert!(matches!(other.reserve(1).await, Err(Denied::Tokens { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_place_is_free_when_its_request_ends() {
    let limits = Limits::local();
    let scopes = [scope("a", Rules { concurrent: NonZeroU32::new(2), ..Rules::default() })];
    let (first, second) = (limits.enter(&scopes).await.unwrap(), limits.enter(&scopes).await.unwrap());
    tokio::time::advance(Duration::from_secs(8)).await;
    let denied = limits.enter(&scopes).await.unwrap_err();
    assert_eq!(denied.to_string(), "a has 2 requests running, as many as it may");
    first.settle(0);
    let third = limits.enter(&scopes).await.unwrap();
    let denied = limits.enter(&scopes).await.unwrap_err();
    assert_eq!(denied.retry_after(), Some(Duration::from_secs(4)), "two places, each held for eight seconds");
    drop((second, third));
    assert!(limits.enter(&scopes).await.is_ok());
}

#[test]
fn a_budget_opens_with_its_period() {
    let mut table = Table::default();
    let budgets = vec![Budget { tokens: 100, period: Period::Day }, Budget { tokens: 150, period: Period::Month }];
    let scopes = [scope("a", Rules { budgets, ..Rules::default() })];
    let mut use_tokens = |tokens, at| {
        let mut held = enter(&mut table, &scopes, now(at))?;
        if let Err(denied) = table.check_tokens(&held, tokens, now(at)) {
            table.end(&held, 0, 0, true, 0);
            return Err(denied);
        }
        table.count_tokens(&mut held, tokens, now(at));
        table.end(&held, tokens, tokens, false, 1);
        Ok(())
    };
    // The clocks begin on 14 November 2023, 22:13:20.
    use_tokens(90, 0).unwrap();
    let denied = use_tokens(11, 0).unwrap_err();
    let midnight: jiff::Timestamp = "2023-11-15T00:00:00Z".parse().unwrap();
    let opens_at_ms = midnight.as_millisecond();
    assert_eq!(denied, Denied::Budget { scope: "a".into(), tokens: 100, period: Period::Day, opens_at_ms });
    use_tokens(60, (opens_at_ms - now(0).wall_ms) as u64 * 1_000_000).unwrap();
    let denied = use_tokens(1, DAY_NS).unwrap_err();
    assert!(matches!(denied, Denied::Budget { period: Period::Month, .. }), "{denied:?}");
    assert_eq!(denied.to_string(), "token budget of a spent: 150 tokens per month");
    use_tokens(100, 17 * DAY_NS).unwrap();
}

#[test]
fn sixty_four_clients_at_once_never_pass_a_limit() {
    let limits = Limits::local();
    let budgets = vec![Budget { tokens: 1_000_000, period: Period::Month }];
    let rules = Rules {
        requests: rate(9_000, 3_600_000),
        tokens: rate(400_000, 3_600_000),
        concurrent: NonZeroU32::new(32),
        budgets,
    };
    let shared = scope("key a", rules);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(8).build().unwrap();
    let used: u64 = runtime.block_on(async {
        let clients = (0..64_u64).map(|client| {
            let (limits, shared) = (limits.clone(), shared.clone());
            let own = scope(&format!("user {client}"), Rules { requests: rate(1_000, 3_600_000), ..Rules::default() });
            tokio::spawn(async move {
                let mut used = 0;
                for round in 0..300 {
                    let Ok(mut entered) = limits.enter(&[shared.clone(), own.clone()]).await else {
                        tokio::task::yield_now().await;
                        continue;
                    };
                    let estimate = 20 + (client * 7 + round) % 60;
                    if entered.reserve(estimate).await.is_ok() {
                        tokio::task::yield_now().await;
                        let real = estimate * 3 / 4;
                        entered.settle(real);
                        used += real;
                    }
                }
                used
            })
        });
        let clients: Vec<_> = clients.collect();
        let mut used = 0;
        for client in clients {
            used += client.await.unwrap();
        }
        used
    });
    assert!(used <= 400_000, "{used}");
    let Now { ns, wall_ms } = now(0);
    let mut table = Table::default();
    let bytes = limits.snapshot();
    snapshot::read(&mut table, &bytes, Now { ns, wall_ms: wall_ms.max(0) }).unwrap();
    let slot = table.slots().iter().find(|slot| slot.name.as_deref() == Some("key a")).unwrap();
    assert_eq!((slot.tokens.sum(), slot.budgets[1].used), (used, used), "nothing is lost, nothing doubled");
    assert!(slot.requests.sum() <= 9_000);
}

#[test]
fn a_full_table_forgets_empty_scopes_and_then_says_that_it_is_full() {
    let mut table = Table::default();
    let rules = Arc::new(Rules { requests: rate(1, 1_000), ..Rules::default() });
    let one = |index: usize| [Scope::new(format!("user {index}"), rules.clone())];
    for index in 0..SCOPES_MAX {
        let held = enter(&mut table, &one(index), now(0)).unwrap();
        table.end(&held, 0, 0, false, 1);
    }
    let denied = enter(&mut table, &one(SCOPES_MAX), now(1)).unwrap_err();
    assert_eq!(denied, Denied::Crowded { scope: format!("user {SCOPES_MAX}").into() });
    assert_eq!(
        denied.to_string(),
        format!("too many callers at the same time, user {SCOPES_MAX} cannot be counted now")
    );
    assert!(enter(&mut table, &one(0), now(2)).is_err(), "a full window is not forgotten");
    let held = enter(&mut table, &one(SCOPES_MAX), now(1_000_000_000)).unwrap();
    for index in 0..SCOPES_MAX / 2 {
        drop(enter(&mut table, &one(SCOPES_MAX + 1 + index), now(1_000_000_000)).unwrap());
    }
    assert!(table.len() <= SCOPES_MAX);
    table.end(&held, 0, 0, false, 1);
}

fn filled_snapshot() -> Vec<u8> {
    let mut table = Table::default();
    let budgets = vec![Budget { tokens: 100, period: Period::Day }];
    let rules = Rules { requests: rate(3, 60_000), tokens: rate(1_000, 60_000), budgets, ..Rules::default() };
    let scopes = [scope("a", rules)];
    for at in [0, 10_000_000_000, 20_000_000_000] {
        let mut held = enter(&mut table, &scopes, now(at)).unwrap();
        table.count_tokens(&mut held, 20, now(at));
        if at > 0 {
            table.end(&held, 20, 15, false, 1);
        }
    }
    let mut writer = snapshot::Writer::new("life", now(30_000_000_000));
    writer.add(table.slots());
    writer.finish()
}

#[tokio::test]
async fn a_snapshot_of_many_scopes_is_whole_and_lets_requests_pass_meanwhile() {
    const SCOPES: usize = 20_000;
    let rules = Arc::new(Rules { requests: rate(1_000, 3_600_000), ..Rules::default() });
    let limits = Limits::local();
    for index in 0..SCOPES {
        limits.enter(&[Scope::new(format!("user {index}"), rules.clone())]).await.unwrap().settle(0);
    }
    let taking = tokio::task::spawn_blocking({
        let limits = limits.clone();
        move || limits.snapshot()
    });
    let busy = [Scope::new("user 7", rules)];
    let mut passed = 0;
    while !taking.is_finished() {
        limits.enter(&busy).await.unwrap_or_else(|denied| panic!("{denied}")).settle(0);
        passed += 1;
        if passed == 900 {
            break;
        }
    }
    let bytes = taking.await.unwrap();
    let again = Limits::local();
    let restored = again.restore(&bytes, jiff::Timestamp::now().as_millisecond()).unwrap();
    assert_eq!(restored.scopes, SCOPES);
    assert_eq!(again.snapshot().len(), bytes.len(), "what was put back is the same");
}

#[test]
fn a_restart_forgets_nothing_but_what_was_running() {
    let mut table = Table::default();
    // Restarted five seconds later; the monotonic clock begins anew.
    let restart = Now { ns: 1 << 62, wall_ms: now(35_000_000_000).wall_ms };
    let (restored, life) = snapshot::read(&mut table, &filled_snapshot(), restart).unwrap();
    assert_eq!((restored.scopes, restored.taken_ms, life.as_str()), (1, now(30_000_000_000).wall_ms, "life"));
    let budgets = vec![Budget { tokens: 100, period: Period::Day }];
    let rules = Rules { requests: rate(3, 60_000), tokens: rate(1_000, 60_000), budgets, ..Rules::default() };
    let a = scope("a", rules);
    let slot = &table.slots()[0];
    assert_eq!((slot.requests.sum(), slot.tokens.sum(), slot.budgets[0].used), (2, 30, 30));
    // The one that ran had come 35 seconds ago and ended, with its line in the journal, after the snapshot.
    assert!(table.recount(&a, 20, 35_000_000_000, now(0).wall_ms, restart));
    let slot = &table.slots()[0];
    assert_eq!((slot.requests.sum(), slot.tokens.sum(), slot.budgets[0].used), (3, 50, 50));
    let denied = enter(&mut table, &[a], restart).unwrap_err();
    assert_eq!(denied.retry_after(), Some(Duration::from_secs(25)), "the oldest leaves 60 s after it came");
}
