// The tasks with their schedules, what humans are asked, and files that cannot be used.

import { beginRun, holdTask, type Question, releaseTask, type Task, type TaskBoard } from "../../api/tasks";
import { address, type Changes, changed } from "../../lib/route";
import { useChange } from "../../lib/use-change";
import { ActionsHead } from "../../ui/actions-head";
import { useUi } from "../../ui/context";
import { Icon } from "../../ui/icon";
import { Lamp } from "../../ui/lamp";
import { Link } from "../../ui/link";
import { ErrorNotice } from "../../ui/notice";
import { Panel } from "../../ui/panel";
import { ASKED, questionWords, STATUSES } from "./words";

export function Questions({ questions, params }: { questions: Question[]; params: URLSearchParams }) {
  const { t, format } = useUi();
  return (
    <Panel
      area="questions"
      title={t("tasks.questions")}
      note={String(questions.length)}
      records={{ kind: "task", q: "waits_for_human:true" }}
    >
      <ul class="steps" data-testid="task-questions">
        {questions.map((question) => {
          const why = Object.hasOwn(ASKED, question.why) ? ASKED[question.why] : undefined;
          return (
            <li key={question.number}>
              <div class="step-head">
                <Lamp colour="yellow">{why === undefined ? question.why : t(why)}</Lamp>
                <Link class="row-link" href={address("tasks", changed(params, { run: question.run, step: question.step }))}>
                  <strong>{question.task}</strong> · {question.step}
                </Link>
                <span class="quiet">{format.relative(question.since_ms, Date.now())}</span>
              </div>
              <p class="task-words">{questionWords(question, t)}</p>
            </li>
          );
        })}
      </ul>
    </Panel>
  );
}

export function Faulty({ faulty }: { faulty: TaskBoard["faulty"] }) {
  const { t } = useUi();
  return (
    <Panel area="faulty" title={t("tasks.faulty")} note={String(faulty.length)} records={{ kind: "task" }}>
      <ul class="steps">
        {faulty.map(({ file, error }) => (
          <li key={file}>
            <Lamp colour="red">{file}</Lamp>
            <pre class="task-value" tabIndex={0}>
              <code>{error}</code>
            </pre>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

interface ListProps {
  board: TaskBoard;
  params: URLSearchParams;
  editable: boolean;
  show: (changes: Changes) => void;
  reload: () => void;
}

export function TaskList({ board, params, editable, show, reload }: ListProps) {
  const { t } = useUi();
  return (
    <Panel area="list" title={t("tasks.list")} note={board.dir ?? undefined} records={{ kind: "task" }}>
      {board.tasks.length === 0 && <p class="quiet panel-empty">{t("tasks.no_tasks")}</p>}
      {board.tasks.length > 0 && (
        <div class="table-scroll">
          <table class="rows card-rows" data-testid="tasks-table">
            <thead>
              <tr>
                <th scope="col">{t("tasks.task")}</th>
                <th scope="col">{t("tasks.schedule")}</th>
                <th scope="col">{t("tasks.next")}</th>
                <th scope="col">{t("tasks.last")}</th>
                <ActionsHead />
              </tr>
            </thead>
            <tbody>
              {board.tasks.map((task) => (
                <Row key={task.name} task={task} params={params} editable={editable} show={show} reload={reload} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

interface RowProps extends Omit<ListProps, "board"> {
  task: Task;
}

function Row({ task, params, editable, show, reload }: RowProps) {
  const { t, format } = useUi();
  const begin = useChange(
    () => beginRun(task.name),
    (run) => show({ run, edit: null, step: null }),
  );
  const hold = useChange(() => (task.is_held ? releaseTask(task.name) : holdTask(task.name)), reload);
  const last = task.last_run ?? null;
  const status = last === null ? null : STATUSES[last.status];
  const error = begin.error ?? hold.error;
  return (
    <tr data-testid="task-row" data-task={task.name} data-held={task.is_held}>
      <td>
        <Link class="row-link" href={address("tasks", changed(params, { edit: task.name }))}>
          <strong>{task.name}</strong>
        </Link>
        {task.critical && <span class="tag">{t("processes.critical")}</span>}
        {task.title != null && <span class="process-note">{task.title}</span>}
        {error !== null && <ErrorNotice error={error} />}
      </td>
      <td data-label={t("tasks.schedule")}>
        {task.schedule == null ? <span class="quiet">{t("tasks.by_hand")}</span> : <code>{task.schedule}</code>}
      </td>
      <td class="nowrap" data-label={t("tasks.next")}>
        {task.is_held ? <span class="tag tag-warn">{t("tasks.held")}</span> : format.moment(task.next_ms ?? null)}
      </td>
      <td class="nowrap" data-label={last === null ? undefined : t("tasks.last")}>
        {last !== null && status !== null && (
          <Link class="row-link" href={address("tasks", changed(params, { run: last.id }))}>
            <Lamp colour={status.colour}>{t(status.text)}</Lamp> {format.moment(last.created_ms)}
          </Link>
        )}
      </td>
      <td class="row-actions">
        <span class="row-buttons">
          {editable && (
            <button
              type="button"
              class="icon-button"
              data-testid="task-run"
              aria-label={t("tasks.run_name", { name: task.name })}
              title={t("tasks.run_name", { name: task.name })}
              disabled={begin.busy}
              onClick={begin.start}
            >
              <Icon name="play" />
            </button>
          )}
          {editable && task.schedule != null && (
            <button
              type="button"
              class="icon-button"
              data-testid="task-hold"
              aria-label={t(task.is_held ? "tasks.release_name" : "tasks.hold_name", { name: task.name })}
              title={t(task.is_held ? "tasks.release_name" : "tasks.hold_name", { name: task.name })}
              disabled={hold.busy}
              onClick={hold.start}
            >
              <Icon name={task.is_held ? "again" : "pause"} />
            </button>
          )}
        </span>
      </td>
    </tr>
  );
}
