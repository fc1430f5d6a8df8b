// Discover: search in all records, of requests first. Everything that is chosen stands in the address.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError } from "../api/base";
import {
  ALL_KINDS,
  conditionOf,
  fields as loadFields,
  type List,
  listBody,
  nameOf,
  parseColumns,
  parseSort,
  type Question,
  REQUEST_KIND,
  readList,
  type SortOrder,
  writeColumns,
  writeSort,
} from "../api/discover";
import { numberField, search } from "../api/search";
import type { Session } from "../api/session";
import { status } from "../api/status";
import { Chart, type ChartSeries } from "../charts/chart";
import { useMarks } from "../charts/marks";
import type { TextKey } from "../i18n/en";
import { languageOf } from "../lib/query";
import { bucketWidth, PRESETS, presetRange, rangeOf, resolve } from "../lib/range";
import { mayOperate } from "../lib/rights";
import { address, type Changes, changed, go } from "../lib/route";
import { remember, remembered } from "../lib/store";
import { useQuery } from "../lib/use-query";
import { useUi } from "../ui/context";
import { CurlButton } from "../ui/curl";
import { Icon } from "../ui/icon";
import { Link } from "../ui/link";
import { Empty, ErrorNotice, Skeleton } from "../ui/notice";
import { isLive, LiveSwitch, RangePicker } from "../ui/range-picker";
import { Different } from "./discover/different";
import { ExportMenu } from "./discover/export";
import { FieldList } from "./discover/field-list";
import { RecordPanel } from "./discover/record";
import { SavedMenu } from "./discover/saved";
import { Examples, SearchBox } from "./discover/search-box";
import { RecordTable } from "./discover/table";

/** How soon after an answer the page asks again whether the index has grown. The server answers when it has, or after two seconds. */
const PULSE_MS = 100;
const RETRY_MS = 3_000;
const FIRST_ROWS = 50;
const ROWS_MAX = 800;
const HISTOGRAM_HEIGHT = 92;

interface Answer extends List {
  seen: number;
}

interface Props {
  params: URLSearchParams;
  session: Session;
}

export function DiscoverPage({ params, session }: Props) {
  const { t } = useUi();
  const range = rangeOf(params);
  const query = params.get("q") ?? "";
  const language = languageOf(params);
  const scope = params.get("kind") ?? REQUEST_KIND;
  const sort = parseSort(params.get("sort"));
  const columns = parseColumns(params.get("cols"), scope);
  const open = params.get("open");
  const live = isLive(params);
  const [withFields, setWithFields] = useState(remembered("fields") === "shown");
  const compare = params.get("compare") === "on";

  const questionKey = [scope, range.from, range.to, writeSort(sort) ?? "", language, query].join(" ");
  const [grown, setGrown] = useState({ question: questionKey, size: FIRST_ROWS });
  const size = grown.question === questionKey ? grown.size : FIRST_ROWS;
  const ask = (): Question => ({ scope, query, language, sort, columns, span: resolve(range, Date.now()) });

  const known = useQuery("fields", loadFields);
  const loaded = useQuery<Answer>(`${size} ${columns.join()} ${questionKey}`, async (signal) => {
    // Asked first: what is written during the search counts as not yet seen.
    const seen = await indexedSeq(signal);
    const question = ask();
    const widthMs = bucketWidth(question.span);
    const answer = await search(listBody(question, widthMs, size), signal);
    return { ...readList(answer, question.span, widthMs), seen };
  });
  const { data, error, loading, stale, reload } = loaded;

  const change = (changes: Changes, replace = false) => go(address("discover", changed(params, changes)), replace);
  const setColumns = (next: string[]) => change({ cols: writeColumns(next, scope) }, true);
  const toggleColumn = (name: string) =>
    setColumns(columns.includes(name) ? columns.filter((one) => one !== name) : [...columns, name]);
  const refused = error instanceof ApiError && error.status === 400 && query !== "" ? error : null;
  const names = useMemo(() => (data?.hits ?? []).map(nameOf), [data]);
  const at = names.findIndex((name) => name === open);
  const freshAfter = useFresh(data, questionKey);
  const fieldInfos = known.data ?? [];
  const condition = useMemo(
    () => (withFields || compare ? conditionOf(ask()) : null),
    [withFields, compare, questionKey, data],
  );
  const classes = ["discover", open === null ? "" : "with-panel", withFields ? "with-fields" : ""].join(" ");

  return (
    <main class={classes}>
      <h1 class="visually-hidden">{t("nav.discover")}</h1>
      <div class="toolbar discover-bar">
        <SearchBox
          query={query}
          language={language}
          fault={refused}
          fields={fieldInfos}
          context={() => conditionOf({ ...ask(), query: "" })}
          search={(q) => change({ q, open: null })}
          chooseLanguage={(lang) => change({ lang: lang === "kql" ? "kql" : null, open: null })}
        />
        <div class="toolbar-tools">
          <LiveSwitch page="discover" params={params} />
          <RangePicker page="discover" params={params} />
        </div>
        <div class="discover-tools">
          <ScopeSwitch scope={scope} choose={(kind) => change(scopeChange(kind))} />
          <button
            type="button"
            class="button"
            data-testid="fields-switch"
            aria-pressed={withFields}
            title={t("fields.title")}
            onClick={() => {
              remember("fields", withFields ? null : "shown");
              setWithFields(!withFields);
            }}
          >
            <Icon name="fields" />
            <span class="button-words">{t("fields.title")}</span>
          </button>
          <button
            type="button"
            class="button"
            data-testid="different-switch"
            aria-pressed={compare}
            title={t("different.title")}
            onClick={() => change({ compare: compare ? null : "on" }, true)}
          >
            <Icon name="compare" />
            <span class="button-words">{t("different.title")}</span>
          </button>
          <SavedMenu params={params} may={mayOperate(session.role)} />
          <ExportMenu ask={ask} total={data?.total ?? 0} service={session.service} />
          <CurlButton body={() => listBody(ask(), bucketWidth(ask().span), FIRST_ROWS)} session={session} />
        </div>
      </div>
      {withFields && (
        <FieldList
          fields={fieldInfos}
          error={known.error}
          columns={columns}
          condition={condition}
          language={language}
          query={query}
          search={(q) => change({ q, open: null })}
          toggle={toggleColumn}
          usual={() => change({ cols: null }, true)}
        />
      )}
      <div class="discover-main" aria-busy={stale}>
        {live && refused === null && (
          <Pulse
            seen={error === null ? (data?.seen ?? null) : null}
            everyMs={loading ? 0 : error === null ? PULSE_MS : RETRY_MS}
            loading={loading}
            reload={reload}
          />
        )}
        {error !== null && refused === null && <ErrorNotice error={error} retry={reload} />}
        {refused !== null && (
          <Empty title={t("requests.help")}>
            <Examples language={language} />
          </Empty>
        )}
        {data === null && error === null && <Skeleton lines={14} />}
        {compare && condition !== null && refused === null && (
          <Different
            question={ask()}
            language={language}
            search={(q) => change({ q, open: null })}
            close={() => change({ compare: null }, true)}
          />
        )}
        {data !== null && refused === null && (
          <>
            <Histogram data={data} params={params} />
            {data.hits.length === 0 ? (
              <Nothing params={params} query={query} />
            ) : (
              <RecordTable
                list={data}
                columns={columns}
                fields={fieldInfos}
                sort={sort}
                open={open}
                freshAfter={live ? freshAfter : Number.POSITIVE_INFINITY}
                rowAddress={(name) => address("discover", changed(params, { open: name }))}
                sortBy={(next: SortOrder) => change({ sort: writeSort(next) })}
                remove={(name) => setColumns(columns.filter((one) => one !== name))}
              />
            )}
            <More data={data} size={size} grow={(next) => setGrown({ question: questionKey, size: next })} />
          </>
        )}
      </div>
      {open !== null && (
        <RecordPanel
          name={open}
          query={query}
          language={language}
          params={params}
          columns={columns}
          toggleColumn={toggleColumn}
          close={() => change({ open: null })}
          search={(q) => change({ q })}
          previous={at > 0 ? () => change({ open: names[at - 1] ?? null }, true) : null}
          next={at >= 0 && at < names.length - 1 ? () => change({ open: names[at + 1] ?? null }, true) : null}
        />
      )}
    </main>
  );
}

/** Up to which number the records of this question were on the screen before: later ones have just come. */
function useFresh(data: List | null, question: string): number {
  const before = useRef({ question: "", top: 0 });
  return useMemo(() => {
    const { question: last, top } = before.current;
    const numbers = (data?.hits ?? []).map((hit) => numberField(hit._source, "seq") ?? 0);
    before.current = { question, top: Math.max(0, ...numbers) };
    return last === question && top > 0 ? top : Number.POSITIVE_INFINITY;
  }, [data]);
}

/** Columns and order belong to a kind of records. */
function scopeChange(kind: string): Changes {
  return { kind: kind === REQUEST_KIND ? null : kind, cols: null, sort: null, open: null };
}

const SCOPES: { kind: string; text: TextKey }[] = [
  { kind: REQUEST_KIND, text: "scope.requests" },
  { kind: "log", text: "scope.lines" },
  { kind: ALL_KINDS, text: "scope.all" },
];

function ScopeSwitch({ scope, choose }: { scope: string; choose: (kind: string) => void }) {
  const { t } = useUi();
  const other = SCOPES.every(({ kind }) => kind !== scope);
  return (
    <div class="segments" role="group" aria-label={t("scope.label")}>
      {SCOPES.map(({ kind, text }) => (
        <button
          key={kind}
          type="button"
          data-scope={kind}
          aria-pressed={scope === kind}
          onClick={() => choose(kind)}
        >
          {t(text)}
        </button>
      ))}
      {other && (
        <button type="button" aria-pressed="true">
          {scope}
        </button>
      )}
    </div>
  );
}

interface PulseProps {
  /** Up to which record the shown answer is complete; null when there is none. */
  seen: number | null;
  everyMs: number;
  loading: boolean;
  reload: () => void;
}

/** Runs `reload` when the index has grown. A component of its own, so that its beat does not draw the table anew. */
function Pulse({ seen, everyMs, loading, reload }: PulseProps) {
  const { data, at } = useQuery("pulse", (signal) => indexedSeq(signal, loading ? null : seen), everyMs);
  // Each beat is looked at once, when it comes.
  useEffect(() => {
    if (data !== null && !loading && (seen === null || data > seen)) reload();
  }, [at]);
  return null;
}

async function indexedSeq(signal: AbortSignal, beyond: number | null = null): Promise<number> {
  return (await status(signal, beyond ?? undefined)).index.seq;
}

function Histogram({ data, params }: { data: List; params: URLSearchParams }) {
  const { t, format } = useUi();
  const series: ChartSeries[] = useMemo(
    () => [
      {
        kind: "bars",
        colour: "--fault",
        label: t("chart.failed"),
        values: data.series.map((bucket) => bucket.count),
        shown: data.series.map((bucket) => bucket.errors),
      },
      {
        kind: "bars",
        colour: "--series-1",
        label: t("chart.succeeded"),
        values: data.series.map((bucket) => bucket.count - bucket.errors),
      },
    ],
    [data, t],
  );
  const times = useMemo(() => data.series.map((bucket) => bucket.startMs), [data]);
  const marks = useMarks(rangeOf(params), isLive(params));
  const width = format.width(data.widthMs);
  return (
    <section class="panel histogram" aria-label={t("chart.rate")}>
      <div class="histogram-head">
        <strong data-testid="requests-total" data-total={data.total}>
          {t("discover.count", { count: format.count(data.total) })}
        </strong>
        <span class="quiet">{format.duration(data.tookMs)}</span>
        <span class="quiet histogram-width">{t("chart.per_width", { width })}</span>
      </div>
      <Chart
        name="histogram"
        marks={marks}
        times={times}
        widthMs={data.widthMs}
        fromMs={data.span.fromMs}
        toMs={data.span.toMs}
        series={series}
        height={HISTOGRAM_HEIGHT}
        value={format.count}
        axisValue={format.compact}
        page="discover"
        params={params}
        summary={t("discover.count", { count: format.count(data.total) })}
        legend={false}
      />
    </section>
  );
}

function Nothing({ params, query }: { params: URLSearchParams; query: string }) {
  const { t } = useUi();
  const widest = presetRange(PRESETS[PRESETS.length - 1] ?? "7d");
  return (
    <Empty title={t("requests.none_title")}>
      <p>{t("requests.none_text")}</p>
      <p class="empty-actions">
        {query !== "" && (
          <Link class="button" href={address("discover", changed(params, { q: null }))}>
            {t("requests.clear")}
          </Link>
        )}
        <Link class="button" href={address("discover", changed(params, { from: widest.from, to: widest.to }))}>
          {t("empty.range_widen")}
        </Link>
      </p>
    </Empty>
  );
}

function More({ data, size, grow }: { data: List; size: number; grow: (size: number) => void }) {
  const { t, format } = useUi();
  if (data.hits.length === 0) return null;
  const shown = t("requests.shown", { shown: format.count(data.hits.length), total: format.count(data.total) });
  const all = data.hits.length >= data.total;
  return (
    <div class="more">
      <span class="quiet">{shown}</span>
      {!all && size < ROWS_MAX && (
        <button
          type="button"
          class="button"
          data-testid="requests-more"
          onClick={() => grow(Math.min(size * 2, ROWS_MAX))}
        >
          {t("requests.more")}
        </button>
      )}
      {!all && size >= ROWS_MAX && <p class="quiet">{t("requests.limit", { count: format.count(ROWS_MAX) })}</p>}
    </div>
  );
}
