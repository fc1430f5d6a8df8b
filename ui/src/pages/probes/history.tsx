// One probe over the range: its figures as curves, its last results, and the way to all of its records.

import { useMemo } from "preact/hooks";
import { type History as Past, historyBody, type Probe, readHistory } from "../../api/probes";
import { search } from "../../api/search";
import type { Session } from "../../api/session";
import { Chart, type ChartSeries, type Mark, MODEL_COLOURS } from "../../charts/chart";
import { clause } from "../../lib/lucene";
import { bucketWidth, rangeOf, resolve, sharedOf } from "../../lib/range";
import { address, type Changes } from "../../lib/route";
import { saidWords } from "../../lib/said";
import { useQuery } from "../../lib/use-query";
import { useUi } from "../../ui/context";
import { CurlButton } from "../../ui/curl";
import { Icon } from "../../ui/icon";
import { Lamp } from "../../ui/lamp";
import { Link } from "../../ui/link";
import { ErrorNotice, Skeleton } from "../../ui/notice";
import { Panel } from "../../ui/panel";
import { isLive } from "../../ui/range-picker";
import { CURVE_WORDS, OUTCOMES } from "./words";

const REFRESH_MS = 10_000;
const CHART_HEIGHT = 212;

interface Props {
  probe: Probe;
  params: URLSearchParams;
  session: Session;
  show: (changes: Changes) => void;
}

export function History({ probe, params, session, show }: Props) {
  const { t } = useUi();
  const range = rangeOf(params);
  const { data, error, reload } = useQuery<Past>(
    `${probe.id} ${range.from} ${range.to} ${probe.last?.at ?? ""}`,
    async (signal) => {
      const span = resolve(range, Date.now());
      const widthMs = bucketWidth(span);
      return readHistory(await search(historyBody(probe, span, widthMs), signal), probe, span, widthMs);
    },
    isLive(params) ? REFRESH_MS : 0,
  );
  const body = () => {
    const span = resolve(range, Date.now());
    return historyBody(probe, span, bucketWidth(span));
  };
  const q = `${clause("probe", probe.name)} AND ${clause("probe_kind", probe.kind)}`;
  return (
    <Panel
      area="history"
      title={probe.name}
      note={t("probes.history")}
      actions={
        <span class="panel-buttons">
          <CurlButton body={body} session={session} small />
          <Link
            class="icon-button"
            href={address("discover", { ...sharedOf(params), kind: "probe", q })}
            aria-label={t("common.in_discover")}
            title={t("common.in_discover")}
          >
            <Icon name="search" />
          </Link>
          <button
            type="button"
            class="icon-button"
            aria-label={t("common.close")}
            title={t("common.close")}
            onClick={() => show({ probe: null })}
          >
            <Icon name="close" />
          </button>
        </span>
      }
    >
      <div data-testid="probe-history" data-total={data?.total ?? ""}>
        {error !== null && <ErrorNotice error={error} retry={reload} />}
        {data === null && error === null && <Skeleton lines={6} />}
        {data !== null && data.total === 0 && <p class="quiet panel-empty">{t("probes.no_results")}</p>}
        {data !== null && data.total > 0 && <Told past={data} params={params} />}
      </div>
    </Panel>
  );
}

function Told({ past, params }: { past: Past; params: URLSearchParams }) {
  const ui = useUi();
  const { t, format } = ui;
  const series = useMemo(
    () =>
      past.curves.map((curve, at): ChartSeries => {
        const words = CURVE_WORDS[curve.name];
        const colour = MODEL_COLOURS[at % MODEL_COLOURS.length] ?? "--series-1";
        const label = words === undefined ? curve.name : t(words);
        return { kind: "line", colour, label, values: curve.values, spans: true };
      }),
    [past, t],
  );
  const marks = useMemo(
    () => past.wrong.map((ms): Mark => ({ ms, text: t("probes.not_well"), fault: true })),
    [past, t],
  );
  const value = (found: number) => {
    if (past.unit === "ms") return format.duration(found);
    if (past.unit === "percent") return format.percent(found / 100);
    return past.unit === "share" ? format.percent(found) : format.number(found);
  };
  const tick = (found: number) => (past.unit === "ms" ? format.tick(found) : value(found));
  return (
    <>
      <Chart
        name="probe"
        times={past.times}
        widthMs={past.widthMs}
        fromMs={past.span.fromMs}
        toMs={past.span.toMs}
        series={series}
        marks={marks}
        height={CHART_HEIGHT}
        value={value}
        axisValue={tick}
        page="probes"
        params={params}
        summary={t("probes.history")}
      />
      <div class="table-scroll">
        <table class="rows" data-testid="probe-results">
          <thead>
            <tr>
              <th scope="col">{t("column.time")}</th>
              <th scope="col">{t("probes.outcome")}</th>
              <th scope="col">{t("probes.found")}</th>
              <th scope="col" class="num col-wide">
                {t("column.duration")}
              </th>
            </tr>
          </thead>
          <tbody>
            {past.rows.map((row) => {
              const outcome = OUTCOMES[row.outcome];
              return (
                <tr key={row.seq}>
                  <td class="nowrap">
                    <Link class="row-link" href={address("discover", { ...sharedOf(params), kind: "probe", open: `seq:${row.seq}` })}>
                      {format.moment(row.atMs)}
                    </Link>
                  </td>
                  <td>
                    <Lamp colour={outcome?.colour ?? "grey"}>{outcome === undefined ? row.outcome : t(outcome.text)}</Lamp>
                  </td>
                  <td class="wrap">
                    {row.testType !== null && <span class="tag">{row.testType}</span>} {saidWords(row.said, row.found, ui)}
                  </td>
                  <td class="num col-wide">{format.duration(row.durationMs)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </>
  );
}
