// One run: how it stands, what a human is asked, its steps as a graph, and what the chosen step took and gave.

import { cancelRun, isOver, pauseRun, resumeRun, run as loadRun, type Run, type RunDetail } from "../../api/tasks";
import type { Session } from "../../api/session";
import { clause } from "../../lib/lucene";
import { mayOperate } from "../../lib/rights";
import { address, type Changes, changed } from "../../lib/route";
import { useChange } from "../../lib/use-change";
import { useQuery } from "../../lib/use-query";
import { whoWords } from "../../lib/who";
import { useUi } from "../../ui/context";
import { Icon, type IconName } from "../../ui/icon";
import { Lamp } from "../../ui/lamp";
import { Link } from "../../ui/link";
import { ErrorNotice, Skeleton } from "../../ui/notice";
import { Panel } from "../../ui/panel";
import { Answer } from "./answer";
import { StepView } from "./step";
import { tookMs } from "./runs";
import { errorWords, KINDS, PROGRESS, STATUSES, waitingWords } from "./words";

const REFRESH_MS = 1_000;

interface Props {
  id: string;
  params: URLSearchParams;
  session: Session;
  show: (changes: Changes) => void;
}

export function RunView({ id, params, session, show }: Props) {
  const { data, error, reload } = useQuery<RunDetail>(id, (signal) => loadRun(id, signal), REFRESH_MS);
  if (data === null) return error === null ? <Skeleton lines={10} /> : <ErrorNotice error={error} retry={reload} />;
  const chosen = data.steps.find(({ name }) => name === params.get("step")) ?? current(data);
  const may = mayOperate(session.role);
  return (
    <div class="run-grid" data-testid="run" data-run={id} data-status={data.summary.status}>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      <Head summary={data.summary} may={may} reload={reload} />
      {data.question != null && <Answer key={data.question.number} run={data} question={data.question} may={may} reload={reload} />}
      <Graph detail={data} chosen={chosen?.name ?? ""} params={params} />
      {chosen !== undefined && (
        <StepView key={chosen.name} run={data.summary} step={chosen} may={may} done={() => reload()} show={show} />
      )}
      <Given detail={data} params={params} />
    </div>
  );
}

/** The step that something is to be said of: the one that asks or failed, else the last that was begun. */
function current({ steps }: RunDetail) {
  const urgent = steps.find(({ progress }) => progress === "asking" || progress === "failed" || progress === "doing");
  return urgent ?? steps.findLast(({ progress }) => progress !== "open") ?? steps[0];
}

function Head({ summary, may, reload }: { summary: Run; may: boolean; reload: () => void }) {
  const ui = useUi();
  const { t, format } = ui;
  const status = STATUSES[summary.status];
  const facts: [string, string][] = [
    [t("tasks.begun"), format.moment(summary.created_ms)],
    [t("column.duration"), format.duration(tookMs(summary))],
    [t("tasks.steps"), `${summary.steps_done}/${summary.steps}`],
    [t("tasks.tokens"), format.count(summary.tokens)],
    [t("tasks.who"), whoWords(summary.who, t)],
    [t("tasks.version"), summary.version.slice(0, 12)],
  ];
  return (
    <Panel
      area="head"
      title={summary.task}
      note={summary.id}
      records={{ kind: "task", q: clause("task_run", summary.id) }}
      actions={may && <Orders summary={summary} reload={reload} />}
    >
      <div class="run-head">
        <Lamp colour={status.colour}>{t(status.text)}</Lamp>
        {summary.waiting != null && <span class="quiet">{waitingWords(summary.waiting, ui)}</span>}
        {summary.error != null && <span class="tone-fault">{errorWords(summary.error, t)}</span>}
      </div>
      <dl class="run-facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}

function Orders({ summary, reload }: { summary: Run; reload: () => void }) {
  const { t } = useUi();
  if (isOver(summary)) return null;
  return (
    <span class="row-buttons">
      {summary.status === "paused" ? (
        <Order name="resume" icon="play" words={t("tasks.resume")} run={() => resumeRun(summary.id)} reload={reload} />
      ) : (
        <Order name="pause" icon="pause" words={t("tasks.pause")} run={() => pauseRun(summary.id)} reload={reload} />
      )}
      <Order name="cancel" icon="stop" words={t("tasks.cancel")} run={() => cancelRun(summary.id)} reload={reload} />
    </span>
  );
}

interface OrderProps {
  name: string;
  icon: IconName;
  words: string;
  run: () => Promise<unknown>;
  reload: () => void;
}

function Order({ name, icon, words, run, reload }: OrderProps) {
  const order = useChange(run, reload);
  return (
    <>
      <button type="button" class="button" data-testid={`run-${name}`} disabled={order.busy} onClick={order.start}>
        <Icon name={icon} />
        {words}
      </button>
      {order.error !== null && <ErrorNotice error={order.error} />}
    </>
  );
}

/** The steps in their order, one below the other; those of `on_failure` branch off at the end. */
function Graph({ detail, chosen, params }: { detail: RunDetail; chosen: string; params: URLSearchParams }) {
  const { t } = useUi();
  return (
    <Panel area="graph" title={t("tasks.graph")} records={{ kind: "task", q: clause("task_run", detail.summary.id) }}>
      <ol class="graph" data-testid="run-graph">
        {detail.steps.map((step) => {
          const progress = PROGRESS[step.progress];
          const done = step.items.filter((item) => item.progress === "done").length;
          return (
            <li
              key={step.name}
              class={`graph-step lamp-${progress.colour}${step.on_failure ? " graph-branch" : ""}`}
              data-testid="graph-step"
              data-step={step.name}
              data-progress={step.progress}
            >
              <Link
                class="graph-link"
                href={address("tasks", changed(params, { step: step.name }))}
                aria-current={step.name === chosen ? "step" : undefined}
              >
                <Lamp colour={progress.colour}>{t(progress.text)}</Lamp>
                <strong>{step.name}</strong>
                <span class="tag">{t(KINDS[step.kind])}</span>
                {step.on_failure && <span class="tag tag-warn">{t("tasks.on_failure")}</span>}
                {step.items.length > 1 && (
                  <span class="quiet">
                    {done}/{step.items.length}
                  </span>
                )}
              </Link>
              {(step.when != null || step.each != null) && (
                <span class="graph-note">
                  {step.when != null && <code>when: {step.when}</code>} {step.each != null && <code>each: {step.each}</code>}
                </span>
              )}
            </li>
          );
        })}
      </ol>
    </Panel>
  );
}

/** What the run was given, and the runs that it began. */
function Given({ detail, params }: { detail: RunDetail; params: URLSearchParams }) {
  const { t } = useUi();
  return (
    <Panel area="given" title={t("tasks.input")} records={{ kind: "task", q: clause("task_run", detail.summary.id) }}>
      <pre class="task-value" tabIndex={0} data-testid="run-input">
        <code>{JSON.stringify(detail.input, null, 2)}</code>
      </pre>
      {detail.children.length > 0 && (
        <p class="task-words">
          {t("tasks.children")}{" "}
          {detail.children.map((child) => (
            <Link key={child} class="quiet-link" href={address("tasks", changed(params, { run: child, step: null }))}>
              {child}
            </Link>
          ))}
        </p>
      )}
    </Panel>
  );
}
