// One record at the side: what it is, where its time went, its fields, JSON, and what was written around it.

import { useEffect, useRef, useState } from "preact/hooks";
import { aroundBody, headline, nameOf, REQUEST_KIND, recordBody } from "../../api/discover";
import { readPhaseTimes, readRow, timestamp } from "../../api/requests";
import { type Hit, numberField, search, textField } from "../../api/search";
import { phases } from "../../lib/phases";
import type { QueryLanguage } from "../../lib/query";
import { sharedOf } from "../../lib/range";
import { address, changed, requestAddress } from "../../lib/route";
import { useQuery } from "../../lib/use-query";
import { Level, Model, StatusBadge, Tags } from "../../ui/cells";
import { useUi } from "../../ui/context";
import { CopyButton } from "../../ui/copy";
import { Icon } from "../../ui/icon";
import { Link } from "../../ui/link";
import { Empty, ErrorNotice, Skeleton } from "../../ui/notice";
import { Waterfall } from "../../ui/phases";
import { Fields, Json } from "../../ui/record-fields";

interface Props {
  name: string;
  query: string;
  language: QueryLanguage;
  params: URLSearchParams;
  columns: string[];
  toggleColumn: (name: string) => void;
  close: () => void;
  search: (query: string) => void;
  previous: (() => void) | null;
  next: (() => void) | null;
}

export function RecordPanel(props: Props) {
  const { name, close, previous, next, params } = props;
  const { t } = useUi();
  const head = useRef<HTMLHeadingElement>(null);
  const loaded = useQuery<Hit | null>(name, async (signal) => {
    const answer = await search(recordBody(name), signal);
    return answer.hits.hits[0] ?? null;
  });
  const { data, error, loading, stale, reload } = loaded;
  const isRequest = data === null ? !name.startsWith("seq:") : textField(data._source, "kind") === REQUEST_KIND;
  const label = t(isRequest ? "record.title" : "record.record");

  useEffect(() => head.current?.focus({ preventScroll: true }), []);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
      if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
      if (event.key === "Escape") close();
      else if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
      else if (event.key === "j") next?.();
      else if (event.key === "k") previous?.();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [close, next, previous]);

  return (
    <aside class="record" data-testid="request-panel" data-request-id={name} aria-label={label} aria-busy={stale}>
      <header class="record-head">
        <div class="record-name">
          <h2 ref={head} tabIndex={-1}>
            {label}
          </h2>
          <code title={name}>{name}</code>
          <CopyButton text={name} label={false} />
        </div>
        <div class="record-tools">
          {isRequest && (
            <Link class="button small" href={requestAddress(name, sharedOf(params))} data-testid="request-story">
              {t("record.story")}
              <Icon name="right" />
            </Link>
          )}
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
      {data !== null && <Body {...props} hit={data} isRequest={isRequest} />}
    </aside>
  );
}

type View = "fields" | "json" | "around";

function Body({ hit, isRequest, query, language, columns, toggleColumn, search: find, params }: Props & { hit: Hit; isRequest: boolean }) {
  const { t } = useUi();
  const [view, setView] = useState<View>("fields");
  const source = hit._source;
  const json = JSON.stringify(hit, null, 2);
  const views: { name: View; words: string }[] = [
    { name: "fields", words: t("record.fields") },
    { name: "json", words: t("record.json") },
    { name: "around", words: t("record.around") },
  ];
  return (
    <div class="record-body">
      {isRequest ? <RequestSummary hit={hit} /> : <LineSummary hit={hit} />}
      <div class="record-view">
        <div class="segments" role="group" aria-label={t("record.view")}>
          {views.map(({ name, words }) => (
            <button
              key={name}
              type="button"
              aria-pressed={view === name}
              data-testid={`request-${name}`}
              onClick={() => setView(name)}
            >
              {words}
            </button>
          ))}
        </div>
        <CopyButton text={json} />
      </div>
      {view === "fields" && (
        <Fields {...{ source, query, language, find, columns, toggleColumn }} />
      )}
      {view === "json" && <Json text={json} />}
      {view === "around" && <Around hit={hit} params={params} />}
    </div>
  );
}

function RequestSummary({ hit }: { hit: Hit }) {
  const { t, format } = useUi();
  const source = hit._source;
  const row = readRow(hit);
  return (
    <>
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
      <Waterfall
        list={phases(readPhaseTimes(source))}
        totalMs={row.durationMs ?? 0}
        ttftMs={numberField(source, "ttft_ms")}
      />
    </>
  );
}

function LineSummary({ hit }: { hit: Hit }) {
  const { format } = useUi();
  const source = hit._source;
  return (
    <>
      <div class="record-summary">
        <Level level={textField(source, "level")} />
        <strong>{textField(source, "source") ?? textField(source, "kind")}</strong>
        <span class="record-time">{format.dateTime(timestamp(source))}</span>
      </div>
      <p class="record-line">{headline(hit)}</p>
    </>
  );
}

const AROUND = 6;

/** What was written just before and after, by whomever: the journal has one order for all. */
function Around({ hit, params }: { hit: Hit; params: URLSearchParams }) {
  const { t, format } = useUi();
  const seq = numberField(hit._source, "seq") ?? 0;
  const { data, error } = useQuery<Hit[]>(`around ${seq}`, async (signal) => {
    const [before, after] = await Promise.all(
      [true, false].map((isBefore) => search(aroundBody(seq, isBefore, AROUND), signal)),
    );
    return [...(after?.hits.hits ?? []).reverse(), hit, ...(before?.hits.hits ?? [])];
  });
  if (error !== null) return <ErrorNotice error={error} />;
  if (data === null) return <Skeleton lines={AROUND * 2} />;
  return (
    <ol class="around" data-testid="around">
      {data.map((one) => {
        const isThis = one === hit;
        const source = one._source;
        const kind = textField(source, "kind");
        // Opened in the list of all kinds, where each of them can stand.
        const to = address("discover", changed(params, { open: nameOf(one) }));
        return (
          <li key={one._id} class={isThis ? "this" : undefined} aria-current={isThis ? "true" : undefined}>
            <span class="around-time">{format.dateTime(timestamp(source))}</span>
            <span class="around-kind">{textField(source, "source") ?? kind}</span>
            <Link class="row-link around-text" href={to}>
              {headline(one) || t("record.no_text")}
            </Link>
          </li>
        );
      })}
    </ol>
  );
}
