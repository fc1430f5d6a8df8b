// Tasks: what runs by itself, what humans are asked, the runs, one run step by step, and the editor of a definition.

import { board as loadBoard } from "../../api/tasks";
import type { Session } from "../../api/session";
import { mayOperate } from "../../lib/rights";
import { address, type Changes, changed, go } from "../../lib/route";
import { useQuery } from "../../lib/use-query";
import { useUi } from "../../ui/context";
import { Icon } from "../../ui/icon";
import { Link } from "../../ui/link";
import { EmptyExample, ErrorNotice, Skeleton } from "../../ui/notice";
import { DefinitionEditor } from "./editor";
import { Faulty, Questions, TaskList } from "./list";
import { RunView } from "./run";
import { RunList } from "./runs";

const REFRESH_MS = 3_000;
const EXAMPLE = "tasks: {dir: tasks}";

interface Props {
  params: URLSearchParams;
  session: Session;
}

export default function TasksPage({ params, session }: Props) {
  const { t } = useUi();
  const { data, error, reload } = useQuery("tasks", loadBoard, REFRESH_MS);
  const show = (changes: Changes) => go(address("tasks", changed(params, changes)));
  const [run, edit] = [params.get("run"), params.get("edit")];
  const back = run !== null || edit !== null;
  const editable = mayOperate(session.role);
  return (
    <main class="tasks" data-testid="tasks-page">
      <div class="toolbar">
        <h1 class="page-title">{t("nav.tasks")}</h1>
        <div class="toolbar-tools">
          {back && (
            <Link class="button" href={address("tasks", changed(params, { run: null, edit: null, step: null }))}>
              <Icon name="left" />
              {t("tasks.all")}
            </Link>
          )}
          {!back && editable && data?.on === true && (
            <button type="button" class="button" data-testid="task-new" onClick={() => show({ edit: "new" })}>
              <Icon name="plus" />
              {t("tasks.new")}
            </button>
          )}
        </div>
      </div>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {data === null && error === null && <Skeleton lines={10} />}
      {data !== null && !data.on && <EmptyExample title={t("tasks.none_title")} text={t("tasks.none_text")} example={EXAMPLE} />}
      {data?.on === true && run !== null && <RunView id={run} params={params} session={session} show={show} />}
      {data?.on === true && run === null && edit !== null && (
        <DefinitionEditor key={edit} task={edit} templates={data.templates} editable={editable} show={show} reload={reload} />
      )}
      {data?.on === true && !back && (
        <div class="tasks-grid">
          {data.questions.length > 0 && <Questions questions={data.questions} params={params} />}
          {data.faulty.length > 0 && <Faulty faulty={data.faulty} />}
          <TaskList board={data} params={params} editable={editable} show={show} reload={reload} />
          <RunList params={params} show={show} />
        </div>
      )}
    </main>
  );
}
