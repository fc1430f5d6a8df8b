// Search in the requests: query box, histogram, table, and one request in full at the side.

import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api/base";
import { parseSort, type Requests, readRequests, requestsBody, type SortOrder, writeSort } from "../api/requests";
import { search } from "../api/search";
import { status } from "../api/status";
import { Chart, type ChartSeries } from "../charts/chart";
import { bucketWidth, PRESETS, presetRange, rangeOf, resolve } from "../lib/range";
import { address, type Changes, changed, go } from "../lib/route";
import { useQuery } from "../lib/use-query";
import { useUi } from "../ui/context";
import { Link } from "../ui/link";
import { Empty, ErrorNotice, Skeleton } from "../ui/notice";
import { isLive, LiveSwitch, RangePicker } from "../ui/range-picker";
import { Record } from "./requests/record";
import { Examples, SearchBox } from "./requests/search-box";
import { RequestTable } from "./requests/table";

/** How often the page asks whether the index has grown. The question is tiny; the search runs only when it has. */
const PULSE_MS = 500;
const RETRY_MS = 3_000;
const FIRST_ROWS = 50;
const ROWS_MAX = 800;
const HISTOGRAM_HEIGHT = 92;

interface Answer extends Requests {
  seen: number;
}

export function RequestsPage({ params }: { params: URLSearchParams }) {
  const { t } = useUi();
  const range = rangeOf(params);
  const query = params.get("q") ?? "";
  const sort = parseSort(params.get("sort"));
  const open = params.get("open");
  const live = isLive(params);

  const question = `${range.from} ${range.to} ${writeSort(sort) ?? ""} ${query}`;
  const [grown, setGrown] = useState({ question, size: FIRST_ROWS });
  const size = grown.question === question ? grown.size : FIRST_ROWS;

  const loaded = useQuery<Answer>(`${size} ${question}`, async (signal) => {
    // Asked first: what is written during the search counts as not yet seen.
    const seen = await indexedSeq(signal);
    const span = resolve(range, Date.now());
    const widthMs = bucketWidth(span);
    const answer = await search(requestsBody(query, span, widthMs, sort, size), signal);
    return { ...readRequests(answer, span, widthMs), seen };
  });
  const { data, error, loading, stale, reload } = loaded;

  const change = (changes: Changes, replace = false) => go(address("requests", changed(params, changes)), replace);
  const refused = error instanceof ApiError && error.status === 400 ? error : null;
  const rows = data?.rows ?? [];
  const at = rows.findIndex((row) => row.requestId === open);

  return (
    <main class={open === null ? "requests" : "requests with-panel"}>
      <div class="requests-main" aria-busy={stale}>
        <div class="toolbar">
          <SearchBox query={query} fault={refused} search={(q) => change({ q, open: null })} />
          <div class="toolbar-tools">
            <LiveSwitch page="requests" params={params} />
            <RangePicker page="requests" params={params} />
          </div>
        </div>
        {live && refused === null && (
          <Pulse
            seen={error === null ? (data?.seen ?? null) : null}
            everyMs={error === null ? PULSE_MS : RETRY_MS}
            loading={loading}
            reload={reload}
          />
        )}
        {error !== null && refused === null && <ErrorNotice error={error} retry={reload} />}
        {refused !== null && (
          <Empty title={t("requests.help")}>
            <Examples />
          </Empty>
        )}
        {data === null && error === null && <Skeleton lines={14} />}
        {data !== null && refused === null && (
          <>
            <Histogram data={data} params={params} />
            {data.rows.length === 0 ? (
              <Nothing params={params} query={query} />
            ) : (
              <RequestTable
                data={data}
                sort={sort}
                open={open}
                rowAddress={(id) => address("requests", changed(params, { open: id }))}
                sortBy={(next: SortOrder) => change({ sort: writeSort(next) })}
              />
            )}
            <More data={data} size={size} grow={(next) => setGrown({ question, size: next })} />
          </>
        )}
      </div>
      {open !== null && (
        <Record
          requestId={open}
          query={query}
          close={() => change({ open: null })}
          search={(q) => change({ q })}
          previous={at > 0 ? () => change({ open: rows[at - 1]?.requestId ?? null }, true) : null}
          next={at >= 0 && at < rows.length - 1 ? () => change({ open: rows[at + 1]?.requestId ?? null }, true) : null}
          label={t("record.title")}
        />
      )}
    </main>
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
  const { data, at } = useQuery("pulse", indexedSeq, everyMs);
  // Each beat is looked at once, when it comes.
  useEffect(() => {
    if (data !== null && !loading && (seen === null || data > seen)) reload();
  }, [at]);
  return null;
}

async function indexedSeq(signal: AbortSignal): Promise<number> {
  return (await status(signal)).index.seq;
}

function Histogram({ data, params }: { data: Requests; params: URLSearchParams }) {
  const { t, format } = useUi();
  const series: ChartSeries[] = [
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
  ];
  const width = format.width(data.widthMs);
  return (
    <section class="panel histogram" aria-label={t("chart.rate")}>
      <div class="histogram-head">
        <strong data-testid="requests-total" data-total={data.total}>
          {t("requests.count", { count: format.count(data.total) })}
        </strong>
        <span class="quiet">{format.duration(data.tookMs)}</span>
        <span class="quiet histogram-width">{t("chart.per_width", { width })}</span>
      </div>
      <Chart
        name="histogram"
        times={data.series.map((bucket) => bucket.startMs)}
        widthMs={data.widthMs}
        fromMs={data.span.fromMs}
        toMs={data.span.toMs}
        series={series}
        height={HISTOGRAM_HEIGHT}
        value={format.count}
        axisValue={format.compact}
        page="requests"
        params={params}
        summary={t("requests.count", { count: format.count(data.total) })}
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
          <Link class="button" href={address("requests", changed(params, { q: null }))}>
            {t("requests.clear")}
          </Link>
        )}
        <Link class="button" href={address("requests", changed(params, { from: widest.from, to: widest.to }))}>
          {t("empty.range_widen")}
        </Link>
      </p>
    </Empty>
  );
}

function More({ data, size, grow }: { data: Requests; size: number; grow: (size: number) => void }) {
  const { t, format } = useUi();
  if (data.rows.length === 0) return null;
  const shown = t("requests.shown", { shown: format.count(data.rows.length), total: format.count(data.total) });
  const all = data.rows.length >= data.total;
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
