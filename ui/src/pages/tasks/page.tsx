// Tasks: what runs by itself, what humans are asked, the runs, one run step by step, the editor of a definition, and batches.

import { board as loadBoard, type TaskBoard } from "../../api/tasks";
import type { Session } from "../../api/session";
import type { TextKey } from "../../i18n/en";
import { mayOperate } from "../../lib/rights";
import { address, type Changes, changed, go } from "../../lib/route";
import { useQuery } from "../../lib/use-query";
import { useUi } from "../../ui/context";
import { Icon } from "../../ui/icon";
import { Link } from "../../ui/link";
import { EmptyExample, ErrorNotice, Skeleton } from "../../ui/notice";
import { Batches } from "./batches";
import { DefinitionEditor } from "./editor";
import { Faulty, Questions, TaskList } from "./list";
import { RunView } from "./run";
import { RunList } from "./runs";

const REFRESH_MS = 3_000;
const EXAMPLE = "tasks: {dir: tasks}";

const TABS = ["tasks", "batches"] as const;
const TAB_TEXTS: Record<(typeof TABS)[number], TextKey> = { tasks: "tasks.list", batches: "batches.batches" };

interface Props {
  params: URLSearchParams;
  session: Session;
}

export default function TasksPage({ params, session }: Props) {
  const { t } = useUi();
  const { data, error, reload } = useQuery("tasks", loadBoard, REFRESH_MS);
  const show = (changes: Changes) => go(address("tasks", changed(params, changes)));
  const tab = params.get("tab") === "batches" ? "batches" : "tasks";
  const back = tab === "tasks" && (params.has("run") || params.has("edit"));
  const editable = mayOperate(session.role);
  return (
    <main class="tasks" data-testid="tasks-page">
      <div class="toolbar">
        <h1 class="page-title">{t("nav.tasks")}</h1>
        {!back && (
          <div class="segments" role="group" aria-label={t("batches.tabs")}>
            {TABS.map((one) => (
              <button
                key={one}
                type="button"
                data-testid={`tasks-${one}`}
                aria-pressed={one === tab}
                onClick={() => show({ tab: one === "tasks" ? null : one })}
              >
                {t(TAB_TEXTS[one])}
              </button>
            ))}
          </div>
        )}
        <div class="toolbar-tools">
          {back && (
            <Link class="button" href={address("tasks", changed(params, { run: null, edit: null, step: null }))}>
              <Icon name="left" />
              {t("tasks.all")}
            </Link>
          )}
          {tab === "tasks" && !back && editable && data?.on === true && (
            <button type="button" class="button" data-testid="task-new" onClick={() => show({ edit: "new" })}>
              <Icon name="plus" />
              {t("tasks.new")}
            </button>
          )}
        </div>
      </div>
      {tab === "batches" ? (
        <Batches may={editable} />
      ) : (
        <TasksPart board={data} error={error} reload={reload} params={params} session={session} show={show} />
      )}
    </main>
  );
}

interface PartProps extends Props {
  board: TaskBoard | null;
  error: Error | null;
  reload: () => void;
  show: (changes: Changes) => void;
}

/** All tasks and runs; or one run, or one definition, as the address says. */
function TasksPart({ board, error, reload, params, session, show }: PartProps) {
  const { t } = useUi();
  if (board === null) return error === null ? <Skeleton lines={10} /> : <ErrorNotice error={error} retry={reload} />;
  if (!board.on) return <EmptyExample title={t("tasks.none_title")} text={t("tasks.none_text")} example={EXAMPLE} />;
  const [run, edit] = [params.get("run"), params.get("edit")];
  const editable = mayOperate(session.role);
  return (
    <>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {run !== null && <RunView id={run} params={params} session={session} show={show} />}
      {run === null && edit !== null && (
        <DefinitionEditor key={edit} task={edit} templates={board.templates} editable={editable} show={show} reload={reload} />
      )}
      {run === null && edit === null && (
        <div class="tasks-grid">
          {board.questions.length > 0 && <Questions questions={board.questions} params={params} />}
          {board.faulty.length > 0 && <Faulty faulty={board.faulty} />}
          <TaskList board={board} params={params} editable={editable} show={show} reload={reload} />
          <RunList params={params} show={show} />
        </div>
      )}
    </>
  );
}
