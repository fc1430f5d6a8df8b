//! Supervises the processes of the configuration: what they need of the house, and what is asked of them.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use jiff::Timestamp;
use regex::Regex;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tollhouse_config::{Config, ReadyConfig, RestartPolicy, StopSignalConfig, SuperviseConfig, UnitManager};
use tollhouse_console::{NotFollowed, ProcessOrder};
use tollhouse_journal::{Journal, Record};
use tollhouse_upkeep::{
    Asked, Flow, Held, House, Limits, Lines, Liveness, Memory, Order, OrderError, Pressure, Processes, Readiness,
    Restart, Rules, Spec, State, Status, StopSignal, Supervisor, Unit, Why,
};
use tollhouse_upstream::{Flowing, Hold};

use crate::house::Current;

/// Systemd kills what does not end within the unit's own time; one for which it has none is killed after this.
const UNIT_STOP_MAX: Duration = Duration::from_hours(1);

/// The processes at work.
pub(crate) struct Supervising(Supervisor);

impl Supervising {
    /// Starts what was prepared.
    pub(crate) fn new(
        config: &Config,
        journal: Journal,
        house: Current,
        lines: Lines,
        specs: Vec<Spec>,
    ) -> anyhow::Result<Self> {
        let around = Arc::new(Around { journal, house });
        Ok(Self(Supervisor::start(place(config)?, around, lines, specs)))
    }

    /// From now on these.
    pub(crate) fn adopt(&mut self, specs: Vec<Spec>) {
        self.0.adopt(specs);
    }

    /// Ends all of them.
    pub(crate) async fn end(self) {
        self.0.end().await;
    }

    /// All of them, for people.
    pub(crate) fn list(&self) -> Value {
        self.0.processes().list().iter().map(|(spec, status)| told(spec, status)).collect()
    }

    /// Follows an order, and answers when that is done; others need not wait for it.
    pub(crate) fn follow(&self, order: ProcessOrder, answer: oneshot::Sender<Result<Value, NotFollowed>>) {
        let processes = self.0.processes();
        tokio::spawn(async move {
            // Whoever has left needs no answer.
            let _: Result<(), _> = answer.send(follow(&processes, order).await);
        });
    }

    /// What is supervised, for people.
    pub(crate) fn greeting(&self) -> Option<String> {
        let names: Vec<String> = self.0.processes().list().iter().map(|(spec, _)| spec.name.clone()).collect();
        (!names.is_empty()).then(|| format!("{}  (tollhouse ps)", names.join(", ")))
    }
}

/// Where is kept what the next house has to know of the processes, and where they say something.
pub(crate) fn place(config: &Config) -> anyhow::Result<PathBuf> {
    let data = std::path::absolute(&config.data_dir).context("finding `data_dir`")?;
    Ok(data.join("supervise"))
}

/// The processes that a configuration wants.
pub(crate) fn specs(config: &Config) -> anyhow::Result<Vec<Spec>> {
    config.supervise.iter().map(spec).collect()
}

fn spec(config: &SuperviseConfig) -> anyhow::Result<Spec> {
    let context = || format!("reading `supervise.{}.ready`", config.name);
    let ready = match &config.ready {
        ReadyConfig::Runs => Readiness::Runs,
        ReadyConfig::Notify => Readiness::Notify,
        ReadyConfig::Port(port) => Readiness::Port(*port),
        ReadyConfig::Http(url) => Readiness::Http(url.parse().with_context(context)?),
        ReadyConfig::Line(expression) => Readiness::Line(Regex::new(expression).with_context(context)?),
    };
    let live = config.live.filter(|_| config.ready.is_asked());
    let bytes = |size: Option<tollhouse_units::Bytes>| size.map(|size| size.0);
    Ok(Spec {
        name: config.name.clone(),
        command: config.command.clone(),
        unit: config
            .unit
            .as_ref()
            .map(|unit| Unit { name: unit.name.clone(), is_of_user: unit.manager == UnitManager::User }),
        env: config.env.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect(),
        directory: config.directory.clone(),
        user: config.user.clone(),
        live: live.map(|(every, failures)| Liveness { ask: ready.clone(), every, failures }),
        ready,
        needs: config.needs.clone(),
        upstreams: config.upstreams.clone(),
        stalled: config.stalled,
        memory: Memory {
            soft: bytes(config.memory_soft),
            hard: bytes(config.memory_hard),
            pressure: config.memory_pressure,
        },
        limits: Limits { files: config.files_max, processes: config.processes_max },
        stop_signal: match config.signal {
            StopSignalConfig::Term => StopSignal::Term,
            StopSignalConfig::Int => StopSignal::Int,
            StopSignalConfig::Quit => StopSignal::Quit,
            StopSignalConfig::Hup => StopSignal::Hup,
        },
        adopt: config.adopt,
        rules: rules(config),
    })
}

fn rules(config: &SuperviseConfig) -> Rules {
    Rules {
        restart: match config.restart {
            RestartPolicy::Always => Restart::Always,
            RestartPolicy::OnFailure => Restart::OnFailure,
            RestartPolicy::Never => Restart::Never,
        },
        delay: config.delay,
        delay_max: config.delay_max,
        final_codes: config.final_codes.iter().map(|code| i32::from(*code)).collect(),
        start: config.start,
        stop: if config.unit.is_some() { UNIT_STOP_MAX } else { config.stop },
        drain: config.drain,
        pause_after: config.pause_after,
        critical: config.critical,
        remind: config.remind,
    }
}

async fn follow(
    processes: &Processes,
    ProcessOrder { process, order, by }: ProcessOrder,
) -> Result<Value, NotFollowed> {
    let order = match order {
        "start" => Order::Start,
        "stop" => Order::Stop,
        "restart" => Order::Restart,
        "confirm" => Order::Confirm,
        other => return Err(NotFollowed::Refused(format!("`{other}` is no order"))),
    };
    let status = processes.order(&process, order, &by).await.map_err(|error| match error {
        OrderError::Unknown(_) => NotFollowed::Unknown(error.to_string()),
        OrderError::Refused { .. } | OrderError::Ending(_) => NotFollowed::Refused(error.to_string()),
    })?;
    let all = processes.list();
    let spec = all.iter().find(|(spec, _)| spec.name == process).map(|(spec, _)| spec);
    Ok(spec.map_or(Value::Null, |spec| told(spec, &status)))
}

/// Why it is where it is, or what it waits for, in a sentence.
fn reason(spec: &Spec, status: &Status) -> Option<String> {
    let is_occupied = matches!(status.why, Some(Why::Occupied(_)));
    if status.state == State::Waiting && !is_occupied {
        return Some(format!("it needs {}", spec.needs.join(", ")));
    }
    let why = status.why.as_ref()?;
    Some(status.asked.map_or_else(|| why.to_string(), |asked| format!("{why}, and {asked}")))
}

fn told(spec: &Spec, status: &Status) -> Value {
    let time = |time: SystemTime| Timestamp::try_from(time).ok().map(|time| format!("{time:.3}"));
    json!({
        "name": spec.name,
        "state": status.state.as_str(),
        "since": time(status.since),
        "pid": status.pid,
        "starts": status.starts,
        "reason": reason(spec, status),
        "why": status.why.as_ref().map(Why::figures),
        "asked": status.asked.map(Asked::figures),
        "next_start": status.next.and_then(time),
        "memory_bytes": status.memory,
        "memory_soft_bytes": spec.memory.soft,
        "memory_hard_bytes": spec.memory.hard,
        "pressure": status.pressure.map(|pressure| pressure.percent),
        "pressure_limit": spec.memory.pressure,
        "stop_ms": spec.rules.stop.as_millis() as u64,
        "drain_ms": spec.rules.drain.as_millis() as u64,
        "command": spec.unit.as_ref().map_or_else(|| spec.command.clone(), |unit| vec![unit.name.clone()]),
        "needs": spec.needs,
        "upstreams": spec.upstreams,
        "critical": spec.rules.critical,
    })
}

/// The house as the processes need it.
#[derive(Debug)]
struct Around {
    journal: Journal,
    house: Current,
}

#[derive(Debug)]
struct HeldUpstream(Hold);

impl Held for HeldUpstream {
    fn give_up(self: Box<Self>, reason: &str) {
        self.0.give_up(reason);
    }
}

impl House for Around {
    fn record(&self, record: Record) {
        if let Err(error) = self.journal.enqueue(record) {
            tracing::error!(error = %error, "recording what becomes of a process");
        }
    }

    fn hold(&self, upstream: &str) -> Option<Box<dyn Held>> {
        let held = self.house.get().gateway.upstreams().hold(upstream, "its process is being started")?;
        Some(Box::new(HeldUpstream(held)))
    }

    fn flow(&self, upstream: &str) -> Option<Flow> {
        let Flowing { pieces, running, waiting, whole, begun, gap, is_held } =
            self.house.get().gateway.upstreams().flowing(upstream)?;
        Some(Flow { pieces, running, waiting, whole, begun, gap, is_silent: is_held })
    }

    fn recall(&self, upstream: &str, reason: &str) -> u32 {
        self.house.get().gateway.upstreams().recall(upstream, reason)
    }

    fn unload(&self, upstream: &str, all: bool) -> Pin<Box<dyn Future<Output = Vec<String>> + Send + '_>> {
        let upstream = upstream.to_owned();
        let upstreams = self.house.get().gateway.upstreams().clone();
        Box::pin(async move {
            if all { upstreams.unload_all(&upstream).await } else { upstreams.unload_idle(&upstream).await }
        })
    }

    fn pressure(&self, pid: i32) -> Option<Pressure> {
        Pressure::of(pid)
    }
}
