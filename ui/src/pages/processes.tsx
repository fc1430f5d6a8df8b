// Processes under supervision: where each is, why, and what can be ordered.

import { type Order, type Process, processes as load } from "../api/processes";
import type { Session } from "../api/session";
import { clause } from "../lib/lucene";
import { mayOperate } from "../lib/rights";
import { sharedOf } from "../lib/range";
import { address, type Changes, changed, go } from "../lib/route";
import { useQuery } from "../lib/use-query";
import { ActionsHead } from "../ui/actions-head";
import { useUi } from "../ui/context";
import { Icon } from "../ui/icon";
import { Lamp } from "../ui/lamp";
import { Link } from "../ui/link";
import { EmptyExample, ErrorNotice, Skeleton } from "../ui/notice";
import { Panel } from "../ui/panel";
import { isLive, LiveSwitch } from "../ui/range-picker";
import { OrderDialog } from "./processes/dialog";
import { Memory } from "./processes/memory";
import { ORDER_WORDS, ordersFor, reasonOf, STATES } from "./processes/words";

const REFRESH_MS = 2_000;

const EXAMPLE = [
  "supervise:",
  "  ollama:",
  "    command: [ollama, serve]",
  "    ready: http://127.0.0.1:11434/api/version",
  "    memory: {soft: 8GB, hard: 12GB}",
].join("\n");

interface Props {
  params: URLSearchParams;
  session: Session;
}

export function ProcessesPage({ params, session }: Props) {
  const { t } = useUi();
  const { data, error, stale, reload } = useQuery("processes", load, isLive(params) ? REFRESH_MS : 0);
  const show = (changes: Changes) => go(address("processes", changed(params, changes)));
  const list = data?.processes ?? [];
  const asked = list.find(({ name }) => name === params.get("process"));
  const order = asked === undefined ? undefined : ordersFor(asked.state).find((one) => one === params.get("order"));
  const close = () => show({ process: null, order: null });
  const waiting = list.filter(({ state }) => state === "paused");
  return (
    <main class="processes" aria-busy={stale} data-testid="processes-page">
      <div class="toolbar">
        <h1 class="page-title">{t("nav.processes")}</h1>
        <div class="toolbar-tools">
          <LiveSwitch page="processes" params={params} />
        </div>
      </div>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {data === null && error === null && <Skeleton lines={6} />}
      {data !== null && list.length === 0 && (
        <EmptyExample title={t("processes.none_title")} text={t("processes.none_text")} example={EXAMPLE} />
      )}
      {waiting.length > 0 && (
        <p class="notice" role="status" data-testid="processes-waiting">
          <Icon name="warning" />
          <strong>{t("processes.waiting", { names: waiting.map(({ name }) => name).join(", ") })}</strong>
        </p>
      )}
      {list.length > 0 && (
        <Panel title={t("processes.list")} note={t("processes.list_note")} records={{ ...sharedOf(params), kind: "process" }}>
          <div class="table-scroll">
            <table class="rows" data-testid="processes-table">
              <thead>
                <tr>
                  <th scope="col">{t("processes.state")}</th>
                  <th scope="col">{t("processes.process")}</th>
                  <th scope="col">{t("processes.why")}</th>
                  <th scope="col">{t("processes.since")}</th>
                  <th scope="col">{t("probes.memory")}</th>
                  <th scope="col" class="num col-wide">
                    {t("processes.starts")}
                  </th>
                  <th scope="col" class="num col-wide">
                    {t("processes.pid")}
                  </th>
                  <ActionsHead />
                </tr>
              </thead>
              <tbody>
                {list.map((process) => (
                  <Row key={process.name} process={process} session={session} show={show} />
                ))}
              </tbody>
            </table>
          </div>
        </Panel>
      )}
      {asked !== undefined && order !== undefined && mayOperate(session.role) && (
        <OrderDialog
          key={`${asked.name} ${order}`}
          process={asked}
          order={order}
          close={close}
          done={() => {
            close();
            reload();
          }}
        />
      )}
    </main>
  );
}

interface RowProps {
  process: Process;
  session: Session;
  show: (changes: Changes) => void;
}

function Row({ process, session, show }: RowProps) {
  const { t, format } = useUi();
  const state = STATES[process.state];
  const since = process.since === null ? null : Date.parse(process.since);
  const next = process.next_start === null ? null : Date.parse(process.next_start);
  const needs = process.needs.length === 0 || process.state === "waiting" ? "" : t("processes.needs", { names: process.needs.join(", ") });
  const own = clause("process_name", process.name);
  return (
    <tr data-testid="process-row" data-process={process.name} data-state={process.state} data-why={process.why?.code ?? ""}>
      <td class="nowrap">
        <Lamp colour={state?.colour ?? "grey"}>{state === undefined ? process.state : t(state.text)}</Lamp>
      </td>
      <td>
        <strong>{process.name}</strong> {process.critical && <span class="tag">{t("processes.critical")}</span>}
        <code class="process-command" title={process.command.join(" ")}>
          {process.command.join(" ")}
        </code>
        {needs !== "" && <span class="process-note">{needs}</span>}
      </td>
      <td class="wrap process-why">
        {reasonOf(process, t, format)}
        {next !== null && (
          <span class="process-note">{t("processes.next", { time: format.relative(next, Date.now()) })}</span>
        )}
      </td>
      <td class="nowrap process-since" data-label={t("processes.since")} title={format.moment(since)}>
        {since === null ? "" : format.relative(since, Date.now())}
      </td>
      <td>
        <Memory process={process} />
      </td>
      <td class="num col-wide">{format.count(process.starts)}</td>
      <td class="num col-wide">{process.pid ?? ""}</td>
      <td class="row-actions">
        <span class="row-buttons">
          {mayOperate(session.role) && ordersFor(process.state).map((order) => (
            <OrderButton key={order} order={order} process={process} show={show} />
          ))}
          <Link
            class="icon-button"
            data-testid="process-lines"
            href={address("discover", { kind: "log", q: clause("source", process.name) })}
            aria-label={t("processes.lines", { name: process.name })}
            title={t("processes.lines", { name: process.name })}
          >
            <Icon name="requests" />
          </Link>
          <Link
            class="icon-button"
            data-testid="process-steps"
            href={address("discover", { kind: "process", q: own })}
            aria-label={t("processes.steps", { name: process.name })}
            title={t("processes.steps", { name: process.name })}
          >
            <Icon name="search" />
          </Link>
        </span>
      </td>
    </tr>
  );
}

function OrderButton({ order, process, show }: { order: Order; process: Process; show: (changes: Changes) => void }) {
  const { t } = useUi();
  const { words, icon } = ORDER_WORDS[order];
  const label = t(words, { name: process.name });
  return (
    <button
      type="button"
      class="icon-button"
      data-testid={`process-${order}`}
      aria-label={label}
      title={label}
      onClick={() => show({ process: process.name, order })}
    >
      <Icon name={icon} />
    </button>
  );
}
