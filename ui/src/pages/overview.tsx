// The overview: how the house is, and what its requests cost, at one glance.

import { useMemo } from "preact/hooks";
import { CHANGES_QUERY, type Change, changesBody, readChanges } from "../api/changes";
import { type Ahead, ahead, type Forecast, forecast as loadForecast } from "../api/forecast";
import { machineBody, type Machine, type Probes, probes as loadProbes, readMachine, rooms } from "../api/probes";
import { newestBody, type Overview, overviewBody, partOf, readNewest, readOverview } from "../api/requests";
import { search, type SearchBody } from "../api/search";
import type { Session } from "../api/session";
import { models, type Status } from "../api/status";
import { Chart, type ChartSeries, MODEL_COLOURS } from "../charts/chart";
import { marksOf } from "../charts/marks";
import { peaks } from "../lib/peaks";
import { bucketWidth, PRESETS, presetRange, rangeOf, resolve, sharedOf, type Span } from "../lib/range";
import { address, type Changes, changed } from "../lib/route";
import { type Loaded, useQuery } from "../lib/use-query";
import { useUi } from "../ui/context";
import { CopyButton } from "../ui/copy";
import { CurlButton } from "../ui/curl";
import { Icon } from "../ui/icon";
import { Link } from "../ui/link";
import { Barrier } from "../ui/mark";
import { Empty, ErrorNotice, Skeleton } from "../ui/notice";
import { Panel } from "../ui/panel";
import { isLive, LiveSwitch, RangePicker } from "../ui/range-picker";
import { ChangeList } from "./overview/changes";
import { Expected } from "./overview/expected";
import { Figures } from "./overview/figures";
import { HeatMap } from "./overview/heat-map";
import { Slowest } from "./overview/slowest";
import { StateStrip } from "./overview/state-strip";
import { MachineChart } from "./probes/machine";
import { Rooms } from "./probes/rooms";

const REFRESH_MS = 5_000;
const PROBES_EVERY_MS = 10_000;
const FORECAST_EVERY_MS = 5 * 60_000;
const CHART_HEIGHT = 212;
const TALL_CHART_HEIGHT = 292;

/** What the row of figures is made of. */
const FIGURES = ["errors", "duration", "ttft", "input_tokens", "output_tokens", "tokens_per_second", "over_time"];

/** Where three charts stand side by side, and the page is high enough for all of it. */
const TALL = matchMedia("(min-width: 1700px) and (min-height: 1000px)");

interface Props {
  params: URLSearchParams;
  session: Session;
  status: Loaded<Status>;
}

interface Answer {
  overview: Overview;
  changes: Change[];
  machine: Machine;
  /** The newest request of all, asked for only when the range has none. */
  newestMs: number | null;
}

export function OverviewPage({ params, session, status }: Props) {
  const range = rangeOf(params);
  const live = isLive(params);
  const loaded = useQuery<Answer>(
    `${range.from} ${range.to}`,
    async (signal) => {
      const span = resolve(range, Date.now());
      const widthMs = bucketWidth(span);
      const [found, changed, measured] = await Promise.all([
        search(overviewBody(span, widthMs), signal),
        search(changesBody(span), signal),
        search(machineBody(span, widthMs), signal),
      ]);
      const overview = readOverview(found, span, widthMs);
      const changes = readChanges(changed);
      const newestMs = overview.total > 0 ? null : readNewest(await search(newestBody(), signal));
      return { overview, changes, machine: readMachine(measured, span, widthMs), newestMs };
    },
    live ? REFRESH_MS : 0,
  );
  const { data, error, stale, reload } = loaded;
  const probes = useQuery<Probes>("probes", loadProbes, PROBES_EVERY_MS).data;
  const expected = useQuery<Forecast>("forecast", loadForecast, FORECAST_EVERY_MS).data;
  const curlBody = () => {
    const span = resolve(range, Date.now());
    return overviewBody(span, bucketWidth(span));
  };

  return (
    <main class="overview" aria-busy={stale}>
      <div class="toolbar">
        <StateStrip status={status} light={probes?.light ?? null} demo={session.demo} />
        <div class="toolbar-tools">
          <CurlButton body={curlBody} session={session} />
          <LiveSwitch page="overview" params={params} />
          <RangePicker page="overview" params={params} />
        </div>
      </div>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {data === null && error === null && <Loading />}
      {data !== null && data.overview.total === 0 && (
        <Nothing newestMs={data.newestMs} session={session} params={params} />
      )}
      {data !== null && data.overview.total > 0 && (
        <Board {...data} probes={probes} expected={expected} params={params} session={session} />
      )}
    </main>
  );
}

interface BoardProps {
  overview: Overview;
  changes: Change[];
  machine: Machine;
  /** Null while it is not known; the board is whole without it. */
  probes: Probes | null;
  expected: Forecast | null;
  params: URLSearchParams;
  session: Session;
}

function Board({ overview, changes, machine, probes, expected, params, session }: BoardProps) {
  const { t, format } = useUi();
  const { span, widthMs, series } = overview;
  const { p50, p95, p99 } = overview.durations;
  const times = useMemo(() => series.map((bucket) => bucket.startMs), [series]);
  const height = TALL.matches ? TALL_CHART_HEIGHT : CHART_HEIGHT;
  const marks = useMemo(() => marksOf(changes), [changes]);
  const shared = { marks, times, widthMs, fromMs: span.fromMs, toMs: span.toMs, params, page: "overview" as const };
  const range: Changes = sharedOf(params);
  const per = t("chart.per_width", { width: format.width(widthMs) });

  const requests = expected?.series.find(({ name }) => name === "requests") ?? null;
  const next = useMemo(() => aheadOf(overview, requests?.told === true ? requests.forecast : []), [overview, requests]);
  const rate = rateSeries(overview);
  const peakWords = rate.peaks
    .map((at) =>
      t("common.peak_at", { count: format.count(series[at]?.count ?? 0), time: format.clock(times[at] ?? 0, widthMs) }),
    )
    .join(", ");
  const rateCurves: ChartSeries[] = [
    { kind: "area", colour: "--series-1", label: t("chart.requests"), values: rate.finished, shown: rate.counts },
    { kind: "dashes", colour: "--series-1", label: t("chart.unfinished"), values: rate.unfinished, quiet: true },
    { kind: "points", colour: "--peak", label: t("chart.peak"), values: rate.peakValues },
    ...expectedSeries(next, times.length, t("overview.forecast")),
  ];
  const latencyCurves: ChartSeries[] = [
    { kind: "line", colour: "--series-3", label: "p99", values: series.map((bucket) => bucket.p99) },
    { kind: "line", colour: "--series-2", label: "p95", values: series.map((bucket) => bucket.p95) },
    { kind: "line", colour: "--series-1", label: "p50", values: series.map((bucket) => bucket.p50) },
  ];

  const curl = (body: (span: Span, widthMs: number) => SearchBody) => {
    const now = () => {
      const span = resolve(rangeOf(params), Date.now());
      return body(span, bucketWidth(span));
    };
    return <CurlButton body={now} session={session} small />;
  };
  /** The part of the overview's question that a figure is made of, as a line for the shell. */
  const curlOf = (...names: string[]) => curl((span, width) => partOf(overviewBody(span, width), names));

  return (
    <div class="board">
      <h1 class="visually-hidden">{t("nav.overview")}</h1>
      <Figures overview={overview} params={params} curl={curlOf(...FIGURES)} />
      <Panel area="rate" title={t("chart.rate")} note={per} actions={curlOf("over_time")} records={range}>
        <div data-testid="rate-peaks" data-peaks={rate.peaks.map((at) => times[at]).join(" ")}>
          <Chart
            {...shared}
            name="rate"
            times={next.times.length === 0 ? times : [...times, ...next.times]}
            series={rateCurves}
            height={height}
            value={format.count}
            axisValue={format.compact}
            summary={`${t("chart.rate")}, ${per}. ${t("chart.peak")}: ${peakWords}`}
          />
        </div>
        {expected !== null && requests !== null && <Expected forecast={expected} requests={requests} ahead={next} />}
      </Panel>
      <Panel
        area="latency"
        title={t("chart.latency")}
        note={per}
        actions={curlOf("over_time", "duration")}
        records={{ ...range, q: "duration_ms:*", sort: "duration_ms:desc" }}
      >
        <Chart
          {...shared}
          name="latency"
          series={latencyCurves}
          height={height}
          value={format.duration}
          axisValue={format.tick}
          summary={`p50 ${format.duration(p50)}, p95 ${format.duration(p95)}, p99 ${format.duration(p99)}`}
        />
      </Panel>
      <Panel area="heat" title={t("chart.heat")} note={t("chart.heat_note")} actions={curlOf("heat")} records={range}>
        <HeatMap cells={overview.heat} range={range} />
      </Panel>
      <Panel
        area="tokens"
        title={t("chart.tokens")}
        note={per}
        actions={curlOf("tokens")}
        records={{ ...range, q: "input_tokens:*", sort: "input_tokens:desc" }}
      >
        <Chart
          {...shared}
          name="tokens"
          series={tokenSeries(overview, format.compact)}
          height={height}
          value={format.count}
          axisValue={format.compact}
          summary={overview.tokens.map((one) => `${one.model}: ${format.count(one.input + one.output)}`).join(", ")}
        />
      </Panel>
      <Panel
        area="slowest"
        title={t("overview.slowest")}
        actions={
          <>
            {curl((span, width) => partOf(overviewBody(span, width), [], true))}
            <Link class="quiet-link" href={address("discover", { ...range, sort: "duration_ms:desc" })}>
              {t("overview.slowest_all")}
              <Icon name="right" />
            </Link>
          </>
        }
      >
        <Slowest rows={overview.slowest} range={range} />
      </Panel>
      {machine.curves.length > 0 && (
        <Panel
          area="machine"
          title={t("probes.machine")}
          note={t("probes.machine_note")}
          actions={curl(machineBody)}
          records={{ ...range, kind: "resource" }}
        >
          <MachineChart machine={machine} page="overview" params={params} marks={marks} height={height} />
        </Panel>
      )}
      {probes !== null && rooms(probes.probes).length > 0 && <Rooms probes={probes.probes} />}
      {changes.length > 0 && (
        <Panel
          area="changes"
          title={t("overview.changes")}
          note={t("overview.changes_note")}
          actions={curl(changesBody)}
          records={{ ...range, kind: "all", q: CHANGES_QUERY }}
        >
          <ChangeList changes={changes} range={range} />
        </Panel>
      )}
    </div>
  );
}

/** The interval under way is drawn with dashes and is no candidate for a peak: it is not over yet. */
function rateSeries({ series, span, widthMs }: Overview) {
  const counts = series.map((bucket) => bucket.count);
  const last = series.at(-1);
  const underWay = last !== undefined && last.startMs + widthMs > span.toMs;
  const end = underWay ? counts.length - 1 : counts.length;
  const found = peaks(counts.slice(0, end));
  return {
    counts,
    finished: counts.map((count, at) => (at < end ? count : null)),
    unfinished: counts.map((count, at) => (underWay && at >= end - 1 ? count : null)),
    peaks: found,
    peakValues: counts.map((count, at) => (found.includes(at) ? count : null)),
  };
}

/** What is expected behind the last bucket; nothing for a range that has ended. */
function aheadOf({ series, span, widthMs }: Overview, points: Forecast["series"][number]["forecast"]): Ahead {
  const lastMs = series.at(-1)?.startMs;
  const none = lastMs === undefined || !span.live || points.length === 0;
  return none ? { times: [], values: [], low: [], high: [] } : ahead(points, span, widthMs, lastMs);
}

/** A dashed line in its interval, behind so many buckets that were measured. */
function expectedSeries({ values, low, high }: Ahead, measured: number, label: string): ChartSeries[] {
  if (values.length === 0) return [];
  const behind = (list: number[]) => [...Array.from({ length: measured }, () => null), ...list];
  // Three curves of the rate stand before these.
  const lower = 4;
  return [
    { kind: "edge", colour: "--series-2", label: "", values: behind(high), bandTo: lower, quiet: true },
    { kind: "edge", colour: "--series-2", label: "", values: behind(low), quiet: true },
    { kind: "dashes", colour: "--series-2", label, values: behind(values) },
  ];
}

/** Stacked bars: each curve is drawn as the sum of itself and those below it, the tallest first. */
function tokenSeries({ tokens, series }: Overview, total: (value: number) => string): ChartSeries[] {
  const sums = series.map(() => 0);
  const used = tokens.filter((one) => one.input + one.output > 0);
  const stacked = used.map((one, at): ChartSeries => {
    const values = one.values.map((value, bucket) => {
      sums[bucket] = (sums[bucket] ?? 0) + value;
      return sums[bucket] ?? 0;
    });
    return {
      kind: "bars",
      colour: MODEL_COLOURS[at % MODEL_COLOURS.length] ?? "--series-1",
      label: one.model,
      values,
      shown: one.values.map((value) => (value > 0 ? value : null)),
      total: total(one.input + one.output),
    };
  });
  return stacked.reverse();
}

function Loading() {
  return (
    <div class="board">
      <div class="panel figures loading">
        <Skeleton lines={2} />
      </div>
      {["rate", "latency", "heat", "tokens", "slowest"].map((area) => (
        <div key={area} class={`panel area-${area}`}>
          <Skeleton lines={7} />
        </div>
      ))}
    </div>
  );
}

function Nothing({
  newestMs,
  session,
  params,
}: {
  newestMs: number | null;
  session: Session;
  params: URLSearchParams;
}) {
  const { t, format } = useUi();
  if (newestMs === null) return <FirstRequest session={session} />;
  const around = {
    from: new Date(newestMs - 30 * 60_000).toISOString(),
    to: new Date(newestMs + 60_000).toISOString(),
  };
  const widest = presetRange(PRESETS[PRESETS.length - 1] ?? "7d");
  return (
    <Empty title={t("empty.range_title")}>
      <p>{t("empty.range_text", { time: format.moment(newestMs) })}</p>
      <p class="empty-actions">
        <Link class="button primary" href={address("overview", changed(params, around))}>
          {t("empty.range_there")}
        </Link>
        <Link class="button" href={address("overview", changed(params, { from: widest.from, to: widest.to }))}>
          {t("empty.range_widen")}
        </Link>
      </p>
    </Empty>
  );
}

function FirstRequest({ session }: { session: Session }) {
  const { t } = useUi();
  const known = useQuery("models", models);
  const origin = session.public_url ?? location.origin;
  const model = known.data?.[0]?.name ?? "qwen3:32b";
  const command = curlLine(origin.replace(/\/+$/, ""), model);
  return (
    <Empty title={t("empty.first_title")} sign={<Barrier state="ok" />}>
      <p>{t("empty.first_text")}</p>
      <div class="command" data-testid="first-curl">
        <pre>
          <code>{command}</code>
        </pre>
        <CopyButton text={command} />
      </div>
      <p class="empty-actions">
        <Link class="button" href={address("chat", {})}>
          {t("empty.first_chat")}
        </Link>
      </p>
    </Empty>
  );
}

function curlLine(origin: string, model: string): string {
  const body = JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }] });
  // A quote in a model's name must not end the shell's quotes.
  const quoted = body.replaceAll("'", "'\\''");
  return `curl ${origin}/v1/chat/completions \\\n  -H "X-Api-Key: $KEY" -H "Content-Type: application/json" \\\n  -d '${quoted}'`;
}
