// Dashboards: the one that is ready, and those that people made. What is looked at stands in the address.

import { useMemo, useState } from "preact/hooks";
import {
  changeDashboard,
  type Dashboard,
  dashboards as loadDashboards,
  HEIGHT_MAX,
  type KeptDashboard,
  keepDashboard,
  NEW_PANEL,
  type Panel,
  PANELS_MAX,
  panelBody,
  plain,
  removeDashboard,
  widthOf,
  WIDTH_MAX,
  withSaved,
} from "../../api/dashboards";
import { type Saved, savedSearches } from "../../api/saved";
import type { Session } from "../../api/session";
import { useMarks } from "../../charts/marks";
import { saveFile } from "../../lib/files";
import { moved, resized } from "../../lib/grid";
import { bucketWidth, rangeOf, resolve } from "../../lib/range";
import { address, changed, go } from "../../lib/route";
import { useQuery } from "../../lib/use-query";
import { useUi } from "../../ui/context";
import { CurlButton } from "../../ui/curl";
import { Dialog } from "../../ui/dialog";
import { Icon } from "../../ui/icon";
import { Link } from "../../ui/link";
import { Empty, ErrorNotice, Skeleton } from "../../ui/notice";
import { isLive, LiveSwitch, RangePicker } from "../../ui/range-picker";
import { PanelEditor } from "./editor";
import { ImportDialog } from "./import";
import { READY, readyDashboard } from "./ready";
import { inDiscover, PanelView, ROW_PX } from "./view";

interface Props {
  params: URLSearchParams;
  session: Session;
}

interface Known {
  kept: KeptDashboard[];
  saved: Saved[];
}

export default function DashboardsPage({ params, session }: Props) {
  const { t } = useUi();
  const { data, error, reload } = useQuery<Known>("dashboards", async (signal) => {
    const [kept, saved] = await Promise.all([loadDashboards(signal), savedSearches(signal)]);
    return { kept, saved };
  });
  const id = params.get("d") ?? READY;
  const ready = useMemo(() => readyDashboard(t), [t]);
  const shown = id === READY ? ready : data?.kept.find((one) => one.id === id);
  const [draft, setDraft] = useState<{ id: string | null; dashboard: Dashboard } | null>(null);
  const [importing, setImporting] = useState(false);
  const mayChange = session.role !== "viewer";

  const open = (next: string, from = "", to = "") =>
    go(address("dashboards", changed(params, { d: next === READY ? null : next, ...(from === "" ? {} : { from, to }) })));
  const kept = (dashboard: KeptDashboard) => {
    setDraft(null);
    reload();
    open(dashboard.id, dashboard.from, dashboard.to);
  };

  return (
    <main class="dashboards">
      <h1 class="visually-hidden">{t("nav.dashboards")}</h1>
      {draft === null && (
        <div class="toolbar">
          <label class="dashboard-choice">
            <span class="visually-hidden">{t("nav.dashboards")}</span>
            <select data-testid="dashboard-choice" value={id} onChange={(event) => open(event.currentTarget.value)}>
              <option value={READY}>{ready.name}</option>
              {(data?.kept ?? []).map((one) => (
                <option key={one.id} value={one.id}>
                  {one.name}
                </option>
              ))}
            </select>
          </label>
          {shown !== undefined && (
            <Actions
              dashboard={shown}
              id={id}
              mayChange={mayChange}
              edit={() => setDraft({ id: id === READY ? null : id, dashboard: ownCopy(shown, id) })}
              create={() => setDraft({ id: null, dashboard: { name: "", panels: [], from: "", to: "" } })}
              bring={() => setImporting(true)}
              removed={() => {
                reload();
                open(READY);
              }}
            />
          )}
          <div class="toolbar-tools">
            <LiveSwitch page="dashboards" params={params} />
            <RangePicker page="dashboards" params={params} />
          </div>
        </div>
      )}
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {data === null && error === null && <Skeleton lines={10} />}
      {data !== null && shown === undefined && draft === null && (
        <Empty title={t("dashboards.unknown")}>
          <Link class="button" href={address("dashboards", changed(params, { d: null }))}>
            {ready.name}
          </Link>
        </Empty>
      )}
      {data !== null && draft === null && shown !== undefined && (
        <Board dashboard={shown} saved={data.saved} params={params} session={session} />
      )}
      {data !== null && draft !== null && (
        <Workshop
          first={draft.dashboard}
          id={draft.id}
          saved={data.saved}
          params={params}
          session={session}
          kept={kept}
          cancel={() => setDraft(null)}
        />
      )}
      {importing && <ImportDialog close={() => setImporting(false)} kept={kept} />}
    </main>
  );
}

/** The ready one is not changed: its copy is. */
function ownCopy(dashboard: Dashboard, id: string): Dashboard {
  return id === READY ? { ...dashboard, name: "" } : plain(dashboard);
}

interface ActionsProps {
  dashboard: Dashboard;
  id: string;
  mayChange: boolean;
  edit: () => void;
  create: () => void;
  bring: () => void;
  removed: () => void;
}

function Actions({ dashboard, id, mayChange, edit, create, bring, removed }: ActionsProps) {
  const { t } = useUi();
  const [sure, setSure] = useState(false);
  const [failed, setFailed] = useState<Error | null>(null);
  const remove = async () => {
    try {
      await removeDashboard(id);
      setSure(false);
      removed();
    } catch (cause) {
      setFailed(cause instanceof Error ? cause : new Error(String(cause)));
    }
  };
  return (
    <div class="dashboard-actions">
      {mayChange && (
        <>
          <button type="button" class="button" data-testid="dashboard-edit" onClick={edit}>
            <Icon name="pencil" />
            {t(id === READY ? "dashboards.copy" : "dashboards.edit")}
          </button>
          <button type="button" class="button" data-testid="dashboard-new" onClick={create}>
            <Icon name="plus" />
            <span class="button-words">{t("dashboards.new")}</span>
          </button>
          <button
            type="button"
            class="button"
            data-testid="dashboard-import"
            aria-label={t("dashboards.import")}
            onClick={bring}
          >
            <Icon name="upload" />
            <span class="button-words">{t("dashboards.import")}</span>
          </button>
        </>
      )}
      <button
        type="button"
        class="button"
        data-testid="dashboard-export"
        aria-label={t("dashboards.export")}
        onClick={() => saveFile(fileName(dashboard.name), "application/json", `${JSON.stringify(plain(dashboard), null, 2)}\n`)}
      >
        <Icon name="download" />
        <span class="button-words">{t("dashboards.export")}</span>
      </button>
      {mayChange && id !== READY && (
        <button
          type="button"
          class="icon-button"
          data-testid="dashboard-remove"
          aria-label={t("dashboards.remove")}
          title={t("dashboards.remove")}
          onClick={() => setSure(true)}
        >
          <Icon name="trash" />
        </button>
      )}
      {sure && (
        <Dialog name="dashboard-remove-dialog" title={t("dashboards.remove")} close={() => setSure(false)}>
          <p>{t("dashboards.remove_text", { name: dashboard.name })}</p>
          {failed !== null && <ErrorNotice error={failed} />}
          <div class="dialog-actions">
            <button type="button" class="button" onClick={() => setSure(false)}>
              {t("common.cancel")}
            </button>
            <button type="button" class="button primary" data-testid="dashboard-remove-submit" onClick={() => void remove()}>
              {t("dashboards.remove")}
            </button>
          </div>
        </Dialog>
      )}
    </div>
  );
}

function fileName(name: string): string {
  return `${name.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "") || "dashboard"}.json`;
}

interface BoardProps {
  dashboard: Dashboard;
  saved: Saved[];
  params: URLSearchParams;
  session: Session;
}

function Board({ dashboard, saved, params, session }: BoardProps) {
  const { t } = useUi();
  const marks = useMarks(rangeOf(params), isLive(params));
  if (dashboard.panels.length === 0) return <Empty title={t("dashboards.empty")} />;
  return (
    <div class="grid-board" data-testid="dashboard" data-name={dashboard.name}>
      {dashboard.panels.map((panel, at) => {
        const asked = withSaved(panel, saved);
        return (
          <Framed key={`${at} ${panel.title}`} panel={panel}>
            <header class="panel-head">
              <h2>{panel.title}</h2>
              {asked !== null && panel.view !== "searches" && (
                <div class="panel-actions">
                  <PanelTools panel={asked} params={params} session={session} />
                </div>
              )}
            </header>
            {asked === null ? (
              <p class="quiet panel-none">{t("dashboards.saved_gone")}</p>
            ) : (
              <PanelView panel={asked} params={params} saved={saved} marks={marks} />
            )}
          </Framed>
        );
      })}
    </div>
  );
}

function PanelTools({ panel, params, session }: { panel: Panel; params: URLSearchParams; session: Session }) {
  const { t } = useUi();
  const body = () => {
    const span = resolve(rangeOf(params), Date.now());
    return panelBody(panel, span, widthOf(panel, span, bucketWidth(span)));
  };
  return (
    <>
      <CurlButton body={body} session={session} small />
      <Link
        class="icon-button"
        href={inDiscover(panel, params)}
        data-testid="panel-discover"
        title={t("common.in_discover")}
        aria-label={`${t("common.in_discover")}: ${panel.title}`}
      >
        <Icon name="search" />
      </Link>
    </>
  );
}

interface FramedProps {
  panel: Panel;
  children: preact.ComponentChildren;
  class?: string;
}

function Framed({ panel, children, class: name = "" }: FramedProps) {
  return (
    <section
      class={`panel grid-panel ${name}`}
      aria-label={panel.title}
      data-testid="panel"
      data-view={panel.view}
      style={{ "--wide": String(panel.width), "--high": `${panel.height * ROW_PX}px` }}
    >
      {children}
    </section>
  );
}

interface WorkshopProps extends Omit<BoardProps, "dashboard"> {
  first: Dashboard;
  id: string | null;
  kept: (dashboard: KeptDashboard) => void;
  cancel: () => void;
}

/** A dashboard while it is changed: nothing is kept until it is saved. */
function Workshop({ first, id, saved, params, kept, cancel }: WorkshopProps) {
  const { t } = useUi();
  const [dashboard, setDashboard] = useState(first);
  const [editing, setEditing] = useState<number | null>(null);
  const [dragged, setDragged] = useState<number | null>(null);
  const [told, setTold] = useState("");
  const [failed, setFailed] = useState<Error | null>(null);
  const { panels } = dashboard;
  const setPanels = (next: Panel[]) => setDashboard({ ...dashboard, panels: next });

  const save = async (event: Event) => {
    event.preventDefault();
    setFailed(null);
    try {
      const wanted = { ...dashboard, name: dashboard.name.trim() };
      kept(id === null ? await keepDashboard(wanted) : await changeDashboard(id, wanted));
    } catch (cause) {
      setFailed(cause instanceof Error ? cause : new Error(String(cause)));
    }
  };
  const move = (from: number, to: number) => {
    if (to < 0 || to >= panels.length || from === to) return;
    setPanels(moved(panels, from, to));
    setTold(t("dashboards.moved", { title: panels[from]?.title ?? "", place: to + 1, count: panels.length }));
  };
  const resize = (at: number, wide: number, high: number) => {
    const next = panels.map((panel, index) => (index === at ? resized(panel, wide, high) : panel));
    setPanels(next);
    const panel = next[at];
    if (panel !== undefined) setTold(t("dashboards.sized", { width: panel.width, height: panel.height }));
  };
  const key = (event: KeyboardEvent, at: number) => {
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    if (!event.shiftKey) return move(at, at + step);
    const across = event.key === "ArrowLeft" || event.key === "ArrowRight";
    resize(at, across ? step : 0, across ? 0 : step);
  };

  return (
    <form class="workshop" onSubmit={(event) => void save(event)}>
      <div class="toolbar">
        <input
          type="text"
          class="dashboard-name"
          data-testid="dashboard-name"
          aria-label={t("dashboards.name")}
          placeholder={t("dashboards.name")}
          maxLength={200}
          value={dashboard.name}
          onInput={(event) => setDashboard({ ...dashboard, name: event.currentTarget.value })}
        />
        <button
          type="button"
          class="button"
          data-testid="panel-add"
          disabled={panels.length >= PANELS_MAX}
          onClick={() => setEditing(panels.length)}
        >
          <Icon name="plus" />
          {t("dashboards.add")}
        </button>
        <label class="dashboard-range">
          <input
            type="checkbox"
            data-testid="dashboard-range"
            checked={dashboard.from !== ""}
            onChange={(event) => {
              const range = event.currentTarget.checked ? rangeOf(params) : { from: "", to: "" };
              setDashboard({ ...dashboard, ...range });
            }}
          />
          {t("dashboards.range")}
        </label>
        <div class="toolbar-tools">
          <button type="button" class="button" onClick={cancel}>
            {t("common.cancel")}
          </button>
          <button
            type="submit"
            class="button primary"
            data-testid="dashboard-save"
            disabled={dashboard.name.trim() === "" || panels.length === 0}
          >
            {t("dashboards.save")}
          </button>
        </div>
      </div>
      {failed !== null && <ErrorNotice error={failed} />}
      <p class="quiet" id="arrange-hint">
        {t("dashboards.hint")}
      </p>
      <p class="visually-hidden" role="status" data-testid="dashboard-told">
        {told}
      </p>
      <div class="grid-board">
        {panels.map((panel, at) => (
          <Framed key={`${at} ${panel.title}`} panel={panel} class={dragged === at ? "grid-dragged" : ""}>
            <div
              class="grid-drop"
              onDragOver={(event) => {
                if (dragged !== null) event.preventDefault();
              }}
              onDrop={(event) => {
                event.preventDefault();
                if (dragged !== null) move(dragged, at);
                setDragged(null);
              }}
            >
              <header class="panel-head">
                <button
                  type="button"
                  class="icon-button grid-grip"
                  data-testid="panel-grip"
                  draggable
                  aria-label={t("dashboards.grip", { title: panel.title })}
                  aria-describedby="arrange-hint"
                  onKeyDown={(event) => key(event, at)}
                  onDragStart={(event) => {
                    event.dataTransfer?.setData("text/plain", panel.title);
                    setDragged(at);
                  }}
                  onDragEnd={() => setDragged(null)}
                >
                  <Icon name="grip" />
                </button>
                <h2>{panel.title}</h2>
                <div class="panel-actions grid-tools">
                  <Size sign="↔" text={t("dashboards.width")} value={panel.width} max={WIDTH_MAX} step={(by) => resize(at, by, 0)} />
                  <Size sign="↕" text={t("dashboards.height")} value={panel.height} max={HEIGHT_MAX} step={(by) => resize(at, 0, by)} />
                  <button
                    type="button"
                    class="icon-button"
                    data-testid="panel-edit"
                    aria-label={t("dashboards.panel_edit", { title: panel.title })}
                    title={t("dashboards.panel_edit", { title: panel.title })}
                    onClick={() => setEditing(at)}
                  >
                    <Icon name="pencil" />
                  </button>
                  <button
                    type="button"
                    class="icon-button"
                    data-testid="panel-remove"
                    aria-label={t("dashboards.panel_remove", { title: panel.title })}
                    title={t("dashboards.panel_remove", { title: panel.title })}
                    onClick={() => setPanels(panels.filter((_, index) => index !== at))}
                  >
                    <Icon name="trash" />
                  </button>
                </div>
              </header>
              <Preview panel={panel} saved={saved} params={params} />
            </div>
          </Framed>
        ))}
      </div>
      {editing !== null && (
        <PanelEditor
          panel={panels[editing] ?? NEW_PANEL}
          saved={saved}
          close={() => setEditing(null)}
          done={(panel) => {
            setPanels(editing < panels.length ? panels.map((one, at) => (at === editing ? panel : one)) : [...panels, panel]);
            setEditing(null);
          }}
        />
      )}
    </form>
  );
}

const NO_MARKS: [] = [];

function Preview({ panel, saved, params }: { panel: Panel; saved: Saved[]; params: URLSearchParams }) {
  const { t } = useUi();
  const asked = withSaved(panel, saved);
  if (asked === null) return <p class="quiet panel-none">{t("dashboards.saved_gone")}</p>;
  return <PanelView panel={asked} params={params} saved={saved} marks={NO_MARKS} />;
}

interface SizeProps {
  /** What tells width and height apart at a glance. */
  sign: string;
  text: string;
  value: number;
  max: number;
  step: (by: number) => void;
}

function Size({ sign, text, value, max, step }: SizeProps) {
  return (
    <span class="grid-size" role="group" aria-label={text} title={text}>
      <span aria-hidden="true">{sign}</span>
      <button type="button" aria-label={`${text} −`} disabled={value <= 1} onClick={() => step(-1)}>
        −
      </button>
      <span>{value}</span>
      <button type="button" aria-label={`${text} +`} disabled={value >= max} onClick={() => step(1)}>
        +
      </button>
    </span>
  );
}
