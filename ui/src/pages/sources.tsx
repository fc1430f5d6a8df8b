// Sources: who sends lines, how many, how many of them are errors or could not be read, and who has fallen silent.

import { readSources, type SourceRow, type Sources, sourcesBody } from "../api/sources";
import { search } from "../api/search";
import type { Session } from "../api/session";
import { clause } from "../lib/lucene";
import { bucketWidth, PRESETS, presetRange, rangeOf, resolve, sharedOf } from "../lib/range";
import { address, type Changes, changed } from "../lib/route";
import { sparkline } from "../lib/sparkline";
import { useQuery } from "../lib/use-query";
import { useUi } from "../ui/context";
import { CurlButton } from "../ui/curl";
import { Link } from "../ui/link";
import { Empty, ErrorNotice, Skeleton } from "../ui/notice";
import { isLive, LiveSwitch, RangePicker } from "../ui/range-picker";

const REFRESH_MS = 5_000;
const SPARK_WIDTH = 160;
const SPARK_HEIGHT = 26;
/** A source of which nothing came in the last part of the range is marked: this share of it. */
const SILENT_SHARE = 0.25;

interface Answer extends Sources {
  /** A source whose last line is older has fallen silent. */
  silentBeforeMs: number;
}

interface Props {
  params: URLSearchParams;
  session: Session;
}

export function SourcesPage({ params, session }: Props) {
  const { t } = useUi();
  const range = rangeOf(params);
  const { data, error, stale, reload } = useQuery<Answer>(
    `${range.from} ${range.to}`,
    async (signal) => {
      const span = resolve(range, Date.now());
      const widthMs = bucketWidth(span);
      const found = readSources(await search(sourcesBody(span, widthMs), signal), span, widthMs);
      return { ...found, silentBeforeMs: span.toMs - (span.toMs - span.fromMs) * SILENT_SHARE };
    },
    isLive(params) ? REFRESH_MS : 0,
  );
  const body = () => {
    const span = resolve(range, Date.now());
    return sourcesBody(span, bucketWidth(span));
  };
  const widest = presetRange(PRESETS[PRESETS.length - 1] ?? "7d");
  return (
    <main class="sources" aria-busy={stale} data-testid="sources-page">
      <div class="toolbar">
        <h1 class="page-title">{t("nav.sources")}</h1>
        <div class="toolbar-tools">
          <CurlButton body={body} session={session} />
          <LiveSwitch page="sources" params={params} />
          <RangePicker page="sources" params={params} />
        </div>
      </div>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {data === null && error === null && <Skeleton lines={8} />}
      {data !== null && data.rows.length === 0 && (
        <Empty title={t("sources.none_title")}>
          <p>{t("sources.none_text")}</p>
          <div class="command">
            <pre>
              <code>{EXAMPLE}</code>
            </pre>
          </div>
          <p class="empty-actions">
            <Link class="button" href={address("sources", changed(params, { from: widest.from, to: widest.to }))}>
              {t("empty.range_widen")}
            </Link>
          </p>
        </Empty>
      )}
      {data !== null && data.rows.length > 0 && <SourceTable data={data} shared={sharedOf(params)} />}
    </main>
  );
}

const EXAMPLE = "sources:\n  nginx: {type: file, paths: [/var/log/nginx/access.log], format: nginx}";

function SourceTable({ data, shared }: { data: Answer; shared: Changes }) {
  const { t } = useUi();
  return (
    <section class="panel" aria-label={t("nav.sources")}>
      <div class="table-scroll">
        <table class="rows" data-testid="sources-table">
          <thead>
            <tr>
              <th scope="col">{t("column.source")}</th>
              <th scope="col" class="num">
                {t("sources.lines")}
              </th>
              <th scope="col" class="col-wide">
                {t("sources.rate")}
              </th>
              <th scope="col" class="num">
                {t("sources.errors")}
              </th>
              <th scope="col" class="num col-wide">
                {t("sources.warnings")}
              </th>
              <th scope="col" class="num" title={t("sources.unread_long")}>
                {t("sources.unread")}
              </th>
              <th scope="col">{t("sources.last")}</th>
            </tr>
          </thead>
          <tbody>
            {data.rows.map((row) => (
              <Row key={row.name} row={row} silentBeforeMs={data.silentBeforeMs} shared={shared} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Row({ row, silentBeforeMs, shared }: { row: SourceRow; silentBeforeMs: number; shared: Changes }) {
  const { t, format } = useUi();
  const own = clause("source", row.name);
  const to = (more: string) => address("discover", { ...shared, kind: "log", q: `${own}${more}` });
  const counted = (count: number, more: string, tone: string) => (
    <td class={tone === "" ? "num" : `num ${tone}`}>
      {count === 0 ? (
        <span class="quiet">0</span>
      ) : (
        <Link class="row-link" href={to(more)}>
          {format.compact(count)}
        </Link>
      )}
    </td>
  );
  const silent = row.lastMs !== null && row.lastMs < silentBeforeMs;
  return (
    <tr data-testid="source-row" data-source={row.name} data-lines={row.lines}>
      <td>
        <Link class="row-link" href={to("")}>
          <strong>{row.name}</strong>
        </Link>
      </td>
      <td class="num">{format.compact(row.lines)}</td>
      <td class="col-wide">
        <svg
          class="spark series-1 source-spark"
          viewBox={`0 0 ${SPARK_WIDTH} ${SPARK_HEIGHT}`}
          preserveAspectRatio="none"
          aria-hidden="true"
          focusable="false"
        >
          <path d={sparkline(row.series, SPARK_WIDTH, SPARK_HEIGHT)} />
        </svg>
      </td>
      {counted(row.errors, " AND level:(error OR fatal)", "tone-fault")}
      {counted(row.warnings, " AND level:warn", "col-wide")}
      {counted(row.unread, " AND ingest_error:*", "tone-warn")}
      <td class="nowrap">
        {format.moment(row.lastMs)} {silent && <span class="tag tag-warn">{t("sources.silent")}</span>}
      </td>
    </tr>
  );
}
