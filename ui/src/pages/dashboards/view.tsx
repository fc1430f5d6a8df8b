// What a panel shows: curves, a heat map, a table, a number, or the saved searches.

import { useMemo } from "preact/hooks";
import {
  type Cell,
  columnsOf,
  type Panel,
  panelBody,
  readCells,
  readCurves,
  readGroups,
  readHits,
  readNumber,
  widthOf,
} from "../../api/dashboards";
import { ALL_KINDS, nameOf, REQUEST_KIND } from "../../api/discover";
import { NO_MODEL, starts } from "../../api/requests";
import type { Saved } from "../../api/saved";
import { field, type Hit, search, type SearchAnswer } from "../../api/search";
import { Chart, type ChartSeries, type Mark, MODEL_COLOURS } from "../../charts/chart";
import { type Format, NONE } from "../../lib/format";
import { peaks } from "../../lib/peaks";
import { addCondition, condition } from "../../lib/query";
import { bucketStarts, bucketWidth, rangeOf, resolve, sharedOf, type Span } from "../../lib/range";
import { address, type Changes } from "../../lib/route";
import { useQuery } from "../../lib/use-query";
import { useUi } from "../../ui/context";
import { type HeatCell, HeatTable, largestOf } from "../../ui/heat";
import { Link } from "../../ui/link";
import { ErrorNotice, Skeleton } from "../../ui/notice";
import { isLive } from "../../ui/range-picker";
import { paramsOf } from "../discover/saved";
import { measureWords } from "./words";

const REFRESH_MS = 10_000;
/** Height of one row of the grid, and what a panel's head takes of it, in pixels. */
export const ROW_PX = 76;
const HEAD_PX = 58;

interface Props {
  panel: Panel;
  params: URLSearchParams;
  saved: Saved[];
  marks: Mark[];
}

interface Answer {
  found: SearchAnswer;
  span: Span;
  widthMs: number;
}

export function PanelView({ panel, params, saved, marks }: Props) {
  if (panel.view === "searches") return <Searches params={params} saved={saved} />;
  return <Asked panel={panel} params={params} saved={saved} marks={marks} />;
}

/** The address of Discover with the panel's own question. */
export function inDiscover(panel: Panel, params: URLSearchParams, more: Changes = {}): string {
  const scope = panel.scope === "" ? ALL_KINDS : panel.scope;
  return address("discover", {
    ...sharedOf(params),
    q: panel.query,
    lang: panel.language === "kql" ? "kql" : null,
    kind: scope === REQUEST_KIND ? null : scope,
    cols: panel.view === "table" && panel.by === "" ? panel.columns.join() : null,
    sort: panel.view === "table" && panel.by === "" ? panel.sort : null,
    ...more,
  });
}

function Asked({ panel, params, marks }: Props) {
  const range = rangeOf(params);
  const { title: _, width: __, height: ___, ...question } = panel;
  const key = JSON.stringify([range.from, range.to, question]);
  const load = async (signal: AbortSignal): Promise<Answer> => {
    const span = resolve(range, Date.now());
    const widthMs = widthOf(panel, span, bucketWidth(span));
    return { found: await search(panelBody(panel, span, widthMs), signal), span, widthMs };
  };
  const { data, error, stale, reload } = useQuery<Answer>(key, load, isLive(params) ? REFRESH_MS : 0);
  if (error !== null) return <ErrorNotice error={error} retry={reload} />;
  if (data === null) return <Skeleton lines={4} />;
  return (
    <div class="panel-view" aria-busy={stale}>
      {panel.view === "heat" && <Heat panel={panel} cells={readCells(panel, data.found)} params={params} />}
      {panel.view === "number" && <Figure panel={panel} answer={data.found} />}
      {panel.view === "table" && <Table panel={panel} answer={data.found} params={params} />}
      {(panel.view === "area" || panel.view === "line" || panel.view === "bars") && (
        <Curves panel={panel} answer={data} params={params} marks={marks} />
      )}
    </div>
  );
}

/** A figure as people read it: fields that end in `_ms` are durations. */
function shown(panel: Panel, format: Format): (value: number | null) => string {
  if (panel.measure === "count") return format.count;
  return panel.field.endsWith("_ms") ? format.duration : format.number;
}

function Curves({ panel, answer, params, marks }: { panel: Panel; answer: Answer; params: URLSearchParams; marks: Mark[] }) {
  const { t, format } = useUi();
  const { found, span, widthMs } = answer;
  const times = useMemo(
    () => (panel.interval_s > 0 ? bucketStarts(span, widthMs) : starts(span, widthMs)),
    [answer, panel.interval_s],
  );
  const value = shown(panel, format);
  const label = measureWords(panel, t);
  const { series, peakTimes } = useMemo(() => {
    const curves = readCurves(panel, found, times);
    const underWay = (times.at(-1) ?? 0) + widthMs > span.toMs;
    const drawn = underWay ? unfinished(panel, seriesOf(panel, curves, label)) : seriesOf(panel, curves, label);
    const first = curves[0];
    if (!panel.peaks || curves.length !== 1 || first === undefined) return { series: drawn, peakTimes: [] };
    // The interval under way is not over yet, and no candidate.
    const over = underWay ? first.values.slice(0, -1) : first.values;
    const at = peaks(over.map((one) => one ?? 0));
    const points: ChartSeries = {
      kind: "points",
      colour: "--peak",
      label: t("chart.peak"),
      values: first.values.map((one, index) => (at.includes(index) ? one : null)),
    };
    return { series: [...drawn, points], peakTimes: at.map((index) => times[index] ?? 0) };
  }, [panel, found, times, label]);
  return (
    <div data-testid="panel-curves" data-peaks={peakTimes.join(" ")} data-width={widthMs}>
      <Chart
        name="panel"
        times={times}
        widthMs={widthMs}
        fromMs={span.fromMs}
        toMs={span.toMs}
        series={series}
        marks={marks}
        height={Math.max(90, panel.height * ROW_PX - HEAD_PX - (series.length > 1 ? 26 : 0))}
        value={value}
        axisValue={panel.measure === "count" ? format.compact : value}
        page="dashboards"
        params={params}
        summary={`${panel.title}: ${label}`}
        legend={series.length > 1}
      />
    </div>
  );
}

/** Counts and sums of several curves stand upon each other; other figures cannot be added up. */
function seriesOf(panel: Panel, curves: { name: string; values: (number | null)[] }[], label: string): ChartSeries[] {
  const kind = panel.view === "table" || panel.view === "heat" || panel.view === "number" ? "line" : panel.view;
  const adds = (panel.measure === "count" || panel.measure === "sum") && kind !== "line" && curves.length > 1;
  const sums: number[] = [];
  const series = curves.map(({ name, values }, at): ChartSeries => {
    const drawn = values.map((value, bucket) => {
      if (!adds) return value;
      sums[bucket] = (sums[bucket] ?? 0) + (value ?? 0);
      return sums[bucket] ?? 0;
    });
    return {
      kind: kind === "searches" ? "line" : kind,
      colour: MODEL_COLOURS[at % MODEL_COLOURS.length] ?? "--series-1",
      label: name === "" ? label : name,
      values: drawn,
      ...(adds ? { shown: values } : {}),
    };
  });
  return adds ? series.reverse() : series;
}

/** A lone curve that counts or adds up is drawn with dashes where its interval is under way: it has not fallen, it is not over yet. */
function unfinished(panel: Panel, series: ChartSeries[]): ChartSeries[] {
  const [curve] = series;
  const grows = panel.measure === "count" || panel.measure === "sum";
  if (curve === undefined || series.length !== 1 || !grows || (curve.kind !== "line" && curve.kind !== "area")) return series;
  const { values } = curve;
  const last = values.length - 1;
  return [
    { ...curve, values: values.map((value, at) => (at < last ? value : null)), shown: values },
    { ...curve, kind: "dashes", values: values.map((value, at) => (at >= last - 1 ? value : null)), quiet: true },
  ];
}

function Heat({ panel, cells, params }: { panel: Panel; cells: Cell[]; params: URLSearchParams }) {
  const { t, format } = useUi();
  if (cells.length === 0) return <p class="quiet panel-none">{t("chart.no_data")}</p>;
  const value = shown(panel, format);
  const rows = [...new Set(cells.map((cell) => cell.row))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const nameOfKey = (name: string) => (name === NO_MODEL ? NONE : name);
  const narrow = (query: string, name: string, key: string) =>
    addCondition(panel.language, query, condition(panel.language, name, key === NO_MODEL ? null : key));
  const shownCells = cells.map(
    ({ row, column, count, value: figure }): HeatCell => ({
      row,
      column,
      count,
      value: figure,
      figure: panel.measure === "count" ? "" : value(figure),
      words: `${panel.by} ${nameOfKey(row)}, ${panel.across} ${nameOfKey(column)}: ${format.count(count)}, ${value(figure)}`,
      href: inDiscover(panel, params, { q: narrow(narrow(panel.query, panel.by, row), panel.across, column) }),
      data: {
        "data-testid": "panel-cell",
        "data-row": row,
        "data-column": column,
        "data-count": count,
        "data-value": figure ?? "",
      },
    }),
  );
  return (
    <HeatTable
      rows={rows}
      columns={[...new Set(cells.map((cell) => cell.column))]}
      cells={shownCells}
      nameOf={nameOfKey}
      low={t("dashboards.low")}
      high={value(largestOf(cells.map((cell) => cell.value)))}
    />
  );
}

function Figure({ panel, answer }: { panel: Panel; answer: SearchAnswer }) {
  const { t, format } = useUi();
  const value = readNumber(panel, answer);
  return (
    <p class="panel-number" data-testid="panel-number" data-value={value ?? ""}>
      <strong>{shown(panel, format)(value)}</strong>
      {panel.measure !== "count" && (
        <span class="quiet">{measureWords(panel, t)}</span>
      )}
    </p>
  );
}

function Table({ panel, answer, params }: { panel: Panel; answer: SearchAnswer; params: URLSearchParams }) {
  const { t } = useUi();
  const none = <p class="quiet panel-none">{t("chart.no_data")}</p>;
  if (panel.by !== "") {
    const groups = readGroups(panel, answer);
    return groups.length === 0 ? none : <GroupTable panel={panel} groups={groups} params={params} />;
  }
  const hits = readHits(answer);
  return hits.length === 0 ? none : <HitTable panel={panel} hits={hits} params={params} />;
}

interface GroupProps {
  panel: Panel;
  groups: ReturnType<typeof readGroups>;
  params: URLSearchParams;
}

function GroupTable({ panel, groups, params }: GroupProps) {
  const { t, format } = useUi();
  const value = shown(panel, format);
  return (
    <div class="table-scroll panel-table" tabIndex={0} role="group" aria-label={panel.title}>
      <table class="rows">
        <thead>
          <tr>
            <th scope="col" translate={false}>
              {panel.by}
            </th>
            <th scope="col" class="number">
              {t("dashboards.count")}
            </th>
            {panel.measure !== "count" && (
              <th scope="col" class="number">
                {measureWords(panel, t)}
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {groups.map((group) => {
            const clause = condition(panel.language, panel.by, group.name === NO_MODEL ? null : group.name);
            return (
              <tr key={group.name} data-testid="panel-group" data-group={group.name}>
                <td translate={false}>
                  <Link href={inDiscover(panel, params, { q: addCondition(panel.language, panel.query, clause) })}>
                    {group.name}
                  </Link>
                </td>
                <td class="number">{format.count(group.count)}</td>
                {panel.measure !== "count" && <td class="number">{value(group.value)}</td>}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function HitTable({ panel, hits, params }: { panel: Panel; hits: Hit[]; params: URLSearchParams }) {
  const { format } = useUi();
  const columns = columnsOf(panel);
  const isNumber = (name: string) => hits.some((hit) => typeof field(hit._source, name) === "number");
  return (
    <div class="table-scroll panel-table" tabIndex={0} role="group" aria-label={panel.title}>
      <table class="rows" translate={false}>
        <thead>
          <tr>
            {columns.map((name) => (
              <th key={name} scope="col" class={isNumber(name) ? "number" : ""}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {hits.map((hit) => (
            <tr key={hit._id} data-testid="panel-row">
              {columns.map((name, at) => {
                const words = cellText(name, field(hit._source, name), format);
                return (
                  <td key={name} class={isNumber(name) ? "number" : ""} data-field={name} title={words}>
                    {at === 0 ? <Link href={inDiscover(panel, params, { open: nameOf(hit) })}>{words}</Link> : words}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const CELL_CHARS_MAX = 300;

function cellText(name: string, value: unknown, format: Format): string {
  if (value === undefined || value === null) return NONE;
  if (name === "@timestamp") {
    const ms = typeof value === "number" ? value : Date.parse(String(value));
    return Number.isNaN(ms) ? String(value) : format.dateTime(ms);
  }
  if (typeof value === "number") return name.endsWith("_ms") ? format.duration(value) : format.number(value);
  const text = typeof value === "string" ? value : Array.isArray(value) ? value.join(" ") : JSON.stringify(value);
  return text.slice(0, CELL_CHARS_MAX);
}

/** The searches that are kept, each with its own range (scenario B10). */
function Searches({ params, saved }: { params: URLSearchParams; saved: Saved[] }) {
  const { t } = useUi();
  if (saved.length === 0) return <p class="quiet panel-none">{t("saved.none")}</p>;
  return (
    <ul class="panel-searches" data-testid="panel-searches">
      {saved.map((one) => (
        <li key={one.id}>
          <Link
            class="saved-link"
            href={address("discover", { ...sharedOf(params), ...paramsOf(one) })}
            data-testid="panel-search"
          >
            <strong>{one.name}</strong>
            <code>{one.query === "" ? "*" : one.query}</code>
          </Link>
        </li>
      ))}
    </ul>
  );
}
