// The runs, found by task, state and words; the filters stand in the address.

import { useEffect, useState } from "preact/hooks";
import { type Run, runs as loadRuns } from "../../api/tasks";
import { address, type Changes, changed } from "../../lib/route";
import { useChange } from "../../lib/use-change";
import { useQuery } from "../../lib/use-query";
import { useSettled } from "../../lib/use-settled";
import { whoWords } from "../../lib/who";
import { useUi } from "../../ui/context";
import { Lamp } from "../../ui/lamp";
import { Link } from "../../ui/link";
import { ErrorNotice, Skeleton } from "../../ui/notice";
import { Panel } from "../../ui/panel";
import { errorWords, STATUSES } from "./words";

const REFRESH_MS = 2_000;
const TYPING_MS = 250;

interface Props {
  params: URLSearchParams;
  show: (changes: Changes) => void;
}

export function RunList({ params, show }: Props) {
  const { t, format } = useUi();
  const [typed, setTyped] = useState(params.get("text") ?? "");
  const text = useSettled(typed, TYPING_MS);
  const wanted = { task: params.get("task") ?? "", status: params.get("status") ?? "", text };
  const key = JSON.stringify(wanted);
  const [older, setOlder] = useState<{ key: string; runs: Run[]; next: string | null }>({ key, runs: [], next: null });
  const { data, error, reload } = useQuery(key, (signal) => loadRuns(wanted, signal), REFRESH_MS);
  useEffect(() => {
    if ((params.get("text") ?? "") !== text) show({ text: text === "" ? null : text });
  }, [text]);
  const mine = older.key === key ? older : { key, runs: [], next: null };
  const known = new Set(data?.runs.map(({ id }) => id));
  const rows = [...(data?.runs ?? []), ...mine.runs.filter(({ id }) => !known.has(id))];
  const next = mine.runs.length > 0 ? mine.next : (data?.next ?? null);
  const more = useChange(
    () => loadRuns({ ...wanted, before: next ?? undefined }),
    (page) => setOlder({ key, runs: [...mine.runs, ...page.runs], next: page.next ?? null }),
  );
  return (
    <Panel
      area="runs"
      title={t("tasks.runs")}
      records={{ kind: "task" }}
      actions={
        <>
          <input
            type="search"
            class="find"
            data-testid="runs-find"
            placeholder={t("tasks.find")}
            aria-label={t("tasks.find")}
            value={typed}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
          <select
            data-testid="runs-status"
            aria-label={t("tasks.status")}
            value={wanted.status}
            onChange={(event) => show({ status: event.currentTarget.value || null })}
          >
            <option value="">{t("tasks.every_status")}</option>
            {Object.entries(STATUSES).map(([status, { text: words }]) => (
              <option key={status} value={status}>
                {t(words)}
              </option>
            ))}
          </select>
        </>
      }
    >
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {data === null && error === null && <Skeleton lines={6} />}
      {data !== null && rows.length === 0 && <p class="quiet panel-empty">{t("tasks.no_runs")}</p>}
      {rows.length > 0 && (
        <div class="table-scroll">
          <table class="rows card-rows" data-testid="runs-table">
            <thead>
              <tr>
                <th scope="col">{t("tasks.status")}</th>
                <th scope="col">{t("tasks.task")}</th>
                <th scope="col">{t("tasks.begun")}</th>
                <th scope="col" class="num col-wide">
                  {t("column.duration")}
                </th>
                <th scope="col" class="num">
                  {t("tasks.steps")}
                </th>
                <th scope="col" class="num col-wide">
                  {t("tasks.tokens")}
                </th>
                <th scope="col" class="col-wide">
                  {t("tasks.who")}
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((run) => (
                <tr key={run.id} data-testid="run-row" data-run={run.id} data-status={run.status}>
                  <td>
                    <Lamp colour={STATUSES[run.status].colour}>{t(STATUSES[run.status].text)}</Lamp>
                  </td>
                  <td>
                    <Link class="row-link" href={address("tasks", changed(params, { run: run.id }))}>
                      <strong>{run.task}</strong> <span class="quiet">{run.step ?? ""}</span>
                    </Link>
                    {run.error != null && <span class="process-note">{errorWords(run.error, t)}</span>}
                  </td>
                  <td class="nowrap" data-label={t("tasks.begun")}>
                    {format.moment(run.created_ms)}
                  </td>
                  <td class="num col-wide" data-label={t("column.duration")}>
                    {format.duration(tookMs(run))}
                  </td>
                  <td class="num" data-label={t("tasks.steps")}>
                    {run.steps_done}/{run.steps}
                  </td>
                  <td class="num col-wide">{format.compact(run.tokens)}</td>
                  <td class="col-wide" data-label={t("tasks.who")}>
                    {whoWords(run.who, t)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {more.error !== null && <ErrorNotice error={more.error} />}
      {next !== null && (
        <p class="panel-more">
          <button type="button" class="button" data-testid="runs-more" disabled={more.busy} onClick={more.start}>
            {t("alerts.earlier")}
          </button>
        </p>
      )}
    </Panel>
  );
}

/** How long a run took, or takes until now. */
export function tookMs({ started_ms, ended_ms }: Run): number | null {
  return started_ms == null ? null : Math.max((ended_ms ?? Date.now()) - started_ms, 0);
}
