//! Runs: how they come into the book, who takes them, and how their histories grow.

use serde_json::{Map, Value};

use super::database::{Arg, Row, Tx, args};
use super::{Book, DEPTH_MAX, Lease, QUEUED_MAX};
use crate::error::TaskError;
use crate::event::Entry;
use crate::run::{Begin, Digest, Run};
use crate::shown::Status;

/// Rows of one statement.
const ROWS_MAX: usize = 200;

/// A run that is to be.
#[derive(Clone, Debug)]
pub(crate) struct NewRun {
    /// What asks for it.
    pub(crate) origin: Option<String>,
    pub(crate) task: String,
    pub(crate) version: String,
    pub(crate) steps: u32,
    pub(crate) concurrency: u32,
    pub(crate) who: String,
    pub(crate) input: Map<String, Value>,
    pub(crate) scheduled_ms: Option<i64>,
    pub(crate) parent: Option<String>,
    pub(crate) depth: i64,
}

/// A run that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Claimed {
    pub(crate) lease: Lease,
    pub(crate) version: String,
    pub(crate) begin: Begin,
    pub(crate) depth: i64,
    /// Events that the house has heard of.
    pub(crate) told: i64,
}

/// What is added to a history.
#[derive(Clone, Debug)]
pub(crate) struct Added<'a> {
    pub(crate) entries: &'a [Entry],
    /// Events before these.
    pub(crate) after: i64,
    /// How the run stands with them.
    pub(crate) status: Status,
    pub(crate) digest: Digest,
    /// Events that the house has heard of by now.
    pub(crate) told: i64,
    /// When it is to be taken; `None` leaves that as it is.
    pub(crate) wake_ms: Option<i64>,
    /// Runs that it began and whose end is among these events.
    pub(crate) reported: Vec<String>,
    /// The lengths of its outputs, at its good end.
    pub(crate) lengths: Vec<(String, u64)>,
}

/// How a run is given back.
#[derive(Clone, Debug)]
pub(crate) struct Parked {
    pub(crate) status: Status,
    pub(crate) waiting: Option<String>,
    pub(crate) wake_ms: Option<i64>,
    pub(crate) told: i64,
    /// It waits for runs that it began.
    pub(crate) is_for_child: bool,
    /// Events that the worker knew: where there are more, the run is to be taken again at once.
    pub(crate) events: i64,
}

impl Book {
    /// Puts a run into the book, or finds the one of the same origin.
    pub(crate) async fn begin_run(&self, new: &NewRun, now_ms: i64) -> Result<String, TaskError> {
        let mut tx = self.database.begin(now_ms).await?;
        let id = insert(&mut tx, new, now_ms).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Takes the run that has waited longest, if there is one. Those that this worker `held` are not taken from itself, even where their
    /// leases have ended; one that bears its name and is not among them is: its lease was lost, or taken without its hearing of it.
    pub(crate) async fn claim(
        &self,
        owner: &str,
        held: &[String],
        lease_ms: i64,
        now_ms: i64,
    ) -> Result<Option<Claimed>, TaskError> {
        // Without a place to write, most looks find nothing: they need not take the writer's lock.
        let waiting = "SELECT 1 AS one FROM task_runs WHERE place = 1 AND wake_ms <= $1 LIMIT 1";
        if self.database.rows(waiting, args![now_ms]).await?.is_empty() {
            return Ok(None);
        }
        let mut tx = self.database.begin(now_ms).await?;
        let mut bound = args![owner, lease_ms, now_ms];
        let held = listed(&mut bound, held);
        let claim = format!(
            "UPDATE task_runs SET lease_owner = $1, lease_until_ms = {{now}} + $2, fence = fence + 1
            WHERE id = (SELECT id FROM task_runs
                        WHERE place = 1 AND wake_ms <= $3 AND lease_until_ms <= {{now}}
                          AND (lease_owner IS NULL OR lease_owner <> $1 OR id NOT IN ({held}))
                        ORDER BY wake_ms LIMIT 1 {{lock}})
            RETURNING id, task, version, who, input, for_ms, depth, events, told, fence"
        );
        let rows = tx.rows(&claim, bound).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let claimed = claimed(row, owner)?;
        let insert = "INSERT INTO task_leases (run, fence, owner, from_ms, events) VALUES ($1, $2, $3, {now}, $4)";
        tx.execute(insert, args![&claimed.lease.run, claimed.lease.fence, owner, row.int("events")?]).await?;
        tx.commit().await?;
        Ok(Some(claimed))
    }

    /// Prolongs the leases of the runs that a worker holds, and tells of each its fence and how many events it has. What only bears
    /// the worker's name has nobody who works at it, and is not kept from others.
    pub(crate) async fn heartbeat(
        &self,
        owner: &str,
        held: &[String],
        lease_ms: i64,
        now_ms: i64,
    ) -> Result<Vec<(String, i64, i64)>, TaskError> {
        let mut tx = self.database.begin(now_ms).await?;
        let mut bound = args![owner, lease_ms];
        let held = listed(&mut bound, held);
        let update = format!(
            "UPDATE task_runs SET lease_until_ms = {{now}} + $2 WHERE lease_owner = $1 AND id IN ({held})
            RETURNING id, fence, events"
        );
        let rows = tx.rows(&update, bound).await?;
        tx.commit().await?;
        rows.iter().map(|row| Ok((row.text("id")?, row.int("fence")?, row.int("events")?))).collect()
    }

    /// Ends all leases: there is nobody else who could hold one.
    pub(crate) async fn end_leases(&self, now_ms: i64) -> Result<u64, TaskError> {
        let mut tx = self.database.begin(now_ms).await?;
        let update = "UPDATE task_runs SET lease_owner = NULL, lease_until_ms = 0 WHERE lease_owner IS NOT NULL";
        let ended = tx.execute(update, args![]).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// Adds events to a run's history: as the worker that holds it, or as a human, for whom `lease` is `None`.
    pub(crate) async fn append(
        &self,
        run: &str,
        lease: Option<&Lease>,
        added: &Added<'_>,
        now_ms: i64,
    ) -> Result<(), TaskError> {
        let mut tx = self.database.begin(now_ms).await?;
        append(&mut tx, run, lease, added, now_ms).await?;
        tx.commit().await
    }

    /// Gives a run back.
    pub(crate) async fn park(&self, lease: &Lease, parked: &Parked, now_ms: i64) -> Result<(), TaskError> {
        let mut tx = self.database.begin(now_ms).await?;
        let update = "UPDATE task_runs SET lease_owner = NULL, lease_until_ms = 0, status = $4, waiting = $5,
                wake_ms = CASE WHEN place = 2 THEN NULL WHEN events > $6 THEN $7 ELSE $8 END,
                told = CASE WHEN $9 > told THEN $9 ELSE told END
            WHERE id = $1 AND lease_owner = $2 AND fence = $3";
        let args = args![
            &lease.run,
            &lease.owner,
            lease.fence,
            parked.status.word(),
            parked.waiting.clone(),
            parked.events,
            now_ms,
            parked.wake_ms,
            parked.told
        ];
        if tx.execute(update, args).await? == 0 {
            return Err(TaskError::Lost);
        }
        if parked.is_for_child {
            // One may have ended since it was looked at: it waited for the row of this run, or will.
            let update = "UPDATE task_runs SET wake_ms = $2 WHERE id = $1 AND EXISTS
                (SELECT 1 FROM task_runs c WHERE c.parent = $1 AND c.place = 2 AND c.is_reported = 0)";
            tx.execute(update, args![&lease.run, now_ms]).await?;
        }
        tx.commit().await
    }

    /// Ends a lease; the run is taken again.
    pub(crate) async fn end_lease(&self, lease: &Lease, now_ms: i64) -> Result<(), TaskError> {
        let mut tx = self.database.begin(now_ms).await?;
        let update = "UPDATE task_runs SET lease_owner = NULL, lease_until_ms = 0
            WHERE id = $1 AND lease_owner = $2 AND fence = $3";
        tx.execute(update, args![&lease.run, &lease.owner, lease.fence]).await?;
        tx.commit().await
    }

    /// The run of an origin.
    pub(crate) async fn run_of(&self, origin: &str) -> Result<Option<String>, TaskError> {
        let rows = self.database.rows("SELECT id FROM task_runs WHERE origin = $1", args![origin]).await?;
        rows.first().map(|row| row.text("id")).transpose()
    }

    /// What happened to a run.
    pub(crate) async fn history(&self, run: &str) -> Result<Vec<Entry>, TaskError> {
        let select = "SELECT number, body FROM task_events WHERE run = $1 ORDER BY number";
        let rows = self.database.rows(select, args![run]).await?;
        let wrong = |why: String| TaskError::Book { what: format!("the history of run {run}"), why };
        let mut history = Vec::with_capacity(rows.len());
        for row in rows {
            if row.int("number")? != history.len() as i64 + 1 {
                return Err(wrong(format!("event {} is missing", history.len() + 1)));
            }
            let entry = serde_json::from_str(&row.text("body")?);
            history.push(entry.map_err(|error| wrong(format!("event {}: {error}", history.len() + 1)))?);
        }
        Ok(history)
    }

    /// Wakes what waits for room.
    pub(crate) async fn wake_for_room(&self, now_ms: i64) -> Result<u64, TaskError> {
        let mut tx = self.database.begin(now_ms).await?;
        let update = "UPDATE task_runs SET wake_ms = $1 WHERE place = 1 AND wake_ms > $1 AND waiting LIKE 'room:%'";
        let woken = tx.execute(update, args![now_ms]).await?;
        tx.commit().await?;
        Ok(woken)
    }

    /// Ended runs of which the house has not heard everything, and nobody is about to tell it.
    pub(crate) async fn untold(&self, now_ms: i64) -> Result<Vec<(String, String, i64)>, TaskError> {
        let mut tx = self.database.begin(now_ms).await?;
        let select = "SELECT id, task, told FROM task_runs
            WHERE place = 2 AND told < events AND lease_until_ms <= {now} ORDER BY id LIMIT 100";
        let rows = tx.rows(select, args![]).await?;
        tx.commit().await?;
        rows.iter().map(|row| Ok((row.text("id")?, row.text("task")?, row.int("told")?))).collect()
    }

    /// Notes how much of an ended run the house has heard.
    pub(crate) async fn set_told(&self, run: &str, told: i64, now_ms: i64) -> Result<(), TaskError> {
        let mut tx = self.database.begin(now_ms).await?;
        tx.execute("UPDATE task_runs SET told = $2 WHERE id = $1 AND told < $2", args![run, told]).await?;
        tx.commit().await
    }
}

/// Puts a run into the book, or finds the one of the same origin.
pub(super) async fn insert(tx: &mut Tx, new: &NewRun, now_ms: i64) -> Result<String, TaskError> {
    if new.depth > DEPTH_MAX {
        return Err(TaskError::TooMuch { what: "tasks within tasks", most: DEPTH_MAX as u64 });
    }
    if let Some(origin) = &new.origin {
        let rows = tx.rows("SELECT id FROM task_runs WHERE origin = $1", args![origin]).await?;
        if let Some(row) = rows.first() {
            return row.text("id");
        }
    }
    let count = "SELECT count(*) AS count FROM task_runs WHERE task = $1 AND place = 0";
    if tx.rows(count, args![&new.task]).await?[0].int("count")? >= QUEUED_MAX {
        return Err(TaskError::TooMuch { what: "runs of one task that wait", most: QUEUED_MAX as u64 });
    }
    let id = new_id(now_ms);
    let insert =
        "INSERT INTO task_runs (id, origin, task, version, who, input, for_ms, scheduled_ms, created_ms, parent,
            depth, concurrency, steps, place, status, steps_done, tokens, words, events, told, is_reported, fence,
            lease_until_ms)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, 'queued', 0, 0, $14, 0, 0, 0, 0, 0)
        ON CONFLICT (origin) DO NOTHING";
    let input = Value::Object(new.input.clone()).to_string();
    let words = words(&id, &new.task, &new.who, &Digest::default());
    let args = args![
        &id,
        new.origin.clone(),
        &new.task,
        &new.version,
        &new.who,
        input,
        new.scheduled_ms.unwrap_or(now_ms),
        new.scheduled_ms,
        now_ms,
        new.parent.clone(),
        new.depth,
        new.concurrency,
        new.steps,
        words
    ];
    if tx.execute(insert, args).await? == 0 {
        // Another node was faster.
        let rows = tx.rows("SELECT id FROM task_runs WHERE origin = $1", args![new.origin.clone()]).await?;
        return rows.first().ok_or(TaskError::Changed)?.text("id");
    }
    give_places(tx, &new.task, now_ms).await?;
    Ok(id)
}

/// Gives the free places of a task to the runs that have waited longest.
pub(super) async fn give_places(tx: &mut Tx, task: &str, now_ms: i64) -> Result<(), TaskError> {
    // Held until the transaction ends, so that two nodes do not give the same place.
    let lock = "INSERT INTO task_places (task) VALUES ($1) ON CONFLICT (task) DO UPDATE SET task = $1";
    tx.execute(lock, args![task]).await?;
    let next = "SELECT id, concurrency FROM task_runs WHERE task = $1 AND place = 0 ORDER BY id LIMIT 1";
    loop {
        let rows = tx.rows(next, args![task]).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let count = "SELECT count(*) AS count FROM task_runs WHERE task = $1 AND place = 1";
        let taken = tx.rows(count, args![task]).await?[0].int("count")?;
        if taken >= row.int("concurrency")? {
            return Ok(());
        }
        let update = "UPDATE task_runs SET place = 1, wake_ms = $2 WHERE id = $1";
        tx.execute(update, args![row.text("id")?, now_ms]).await?;
    }
}

/// Adds these to the arguments of a statement; gives what stands for them in a list there: for none, a name
/// that no run has.
fn listed(bound: &mut Vec<Arg>, runs: &[String]) -> String {
    if runs.is_empty() {
        return "''".to_owned();
    }
    let places: Vec<String> = (1..=runs.len()).map(|at| format!("${}", bound.len() + at)).collect();
    bound.extend(runs.iter().map(Arg::from));
    places.join(", ")
}

async fn append(
    tx: &mut Tx,
    run: &str,
    lease: Option<&Lease>,
    added: &Added<'_>,
    now_ms: i64,
) -> Result<(), TaskError> {
    const UPDATE: &str = "UPDATE task_runs SET status = $5, step = $6, steps_done = $7, tokens = $8, error = $9,
            started_ms = $10, ended_ms = $11, asked = $12, words = $13, events = $14, place = $15, bytes = bytes + $18,
            told = CASE WHEN $16 > told THEN $16 ELSE told END,
            wake_ms = CASE WHEN $15 = 2 THEN NULL ELSE COALESCE($17, wake_ms) END, waiting = NULL
        WHERE id = $1 AND events = $2 AND ($3 IS NULL OR (lease_owner = $3 AND fence = $4))
        RETURNING task, parent";
    let Added { digest, status, after, .. } = added;
    let find = "SELECT task, who, lease_owner, fence FROM task_runs WHERE id = $1";
    let rows = tx.rows(find, args![run]).await?;
    let row = rows.first().ok_or_else(|| TaskError::NoRun(run.to_owned()))?;
    let words = words(run, &row.text("task")?, &row.text("who")?, digest);
    let asked = digest.asked.as_ref().and_then(|asked| serde_json::to_string(asked).ok());
    let count = after + added.entries.len() as i64;
    let bodies = added.entries.iter().map(text_of).collect::<Result<Vec<_>, _>>()?;
    let bytes: u64 = bodies.iter().map(|body| body.len() as u64).sum();
    let args = args![
        run,
        *after,
        lease.map(|lease| lease.owner.clone()),
        lease.map(|lease| lease.fence),
        status.word(),
        digest.step.clone(),
        digest.steps_done,
        digest.tokens,
        digest.error.clone(),
        digest.started_ms,
        digest.ended_ms,
        asked,
        words,
        count,
        if status.is_over() { 2_i64 } else { 1 },
        added.told,
        added.wake_ms,
        bytes
    ];
    let updated = tx.rows(UPDATE, args).await?;
    let Some(updated) = updated.first() else {
        let is_lost = match lease {
            Some(lease) => {
                row.maybe_text("lease_owner")?.as_deref() != Some(&lease.owner) || row.int("fence")? != lease.fence
            }
            None => false,
        };
        return Err(if is_lost { TaskError::Lost } else { TaskError::Changed });
    };
    for (chunk_at, chunk) in bodies.chunks(ROWS_MAX).enumerate() {
        let mut values = Vec::with_capacity(chunk.len());
        let mut bound = args![run, lease.map(|lease| lease.fence)];
        for (at, body) in chunk.iter().enumerate() {
            values.push(format!("($1, $2, ${}, ${})", 2 * at + 3, 2 * at + 4));
            bound.extend(args![*after + (chunk_at * ROWS_MAX + at) as i64 + 1, body]);
        }
        tx.execute(&format!("INSERT INTO task_events (run, fence, number, body) VALUES {}", values.join(", ")), bound)
            .await?;
    }
    for child in &added.reported {
        tx.execute("UPDATE task_runs SET is_reported = 1 WHERE id = $1", args![child]).await?;
    }
    if status.is_over() {
        let task = updated.text("task")?;
        for (step, chars) in &added.lengths {
            let insert = "INSERT INTO task_lengths (task, step, run, chars) VALUES ($1, $2, $3, $4)
                ON CONFLICT (run, step) DO UPDATE SET chars = $4";
            tx.execute(insert, args![&task, step, run, *chars]).await?;
        }
        tx.execute("DELETE FROM task_partials WHERE run = $1", args![run]).await?;
        give_places(tx, &task, now_ms).await?;
        if let Some(parent) = updated.maybe_text("parent")? {
            let wake = "UPDATE task_runs SET wake_ms = $2 WHERE id = $1 AND place = 1";
            tx.execute(wake, args![parent, now_ms]).await?;
        }
    }
    Ok(())
}

fn text_of(entry: &Entry) -> Result<String, TaskError> {
    serde_json::to_string(entry)
        .map_err(|error| TaskError::Book { what: "an event".to_owned(), why: error.to_string() })
}

fn claimed(row: &Row, owner: &str) -> Result<Claimed, TaskError> {
    let id = row.text("id")?;
    Ok(Claimed {
        lease: Lease { run: id, owner: owner.to_owned(), fence: row.int("fence")? },
        version: row.text("version")?,
        begin: begin(row)?,
        depth: row.int("depth")?,
        told: row.int("told")?,
    })
}

/// How a run began, from its row.
pub(super) fn begin(row: &Row) -> Result<Begin, TaskError> {
    let id = row.text("id")?;
    let input = serde_json::from_str(&row.text("input")?)
        .map_err(|error| TaskError::Book { what: format!("the input of run {id}"), why: error.to_string() })?;
    Ok(Begin { id, input, for_ms: row.int("for_ms")?, who: row.text("who")? })
}

fn words(id: &str, task: &str, who: &str, digest: &Digest) -> String {
    let (step, error) = (digest.step.as_deref().unwrap_or_default(), digest.error.as_deref().unwrap_or_default());
    format!("{id} {task} {who} {step} {error}").to_lowercase()
}

/// A name for a run: its time and a random part, in letters and digits, so that names in order are runs in order.
fn new_id(now_ms: i64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let random = getrandom::u64().unwrap_or_default();
    let digit = |number: u64, at: u32| char::from(DIGITS[(number >> (5 * at)) as usize & 31]);
    let time = (0..9).rev().map(|at| digit(now_ms as u64, at));
    time.chain((0..7).map(|at| digit(random, at))).collect()
}

impl Run {
    /// How it stands when somebody may take it at once.
    pub(crate) fn status_when_open(&self) -> Status {
        self.over().unwrap_or(Status::Running)
    }
}
