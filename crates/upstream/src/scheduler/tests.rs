//! What the queue promises, by simulation in made-up time and against a model of what may happen.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use proptest::prelude::*;

use super::core::*;
use super::*;
use crate::Priority;

/// A simulated world: servers of one place or more, requests with lengths, time that jumps.
struct World {
    core: Core<usize>,
    now: Instant,
    jobs: Vec<Job>,
    /// End of work → who works.
    running: BTreeMap<(Instant, usize), Grant>,
    /// In the order in which they were given a place.
    served: Vec<usize>,
    refused: Vec<usize>,
    loads: u32,
    load: Duration,
    wait: Duration,
}

#[derive(Clone)]
struct Job {
    flow: String,
    class: Priority,
    weight: u32,
    stops: Arc<[Stop]>,
    takes: Duration,
    came: Instant,
    order: Option<Order>,
}

fn stops(model: &str, tiers: &[&[ServerId]]) -> Arc<[Stop]> {
    let tiers = tiers.iter().enumerate();
    let stops = tiers.flat_map(|(tier, servers)| {
        servers.iter().map(move |server| Stop { server: *server, tier: tier as u32, model: model.into() })
    });
    stops.collect()
}

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

impl World {
    fn new(parallel: &[u32], queue: QueueSpec) -> Self {
        let (mut core, now) = (Core::new(queue), Instant::now());
        for places in parallel {
            core.add(*places, true, now);
        }
        let (jobs, running, served, refused) = (Vec::new(), BTreeMap::new(), Vec::new(), Vec::new());
        Self { core, now, jobs, running, served, refused, loads: 0, load: secs(5.0), wait: queue.wait }
    }

    fn ask(&mut self, flow: &str, model: &str, takes: Duration) -> usize {
        self.ask_as(flow, Priority::Normal, 1, stops(model, &[&[0]]), takes)
    }

    fn ask_as(&mut self, flow: &str, class: Priority, weight: u32, stops: Arc<[Stop]>, takes: Duration) -> usize {
        let id = self.jobs.len();
        let ask = Ask { flow, weight, class, tokens: 1000, stops: &stops, prefix: None, again: None };
        let (mut order, mut granted, mut lost) = (None, None, None);
        match self.core.offer(&ask, self.now, || id) {
            Offer::Granted(grant) => granted = Some(grant),
            Offer::Queued { order: queued, dropped, .. } => {
                order = Some(queued);
                lost = dropped.map(|(victim, _)| victim);
            }
            Offer::Refused(_) => lost = Some(id),
        }
        self.refused.extend(lost);
        self.jobs.push(Job { flow: flow.into(), class, weight, stops, takes, came: self.now, order });
        if let Some(grant) = granted {
            self.serve(id, grant);
        }
        id
    }

    fn serve(&mut self, id: usize, grant: Grant) {
        let job = &self.jobs[id];
        let mut takes = job.takes;
        if grant.heat != Heat::Loaded {
            self.loads += 1;
            takes += self.load;
        }
        self.served.push(id);
        self.running.insert((self.now + takes, id), grant);
    }

    /// Goes on until the next request is done; false when none is running.
    fn step(&mut self) -> bool {
        let Some(((ends, id), grant)) = self.running.pop_first() else { return false };
        let kept = ends - self.now;
        self.now = ends;
        // Those who have waited for too long leave, as their own timers would have it.
        for job in &self.jobs {
            if let Some(order) = job.order.filter(|_| self.now - job.came > self.wait) {
                self.core.leave(order);
            }
        }
        let model = Arc::clone(&self.jobs[id].stops[grant.stop].model);
        if let Some(lane) = self.core.lane_mut(grant.server) {
            lane.residency.answered(&model);
            // Memory for one model.
            let changes = lane.residency.changes();
            lane.residency.told(std::slice::from_ref(&model), changes);
        }
        let moved = self.core.release(&grant, Some(kept), self.now);
        for (id, grant) in moved.granted {
            self.serve(id, grant);
        }
        true
    }

    fn run(&mut self) {
        while self.step() {}
    }

    fn place_of(&self, id: usize) -> usize {
        self.served.iter().position(|served| *served == id).expect("served")
    }
}

#[test]
fn two_models_on_one_place_do_not_thrash() {
    for takes in [0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 20.0] {
        for pattern in ["AB", "AABB", "ABB", "BAAAB"] {
            let mut world = World::new(&[1], QueueSpec::default());
            for (number, model) in pattern.chars().cycle().take(40).enumerate() {
                world.ask(&format!("flow {}", number % 5), &model.to_string(), secs(takes));
            }
            world.run();
            assert!(world.loads <= 4, "{} loads, {takes} s each, {pattern}", world.loads);
            if takes < 1.0 {
                assert_eq!(world.served.len(), 40, "{takes} s each, {pattern}");
            }
        }
    }
}

#[test]
fn a_request_for_another_model_is_passed_over_for_half_the_wait_at_most() {
    let mut world = World::new(&[1], QueueSpec { depth: 1000, wait: secs(600.0) });
    world.load = secs(0.0);
    // Both have been here, so that their cost is known.
    world.ask("warm", "A", secs(1.0));
    world.ask("warm", "B", secs(1.0));
    world.ask("warm", "A", secs(1.0));
    world.run();
    let started = world.now;
    for _ in 0..900 {
        world.ask("many", "A", secs(1.0));
    }
    let other = world.ask("other", "B", secs(1.0));
    while !world.served.contains(&other) {
        assert!(world.step());
    }
    let waited = world.now - started;
    assert!(waited >= secs(299.0) && waited <= secs(302.0), "{waited:?}");
}

#[test]
fn a_greedy_flow_delays_another_by_one_request_per_place() {
    for places in [1, 4] {
        let mut world = World::new(&[places], QueueSpec::default());
        world.load = secs(0.0);
        for _ in 0..200 + places {
            world.ask("greedy", "m", secs(10.0));
        }
        world.step();
        let (came, before) = (world.now, world.served.len());
        let single = world.ask("single", "m", secs(10.0));
        while !world.served.contains(&single) {
            assert!(world.step());
        }
        assert!(world.now - came <= secs(10.0), "{places} places: waited {:?}", world.now - came);
        assert!(world.place_of(single) - before <= places as usize, "{places} places");
    }
}

#[test]
fn places_are_shared_by_weight() {
    let mut world = World::new(&[2], QueueSpec { depth: 1000, wait: secs(1e6) });
    for _ in 0..200 {
        for (flow, weight) in [("a", 1), ("b", 2), ("c", 5)] {
            world.ask_as(flow, Priority::Normal, weight, stops("m", &[&[0]]), secs(1.0));
        }
    }
    world.run();
    let count = |flow: &str| world.served[..160].iter().filter(|id| world.jobs[**id].flow == flow).count();
    let counts = [count("a"), count("b"), count("c")];
    assert!(counts[0].abs_diff(20) <= 2 && counts[1].abs_diff(40) <= 2 && counts[2].abs_diff(100) <= 3, "{counts:?}");
    assert!(world.jobs.iter().all(|job| job.weight > 0));
}

#[test]
fn high_goes_first_and_nobody_starves() {
    let mut world = World::new(&[1], QueueSpec { depth: 1000, wait: secs(1e6) });
    world.load = secs(0.0);
    let one = stops("m", &[&[0]]);
    world.ask("x", "m", secs(1.0));
    let low: Vec<usize> = (0..3).map(|_| world.ask_as("l", Priority::Low, 1, Arc::clone(&one), secs(1.0))).collect();
    for _ in 0..200 {
        world.ask_as("h", Priority::High, 1, Arc::clone(&one), secs(1.0));
    }
    world.run();
    for (turn, id) in low.iter().enumerate() {
        let place = world.place_of(*id);
        let due = (turn + 1) * CLASS_WAIT_MAX.as_secs() as usize;
        assert!(place.abs_diff(due) <= 2, "low {turn} at {place}, due {due}");
    }
    assert_eq!(world.jobs[world.served[1]].class, Priority::High);
}

#[test]
fn a_full_queue_makes_room_for_those_with_little_in_it() {
    let mut world = World::new(&[1], QueueSpec { depth: 10, wait: secs(60.0) });
    for _ in 0..20 {
        world.ask("greedy", "m", secs(3.0));
    }
    assert_eq!(world.refused.len(), 9, "one runs, ten wait");
    let others: Vec<usize> = (0..5).map(|other| world.ask(&format!("other {other}"), "m", secs(3.0))).collect();
    assert_eq!(world.refused.len(), 14);
    assert!(world.refused.iter().all(|id| world.jobs[*id].flow == "greedy"));
    let low = world.ask_as("l", Priority::Low, 1, stops("m", &[&[0]]), secs(1.0));
    assert!(world.refused.contains(&low), "a lower class pushes nobody out");
    world.run();
    assert!(others.iter().all(|id| world.place_of(*id) <= 6));
}

#[test]
fn retry_after_is_what_the_measured_rate_makes() {
    let mut world = World::new(&[2], QueueSpec { depth: 10, wait: secs(60.0) });
    world.load = secs(0.0);
    let all = stops("m", &[&[0]]);
    let full = |world: &mut World| {
        let ask = Ask {
            flow: "greedy",
            weight: 1,
            class: Priority::Normal,
            tokens: 1,
            stops: &all,
            prefix: None,
            again: None,
        };
        match world.core.offer(&ask, world.now, || 0) {
            Offer::Refused(Refused::Full(wait)) => wait,
            other => panic!("{other:?}"),
        }
    };
    for _ in 0..12 {
        world.ask("greedy", "m", secs(4.0));
    }
    assert_eq!(full(&mut world), None, "nothing measured yet");
    for _ in 0..100 {
        world.step();
        world.ask("greedy", "m", secs(4.0));
    }
    let wait = full(&mut world).expect("measured");
    // Ten wait, two are served at a time, 4 s each; a step of this world sees half of the two at once.
    assert!(wait >= secs(9.0) && wait <= secs(21.0), "{wait:?}");
}

#[test]
fn the_best_of_the_free_servers_is_taken() {
    let mut core: Core<()> = Core::new(QueueSpec::default());
    let now = Instant::now();
    let servers: Vec<ServerId> = (0..3).map(|_| core.add(2, true, now)).collect();
    let equal = stops("m", &[&[0, 1], &[2]]);
    let ask = |core: &mut Core<()>, prefix, tokens| {
        let ask = Ask { flow: "f", weight: 1, class: Priority::Normal, tokens, stops: &equal, prefix, again: None };
        match core.offer(&ask, now, || ()) {
            Offer::Granted(grant) => grant,
            other => panic!("{other:?}"),
        }
    };
    let first = ask(&mut core, Some(7), 100);
    assert_eq!(first.server, servers[0]);
    assert_eq!(ask(&mut core, None, 10).server, servers[0], "the model is loaded there");
    let third = ask(&mut core, None, 10);
    assert_eq!(third.server, servers[1], "no place at the first");
    core.release(&first, None, now);
    let again = ask(&mut core, Some(7), 10);
    assert_eq!(again.server, servers[0], "it knows the conversation");
    core.release(&again, None, now);
    core.release(&third, None, now);
    assert_eq!(ask(&mut core, None, 10).server, servers[1], "it has less to do");
    for expected in [0, 1, 2, 2] {
        assert_eq!(ask(&mut core, None, 1).server, servers[expected], "the later tier comes last");
    }
    assert_eq!(core.lane(servers[2]).map(|lane| lane.running), Some(2));
}

#[test]
fn gates_hold_try_and_refuse() {
    let mut core: Core<u32> = Core::new(QueueSpec::default());
    let now = Instant::now();
    core.add(2, false, now);
    let one = stops("m", &[&[0]]);
    let offer = |core: &mut Core<u32>, id| {
        let ask =
            Ask { flow: "f", weight: 1, class: Priority::Normal, tokens: 1, stops: &one, prefix: None, again: None };
        core.offer(&ask, now, || id)
    };
    core.set_gate(0, Gate::Held, now);
    for id in 0..3 {
        assert!(matches!(offer(&mut core, id), Offer::Queued { position, .. } if position == id + 1));
    }
    let tried = core.set_gate(0, Gate::Trial, now).granted;
    assert_eq!(tried.len(), 1, "one at a time");
    assert_eq!(core.release(&tried[0].1, None, now).granted.len(), 1, "the trial was given up: the next one");
    assert_eq!(core.set_gate(0, Gate::Open, now).granted.len(), 1);
    assert!(matches!(offer(&mut core, 9), Offer::Queued { .. }));
    let lost = core.set_gate(0, Gate::Shut, now).refused;
    assert!(matches!(lost[..], [(9, Refused::Shut)]));
    assert!(matches!(offer(&mut core, 10), Offer::Refused(Refused::Shut)));
}

#[test]
fn who_asks_again_keeps_its_turn() {
    let mut core: Core<u32> = Core::new(QueueSpec::default());
    let now = Instant::now();
    core.add(1, false, now);
    let one = stops("m", &[&[0]]);
    let ask =
        |flow, again| Ask { flow, weight: 1, class: Priority::Normal, tokens: 900, stops: &one, prefix: None, again };
    let Offer::Granted(first) = core.offer(&ask("a", None), now, || 0) else { panic!("a free place") };
    for id in 1..4 {
        assert!(matches!(core.offer(&ask("a", None), now, || id), Offer::Queued { .. }));
    }
    core.set_gate(0, Gate::Held, now);
    core.release(&first, None, now);
    assert!(matches!(core.offer(&ask("a", Some(first.order)), now, || 0), Offer::Queued { position: 1, .. }));
    let next = core.set_gate(0, Gate::Open, now).granted;
    assert!(matches!(next[..], [(0, _)]));
}

/// What may happen to the queue.
#[derive(Debug, Clone)]
enum Op {
    Offer { flow: u8, class: u8, model: u8, servers: u8, tokens: u16, prefix: Option<u8> },
    Release(usize),
    Leave(usize),
    Gate(u8, u8),
    Told(u8, u8),
    Sleep(u16),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..6u8, 0..3u8, 0..3u8, 1..8u8, any::<u16>(), proptest::option::of(0..4u8)).prop_map(
            |(flow, class, model, servers, tokens, prefix)| Op::Offer { flow, class, model, servers, tokens, prefix }
        ),
        4 => any::<prop::sample::Index>().prop_map(|index| Op::Release(index.index(64))),
        2 => any::<prop::sample::Index>().prop_map(|index| Op::Leave(index.index(64))),
        1 => (0..3u8, 0..4u8).prop_map(|(server, gate)| Op::Gate(server, gate)),
        1 => (0..3u8, 0..8u8).prop_map(|(server, models)| Op::Told(server, models)),
        1 => (0..40_000u16).prop_map(Op::Sleep),
    ]
}

proptest! {
    /// Whatever happens: nobody is lost, told twice or given a place that is not there; nobody waits beside a free place;
    /// and when all have left, everything is as at the beginning.
    #[test]
    fn nobody_is_lost_and_no_place_leaks(ops in prop::collection::vec(op(), 1..400)) {
        let parallel = [1u32, 2, 4];
        let mut now = Instant::now();
        let mut core: Core<u64> = Core::new(QueueSpec { depth: 8, wait: secs(60.0) });
        for places in parallel {
            core.add(places, true, now);
        }
        let mut next = 0u64;
        let mut gates = [Gate::Open; 3];
        let mut running: Vec<(u64, Grant)> = Vec::new();
        // Who waits: the order and the servers.
        let mut waiting: BTreeMap<u64, (Order, Arc<[Stop]>)> = BTreeMap::new();
        for op in ops {
            let mut moved = None;
            match op {
                Op::Offer { flow, class, model, servers, tokens, prefix } => {
                    let class = [Priority::Low, Priority::Normal, Priority::High][class as usize];
                    let list: Arc<[Stop]> = (0..3usize)
                        .filter(|server| servers & (1 << server) != 0)
                        .map(|server| Stop { server, tier: server as u32 / 2, model: format!("m{model}").into() })
                        .collect();
                    let flow = format!("f{flow}");
                    let ask = Ask {
                        flow: &flow, weight: 1, class, tokens: tokens.into(), stops: &list,
                        prefix: prefix.map(u64::from), again: None,
                    };
                    next += 1;
                    match core.offer(&ask, now, || next) {
                        Offer::Granted(grant) => running.push((next, grant)),
                        Offer::Queued { order, position, dropped } => {
                            if let Some((victim, _)) = dropped {
                                prop_assert!(waiting.remove(&victim).is_some());
                            }
                            waiting.insert(next, (order, list));
                            prop_assert!(position as usize <= waiting.len());
                        }
                        Offer::Refused(_) => {}
                    }
                }
                Op::Release(index) if !running.is_empty() => {
                    let (_, grant) = running.swap_remove(index % running.len());
                    let model = format!("m{}", index % 3);
                    core.lane_mut(grant.server).expect("there").residency.answered(&model);
                    moved = Some(core.release(&grant, Some(secs(1.0)), now));
                }
                Op::Leave(index) if !waiting.is_empty() => {
                    let id = *waiting.keys().nth(index % waiting.len()).expect("one");
                    let (order, _) = waiting.remove(&id).expect("one");
                    prop_assert_eq!(core.leave(order), Some(id));
                    prop_assert_eq!(core.leave(order), None);
                }
                Op::Gate(server, gate) => {
                    let gate = [Gate::Open, Gate::Trial, Gate::Held, Gate::Shut][gate as usize];
                    gates[server as usize] = gate;
                    moved = Some(core.set_gate(server.into(), gate, now));
                }
                Op::Told(server, models) => {
                    let models: Vec<Arc<str>> = (0..3).filter(|model| models & (1 << model) != 0)
                        .map(|model| format!("m{model}").into()).collect();
                    let residency = &mut core.lane_mut(server.into()).expect("there").residency;
                    residency.told(&models, residency.changes());
                }
                Op::Sleep(ms) => now += Duration::from_millis(ms.into()),
                _ => {}
            }
            for (id, grant) in moved.iter().flat_map(|moved| &moved.granted) {
                let (_, list) = waiting.remove(id).expect("who is told has waited");
                prop_assert_eq!(list[grant.stop].server, grant.server);
                running.push((*id, grant.clone()));
            }
            for (id, _) in moved.iter().flat_map(|moved| &moved.refused) {
                prop_assert!(waiting.remove(id).is_some());
            }
            for server in 0..3 {
                let lane = core.lane(server).expect("there");
                let works = running.iter().filter(|(_, grant)| grant.server == server);
                prop_assert_eq!(lane.running as usize, works.clone().count());
                prop_assert_eq!(lane.tokens, works.map(|(_, grant)| grant.tokens).sum::<u64>());
                prop_assert!(lane.running <= parallel[server]);
                let waits = waiting.values().filter(|(_, list)| list.iter().any(|stop| stop.server == server)).count();
                prop_assert_eq!(lane.waits() as usize, waits);
                prop_assert!(!lane.has_place(now) || waits == 0, "somebody waits beside a free place");
                prop_assert_eq!(lane.gate(), gates[server]);
            }
            let places: BTreeSet<u32> = waiting.values().map(|(order, _)| core.position(*order).expect("waits")).collect();
            prop_assert!(waiting.is_empty() || places.first() == Some(&1));
        }
        for (order, _) in std::mem::take(&mut waiting).into_values() {
            core.leave(order);
        }
        for (_, grant) in running {
            let moved = core.release(&grant, None, now);
            prop_assert!(moved.granted.is_empty());
        }
        for server in 0..3 {
            let lane = core.lane(server).expect("there");
            prop_assert_eq!((lane.running, lane.waits(), lane.tokens), (0, 0, 0));
            core.retire(server);
            prop_assert!(core.lane(server).is_none());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_place_leaks_after_a_thousand_random_cancellations() {
    let scheduler = Scheduler::new(QueueSpec { depth: 2000, wait: secs(60.0) });
    let lanes = [scheduler.add(2, true), scheduler.add(3, true)];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut tasks = Vec::new();
    for _ in 0..1000 {
        let (scheduler, model) = (Arc::clone(&scheduler), format!("m{}", random(3)));
        let (works, lives) = (Duration::from_millis(random(40)), Duration::from_millis(random(200)));
        let (flow, answers) = (format!("f{}", random(7)), random(2) == 0);
        tasks.push(tokio::spawn(async move {
            let stops = stops(&model, &[&[0, 1]]);
            let ask = Ask {
                flow: &flow,
                weight: 1,
                class: Priority::Normal,
                tokens: 5,
                stops: &stops,
                prefix: None,
                again: None,
            };
            let progress = Progress::default();
            let life = async {
                let mut slot = scheduler.place(ask, Instant::now() + secs(60.0), &progress).await.expect("a place");
                if answers {
                    slot.answers();
                }
                tokio::time::sleep(works).await;
            };
            let _ = tokio::time::timeout(lives, life).await;
            assert_eq!(progress.position(), None);
        }));
    }
    for task in tasks {
        task.await.expect("no panic");
    }
    for lane in &lanes {
        let seen = lane.seen();
        assert_eq!((seen.running, seen.waiting), (0, 0));
    }
    assert!(lanes[0].seen().parallel == 2);
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_told_and_sees_its_place_on_the_way() {
    let scheduler = Scheduler::new(QueueSpec { depth: 10, wait: secs(60.0) });
    let lane = scheduler.add(1, false);
    let all = stops("m", &[&[0]]);
    let ask =
        || Ask { flow: "f", weight: 1, class: Priority::Normal, tokens: 5, stops: &all, prefix: None, again: None };
    let (late, progress) = (Instant::now() + secs(60.0), [Progress::default(), Progress::default()]);
    let slot = scheduler.place(ask(), late, &Progress::default()).await.expect("free");
    assert_eq!(slot.stop().server, lane.id());
    let mut first = Box::pin(scheduler.place(ask(), late, &progress[0]));
    assert!((&mut first).now_or_never().is_none());
    let mut second = Box::pin(scheduler.place(ask(), late, &progress[1]));
    assert!((&mut second).now_or_never().is_none());
    assert_eq!([progress[0].position(), progress[1].position()], [Some(1), Some(2)]);
    drop(first);
    assert_eq!([progress[0].position(), progress[1].position()], [None, Some(1)]);
    assert_eq!(progress[1].first_position(), Some(2));
    assert!(matches!(second.await, Err(Refused::Late(_))));
    assert_eq!(lane.seen().waiting, 0);
    drop(slot);
    assert_eq!(lane.seen().running, 0);
}
