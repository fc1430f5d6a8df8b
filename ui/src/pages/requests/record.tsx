// One request in full: where its time went, all its fields, and the record as JSON.

import { useEffect, useRef, useState } from "preact/hooks";
import { readPhaseTimes, readRow, requestBody, timestamp } from "../../api/requests";
import { type Hit, numberField, type Source, search, textField } from "../../api/search";
import { jsonTokens } from "../../lib/json";
import { addClause, clause } from "../../lib/lucene";
import { type Phase, phases } from "../../lib/phases";
import { useQuery } from "../../lib/use-query";
import { Model, StatusBadge, Tags } from "../../ui/cells";
import { useUi } from "../../ui/context";
import { CopyButton } from "../../ui/copy";
import { Icon } from "../../ui/icon";
import { Empty, ErrorNotice, Skeleton } from "../../ui/notice";

interface Props {
  requestId: string;
  query: string;
  label: string;
  close: () => void;
  search: (query: string) => void;
  previous: (() => void) | null;
  next: (() => void) | null;
}

export function Record({ requestId, query, label, close, search: find, previous, next }: Props) {
  const { t } = useUi();
  const head = useRef<HTMLHeadingElement>(null);
  const loaded = useQuery<Hit | null>(requestId, async (signal) => {
    const answer = await search(requestBody(requestId), signal);
    return answer.hits.hits[0] ?? null;
  });
  const { data, error, loading, stale, reload } = loaded;

  useEffect(() => head.current?.focus({ preventScroll: true }), []);
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !event.defaultPrevented) close();
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, [close]);

  return (
    <aside class="record" data-testid="request-panel" data-request-id={requestId} aria-label={label} aria-busy={stale}>
      <header class="record-head">
        <div class="record-name">
          <h2 ref={head} tabIndex={-1}>
            {label}
          </h2>
          <code title={requestId}>{requestId}</code>
          <CopyButton text={requestId} label={false} />
        </div>
        <div class="record-tools">
          <button
            type="button"
            class="icon-button"
            aria-label={t("record.previous")}
            title={t("record.previous")}
            disabled={previous === null}
            onClick={() => previous?.()}
          >
            <Icon name="up" />
          </button>
          <button
            type="button"
            class="icon-button"
            aria-label={t("record.next")}
            title={t("record.next")}
            disabled={next === null}
            onClick={() => next?.()}
          >
            <Icon name="down" />
          </button>
          <button
            type="button"
            class="icon-button"
            data-testid="request-close"
            aria-label={t("common.close")}
            title={t("common.close")}
            onClick={close}
          >
            <Icon name="close" />
          </button>
        </div>
      </header>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {data === null && error === null && (loading || stale) && <Skeleton lines={12} />}
      {data === null && error === null && !loading && !stale && (
        <Empty title={t("record.missing")}>
          <p>{t("record.missing_text")}</p>
        </Empty>
      )}
      {data !== null && <Body hit={data} query={query} find={find} />}
    </aside>
  );
}

function Body({ hit, query, find }: { hit: Hit; query: string; find: (query: string) => void }) {
  const { t, format } = useUi();
  const [view, setView] = useState<"fields" | "json">("fields");
  const source = hit._source;
  const row = readRow(hit);
  const json = JSON.stringify(hit, null, 2);
  const ttft = numberField(source, "ttft_ms");

  return (
    <div class="record-body">
      <div class="record-summary">
        <StatusBadge row={row} />
        <Model name={row.model} />
        <span class="quiet">
          {textField(source, "method")} {textField(source, "path")}
        </span>
        <span class="record-time">{format.dateTime(timestamp(source))}</span>
        <Tags tags={row.tags} />
      </div>
      {(row.error !== null || row.cancelled) && (
        <p class="record-error">
          <Icon name="warning" />
          {row.error ?? t("record.cancelled")}
        </p>
      )}
      <Waterfall list={phases(readPhaseTimes(source))} totalMs={row.durationMs ?? 0} ttftMs={ttft} />
      <div class="record-view">
        <div class="segments" role="group" aria-label={t("record.view")}>
          <button type="button" aria-pressed={view === "fields"} onClick={() => setView("fields")}>
            {t("record.fields")}
          </button>
          <button
            type="button"
            aria-pressed={view === "json"}
            data-testid="request-json"
            onClick={() => setView("json")}
          >
            {t("record.json")}
          </button>
        </div>
        <CopyButton text={json} />
      </div>
      {view === "fields" ? <Fields source={source} query={query} find={find} /> : <Json text={json} />}
    </div>
  );
}

function Waterfall({ list, totalMs, ttftMs }: { list: Phase[]; totalMs: number; ttftMs: number | null }) {
  const { t, format } = useUi();
  const names = {
    queue: t("phase.queue"),
    connect: t("phase.connect"),
    load: t("phase.load"),
    prefill: t("phase.prefill"),
    wait: t("phase.wait"),
    decode: t("phase.decode"),
    rest: t("phase.rest"),
  };
  const percent = (ms: number) => `${totalMs > 0 ? (ms / totalMs) * 100 : 0}%`;
  const measured = list.some((phase) => phase.name !== "rest");
  const mark = ttftMs !== null && ttftMs <= totalMs ? ttftMs : null;
  return (
    <section class="phases" data-testid="request-phases">
      <h3>
        {t("record.phases")} <span class="phases-total">{format.duration(totalMs)}</span>
      </h3>
      {!measured && <p class="quiet">{t("record.no_phases")}</p>}
      {measured && (
        <ol>
          {list.map((phase) => (
            <li key={phase.name} data-phase={phase.name} data-ms={phase.durationMs}>
              <span class="phase-name">{names[phase.name]}</span>
              <span class="phase-track" aria-hidden="true">
                <span
                  class={`phase-bar phase-${phase.name}`}
                  style={{ "--start": percent(phase.startMs), "--length": percent(phase.durationMs) }}
                />
                {mark !== null && <span class="phase-mark" style={{ "--start": percent(mark) }} />}
              </span>
              <span class="phase-time">{format.duration(phase.durationMs)}</span>
            </li>
          ))}
        </ol>
      )}
      {measured && mark !== null && (
        <div class="phase-axis" aria-hidden="true">
          <span class="phase-track">
            <span
              class={mark > totalMs / 2 ? "phase-first phase-first-left" : "phase-first"}
              style={{ "--start": percent(mark) }}
            >
              {t("column.ttft")} {format.duration(mark)}
            </span>
          </span>
        </div>
      )}
    </section>
  );
}

function Fields({ source, query, find }: { source: Source; query: string; find: (query: string) => void }) {
  const { t } = useUi();
  const fields = Object.entries(source).sort(([a], [b]) => a.localeCompare(b, "en"));
  return (
    <table class="fields">
      <tbody>
        {fields.map(([name, value]) => {
          const shown = textOf(value);
          const plain = typeof value !== "object";
          const words = { field: name, value: shown };
          return (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td class={typeof value === "number" ? "num-text" : undefined}>{shown}</td>
              <td class="field-tools">
                {plain && value !== "" && (
                  <>
                    <button
                      type="button"
                      class="icon-button"
                      aria-label={t("record.include", words)}
                      title={t("record.include", words)}
                      onClick={() => find(addClause(query, clause(name, value)))}
                    >
                      <Icon name="plus" />
                    </button>
                    <button
                      type="button"
                      class="icon-button"
                      aria-label={t("record.exclude", words)}
                      title={t("record.exclude", words)}
                      onClick={() => find(addClause(query, `NOT ${clause(name, value)}`))}
                    >
                      <Icon name="minus" />
                    </button>
                  </>
                )}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function textOf(value: unknown): string {
  if (Array.isArray(value) && value.every((one) => typeof one !== "object")) return value.join(", ");
  return typeof value === "string" ? value : JSON.stringify(value);
}

function Json({ text }: { text: string }) {
  return (
    <pre class="json" data-testid="request-json-text">
      {jsonTokens(text).map((token, at) => (
        <span key={at} class={`json-${token.kind}`}>
          {token.text}
        </span>
      ))}
    </pre>
  );
}
