// One step of a run: each of its items with what it took and gave, and doing it again with other words.

import { useState } from "preact/hooks";
import { isOver, type Item, retryRun, type Run, type Step } from "../../api/tasks";
import { clause } from "../../lib/lucene";
import type { Changes } from "../../lib/route";
import { useChange } from "../../lib/use-change";
import { useUi } from "../../ui/context";
import { Field } from "../../ui/field";
import { Icon } from "../../ui/icon";
import { Lamp } from "../../ui/lamp";
import { ErrorNotice } from "../../ui/notice";
import { Panel } from "../../ui/panel";
import { objectOf } from "./answer";
import { KINDS, PROGRESS } from "./words";

const ITEMS_SHOWN = 50;

interface Props {
  run: Run;
  step: Step;
  may: boolean;
  done: () => void;
  show: (changes: Changes) => void;
}

export function StepView({ run, step, may, done }: Props) {
  const { t } = useUi();
  const records = { kind: "task", q: `${clause("task_run", run.id)} AND ${clause("task_step", step.name)}` };
  return (
    <Panel area="step" title={step.name} note={t(KINDS[step.kind])} records={records}>
      <div class="task-step" data-testid="step" data-step={step.name}>
        {step.items.length === 0 && <p class="quiet">{t("tasks.not_begun")}</p>}
        {step.items.slice(0, ITEMS_SHOWN).map((item, at) => (
          <ItemView key={item.index ?? at} item={item} />
        ))}
        {step.items.length > ITEMS_SHOWN && (
          <p class="quiet">{t("tasks.items_more", { count: step.items.length - ITEMS_SHOWN })}</p>
        )}
        {may && (isOver(run) || run.status === "paused" || run.status === "asking") && step.progress !== "open" && (
          <Retry run={run} step={step} done={done} />
        )}
      </div>
    </Panel>
  );
}

function ItemView({ item }: { item: Item }) {
  const { t, format } = useUi();
  const progress = PROGRESS[item.progress];
  const took = item.begun_ms != null && item.ended_ms != null ? item.ended_ms - item.begun_ms : null;
  return (
    <section class="task-item" data-testid="step-item" data-progress={item.progress}>
      <div class="step-head">
        {item.index != null && <strong>{item.index + 1}</strong>}
        <Lamp colour={progress.colour}>{t(progress.text)}</Lamp>
        {took !== null && <span class="quiet">{format.duration(took)}</span>}
        {item.attempts > 1 && <span class="tag tag-warn">{t("tasks.attempts", { count: item.attempts })}</span>}
        {item.maybe_twice && <span class="tag tag-warn">{t("tasks.maybe_twice")}</span>}
      </div>
      {item.error != null && <p class="tone-fault">{item.error}</p>}
      <Value name="work" words={t("tasks.work")} value={item.work} />
      <Value name="value" words={t("tasks.value")} value={item.value} />
      {item.partial != null && <Value name="partial" words={t("tasks.partial")} value={item.partial} />}
    </section>
  );
}

function Value({ name, words, value }: { name: string; words: string; value: unknown }) {
  if (value === undefined || value === null) return null;
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return (
    <div>
      <h3>{words}</h3>
      <pre class="task-value" tabIndex={0} data-testid={`item-${name}`}>
        <code>{text}</code>
      </pre>
    </div>
  );
}

/** Does the step and all behind it again, with the work as it was or as it is written now. */
function Retry({ run, step, done }: { run: Run; step: Step; done: () => void }) {
  const { t } = useUi();
  const work = step.items.length === 1 ? (step.items[0]?.work ?? null) : null;
  const before = work === null ? "" : JSON.stringify(work, null, 2);
  const [text, setText] = useState(before);
  const read = objectOf(text === "" ? "{}" : text);
  const changed = text === before || read === null ? {} : { work: changedOf(read, objectOf(before) ?? {}) };
  const retry = useChange(() => retryRun(run.id, step.name, changed), done);
  return (
    <details class="task-retry">
      <summary data-testid="retry-open">{t("tasks.retry")}</summary>
      {work !== null && (
        <Field words={t("tasks.retry_work")} hint={read === null ? t("tasks.no_json") : undefined}>
          <textarea
            class="task-json"
            data-testid="retry-work"
            rows={10}
            spellcheck={false}
            aria-invalid={read === null}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </Field>
      )}
      {retry.error !== null && <ErrorNotice error={retry.error} />}
      <button type="button" class="button primary" data-testid="retry" disabled={retry.busy || read === null} onClick={retry.start}>
        <Icon name="again" />
        {t("tasks.retry_start", { step: step.name })}
      </button>
    </details>
  );
}

function changedOf(now: Record<string, unknown>, before: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(now).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name])));
}
