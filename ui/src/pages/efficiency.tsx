// Efficiency: what comes out for the tokens that go in, by whom, and which requests bring the least (scenario B09).

import { useMemo } from "preact/hooks";
import type { SortOrder } from "../api/discover";
import {
  CLASS_BOUNDS,
  classQuery,
  type Efficiency,
  efficiencyBody,
  GROUP_FIELDS,
  GROUPS,
  type Group,
  groupOf,
  NO_GROUP,
  POOR_BELOW,
  parseOrder,
  ratio,
  readEfficiency,
  writeOrder,
} from "../api/efficiency";
import type { Row } from "../api/requests";
import { search } from "../api/search";
import type { Session } from "../api/session";
import { Chart, type ChartSeries } from "../charts/chart";
import { useMarks } from "../charts/marks";
import type { TextKey } from "../i18n/en";
import { clause } from "../lib/lucene";
import { bucketWidth, PRESETS, presetRange, rangeOf, resolve, sharedOf } from "../lib/range";
import { address, changed, go, requestAddress } from "../lib/route";
import { useQuery } from "../lib/use-query";
import { Model } from "../ui/cells";
import { useUi } from "../ui/context";
import { CurlButton } from "../ui/curl";
import { InDiscover } from "../ui/in-discover";
import { Icon } from "../ui/icon";
import { Link } from "../ui/link";
import { Empty, ErrorNotice, Skeleton } from "../ui/notice";
import { Panel } from "../ui/panel";
import { isLive, LiveSwitch, RangePicker } from "../ui/range-picker";

const REFRESH_MS = 5_000;
const CHART_HEIGHT = 212;

interface Props {
  params: URLSearchParams;
  session: Session;
}

export default function EfficiencyPage({ params, session }: Props) {
  const { t } = useUi();
  const range = rangeOf(params);
  const group = groupOf(params.get("by"));
  const sort = parseOrder(params.get("sort"));
  const { data, error, stale, reload } = useQuery<Efficiency>(
    `${range.from} ${range.to} ${group} ${writeOrder(sort) ?? ""}`,
    async (signal) => {
      const span = resolve(range, Date.now());
      const widthMs = bucketWidth(span);
      return readEfficiency(await search(efficiencyBody(span, widthMs, group, sort), signal), span, widthMs);
    },
    isLive(params) ? REFRESH_MS : 0,
  );
  const widest = presetRange(PRESETS[PRESETS.length - 1] ?? "7d");
  const body = () => {
    const span = resolve(range, Date.now());
    return efficiencyBody(span, bucketWidth(span), group, sort);
  };
  return (
    <main class="efficiency" aria-busy={stale} data-testid="efficiency-page">
      <div class="toolbar">
        <h1 class="page-title">{t("nav.efficiency")}</h1>
        <div class="toolbar-tools">
          <CurlButton body={body} session={session} />
          <LiveSwitch page="efficiency" params={params} />
          <RangePicker page="efficiency" params={params} />
        </div>
      </div>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {data === null && error === null && <Skeleton lines={14} />}
      {data !== null && data.total === 0 && (
        <Empty title={t("efficiency.none_title")}>
          <p>{t("efficiency.none_text")}</p>
          <p class="empty-actions">
            <Link class="button" href={address("efficiency", changed(params, { from: widest.from, to: widest.to }))}>
              {t("empty.range_widen")}
            </Link>
          </p>
        </Empty>
      )}
      {data !== null && data.total > 0 && <Board data={data} group={group} sort={sort} params={params} />}
    </main>
  );
}

interface BoardProps {
  data: Efficiency;
  group: Group;
  sort: SortOrder;
  params: URLSearchParams;
}

function Board({ data, group, sort, params }: BoardProps) {
  const { t, format } = useUi();
  const shared = sharedOf(params);
  const records = { ...shared, q: "token_efficiency:*" };
  const whole = ratio(data.output, data.input);
  const series: ChartSeries[] = useMemo(
    () => [{ kind: "line", colour: "--series-1", label: t("column.efficiency"), values: data.series }],
    [data, t],
  );
  const poorShare = data.input > 0 ? data.poor.input / data.input : null;
  const marks = useMarks(rangeOf(params), isLive(params));
  const two = (value: number | null) => format.decimal(value, 2);
  return (
    <div class="efficiency-grid">
      <section class="panel figures area-figures" aria-label={t("figure.label")}>
        <Tile name="efficiency" title={t("efficiency.whole")} value={whole} shown={two(whole)} note={t("efficiency.whole_note")} />
        <Tile name="input" title={t("column.input_long")} value={data.input} shown={format.compact(data.input)} />
        <Tile name="output" title={t("column.output_long")} value={data.output} shown={format.compact(data.output)} />
        <div class="figure-group">
          <h2>{t("efficiency.poor", { bound: POOR_BELOW })}</h2>
          <div class="figure-values">
            <div class="figure" data-testid="efficiency-poor" data-value={data.poor.requests}>
              <span class="figure-number">{format.compact(data.poor.requests)}</span>
            </div>
          </div>
          <div class="figure-note">
            <Link
              class="quiet-link"
              href={address("discover", { ...shared, q: classQuery(0), sort: "input_tokens:desc" })}
            >
              {t("efficiency.poor_note", { share: format.percent(poorShare) })}
            </Link>
          </div>
        </div>
        <div class="figure-tools">
          <InDiscover records={records} />
        </div>
      </section>
      <Panel
        area="curve"
        title={t("efficiency.over_time")}
        note={t("chart.per_width", { width: format.width(data.widthMs) })}
        records={records}
      >
        <Chart
          name="efficiency"
          marks={marks}
          times={data.times}
          widthMs={data.widthMs}
          fromMs={data.span.fromMs}
          toMs={data.span.toMs}
          series={series}
          height={CHART_HEIGHT}
          value={two}
          axisValue={format.number}
          page="efficiency"
          params={params}
          summary={`${t("efficiency.whole")}: ${two(whole)}`}
          legend={false}
        />
      </Panel>
      <Panel area="classes" title={t("efficiency.classes")} note={t("efficiency.classes_note")} records={records}>
        <Classes data={data} params={params} />
      </Panel>
      <Groups data={data} group={group} params={params} />
      <Requests data={data} sort={sort} params={params} />
    </div>
  );
}

function Tile(props: { name: string; title: string; value: number | null; shown: string; note?: string }) {
  return (
    <div class="figure-group">
      <h2>{props.title}</h2>
      <div class="figure-values">
        <div class="figure" data-testid={`efficiency-${props.name}`} data-value={props.value ?? ""}>
          <span class="figure-number">{props.shown}</span>
        </div>
      </div>
      {props.note !== undefined && <div class="figure-note">{props.note}</div>}
    </div>
  );
}

function Classes({ data, params }: { data: Efficiency; params: URLSearchParams }) {
  const { format } = useUi();
  const largest = Math.max(1, ...data.classes);
  return (
    <ol class="classes" data-testid="efficiency-classes">
      {data.classes.map((count, at) => {
        const next = CLASS_BOUNDS[at + 1];
        const words = next === undefined ? `≥ ${CLASS_BOUNDS[at]}` : `${CLASS_BOUNDS[at]} – ${next}`;
        return (
          <li key={words} data-count={count}>
            <Link class="class-link" href={address("discover", { ...sharedOf(params), q: classQuery(at) })}>
              <span class="class-name">{words}</span>
              <span class="class-bar" style={{ "--whole": `${(count / largest) * 100}%` }} aria-hidden="true" />
              <span class="class-count">{format.count(count)}</span>
            </Link>
          </li>
        );
      })}
    </ol>
  );
}

const GROUP_WORDS: Record<Group, TextKey> = {
  user: "column.user",
  key: "column.key",
  model: "column.model",
  family: "efficiency.family",
  agent: "efficiency.agent",
  path: "efficiency.path",
};

function Groups({ data, group, params }: { data: Efficiency; group: Group; params: URLSearchParams }) {
  const { t, format } = useUi();
  const largest = Math.max(1, ...data.groups.map(({ input }) => input));
  const choices = (
    <div class="segments" role="group" aria-label={t("efficiency.by")}>
      {GROUPS.map((name) => (
        <button
          key={name}
          type="button"
          data-group={name}
          aria-pressed={group === name}
          title={name === "family" ? t("efficiency.family_note") : undefined}
          onClick={() => go(address("efficiency", changed(params, { by: name === "user" ? null : name })), true)}
        >
          {t(GROUP_WORDS[name])}
        </button>
      ))}
    </div>
  );
  return (
    <Panel
      area="groups"
      title={t("efficiency.by")}
      note={group === "family" ? t("efficiency.family_note") : undefined}
      actions={choices}
      records={{ ...sharedOf(params), q: "token_efficiency:*" }}
    >
      <div class="table-scroll">
        <table class="rows" data-testid="efficiency-groups">
          <thead>
            <tr>
              <th scope="col">{t(GROUP_WORDS[group])}</th>
              <th scope="col" class="num">
                {t("figure.requests")}
              </th>
              <th scope="col" class="num">
                {t("column.input_long")}
              </th>
              <th scope="col" class="num col-wide">
                {t("column.output_long")}
              </th>
              <th scope="col" class="num">
                {t("column.efficiency")}
              </th>
              <th scope="col" class="num col-wide">
                {t("efficiency.poor_share")}
              </th>
              <th scope="col" class="num col-wide">
                {t("efficiency.mean")}
              </th>
            </tr>
          </thead>
          <tbody>
            {data.groups.map((row) => (
              <tr key={row.name} data-group={row.name}>
                <td>
                  <Link class="row-link" href={groupAddress(group, row.name, params)}>
                    {row.name === NO_GROUP ? t("efficiency.nobody") : row.name}
                  </Link>
                </td>
                <td class="num">{format.count(row.requests)}</td>
                <td class="num">
                  <span class="with-bar">
                    <span class="cell-bar" style={{ "--whole": `${(row.input / largest) * 100}%` }} aria-hidden="true" />
                    <span class="bar-figure">{format.compact(row.input)}</span>
                  </span>
                </td>
                <td class="num col-wide">{format.compact(row.output)}</td>
                <td class="num">
                  <strong>{format.decimal(ratio(row.output, row.input), 2)}</strong>
                </td>
                <td class="num col-wide">{format.percent(row.requests > 0 ? row.poor / row.requests : null)}</td>
                <td class="num col-wide">{format.duration(row.meanMs)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

function groupAddress(group: Group, name: string, params: URLSearchParams): string {
  const q = clause(GROUP_FIELDS[group], name === NO_GROUP ? null : name);
  return address("discover", { ...sharedOf(params), q, sort: "token_efficiency:asc" });
}

const TABLE: { field: string; text: TextKey; cell: (row: Row, format: ReturnType<typeof useUi>["format"]) => string }[] = [
  { field: "input_tokens", text: "column.input_long", cell: (row, format) => format.count(row.inputTokens) },
  { field: "output_tokens", text: "column.output_long", cell: (row, format) => format.count(row.outputTokens) },
  { field: "token_efficiency", text: "column.efficiency", cell: (row, format) => format.decimal(row.efficiency, 2) },
  { field: "duration_ms", text: "column.duration", cell: (row, format) => format.duration(row.durationMs) },
];

function Requests({ data, sort, params }: { data: Efficiency; sort: SortOrder; params: URLSearchParams }) {
  const { t, format } = useUi();
  const sortBy = (name: string) => {
    const descending = sort.field === name ? !sort.descending : name !== "token_efficiency";
    go(address("efficiency", changed(params, { sort: writeOrder({ field: name, descending }) })), true);
  };
  const head = (name: string, words: string, number: boolean) => {
    const sorted = sort.field === name;
    const order = sort.descending ? "descending" : "ascending";
    return (
      <th key={name} scope="col" class={number ? "num" : undefined} aria-sort={sorted ? order : "none"}>
        <button type="button" class="sort" data-field={name} onClick={() => sortBy(name)}>
          {words}
          <span class={sorted ? "sort-sign" : "sort-sign sort-off"}>
            <Icon name={sorted && !sort.descending ? "up" : "down"} />
          </span>
        </button>
      </th>
    );
  };
  const query = { ...sharedOf(params), q: "token_efficiency:*", sort: writeOrder(sort) ?? "token_efficiency:asc" };
  return (
    <Panel
      area="table"
      title={t("efficiency.requests")}
      note={t("requests.shown", { shown: format.count(data.rows.length), total: format.count(data.total) })}
      actions={
        <Link class="quiet-link" href={address("discover", query)}>
          {t("common.in_discover")}
          <Icon name="right" />
        </Link>
      }
    >
      <div class="table-scroll">
        <table class="rows" data-testid="efficiency-table">
          <thead>
            <tr>
              {head("@timestamp", t("column.time"), false)}
              <th scope="col" class="col-wide">
                {t("column.model")}
              </th>
              <th scope="col" class="col-wide">
                {t("column.user")}
              </th>
              {TABLE.map(({ field, text }) => head(field, t(text), true))}
            </tr>
          </thead>
          <tbody>
            {data.rows.map((row) => (
              <tr key={row.id} data-testid="efficiency-row" data-efficiency={row.efficiency ?? ""}>
                <td class="nowrap">
                  <Link class="row-link" href={requestAddress(row.requestId, sharedOf(params))}>
                    {format.dateTime(row.atMs)}
                  </Link>
                </td>
                <td class="col-wide">
                  <Model name={row.model} />
                </td>
                <td class="col-wide">{row.user ?? ""}</td>
                {TABLE.map(({ field, cell }) => (
                  <td key={field} class="num">
                    {cell(row, format)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
