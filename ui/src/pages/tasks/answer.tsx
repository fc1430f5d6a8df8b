// What a human is asked: yes or no, with a comment, and with changed values of earlier steps where that helps.

import { useState } from "preact/hooks";
import { answerRun, type Edits, type Question, type RunDetail } from "../../api/tasks";
import { useChange } from "../../lib/use-change";
import { useUi } from "../../ui/context";
import { Field } from "../../ui/field";
import { Icon } from "../../ui/icon";
import { Lamp } from "../../ui/lamp";
import { ErrorNotice } from "../../ui/notice";
import { Panel } from "../../ui/panel";
import { clause } from "../../lib/lucene";
import { ASKED, questionWords } from "./words";

interface Props {
  run: RunDetail;
  question: Question;
  may: boolean;
  reload: () => void;
}

export function Answer({ run, question, may, reload }: Props) {
  const { t, format } = useUi();
  const [comment, setComment] = useState("");
  const [changedText, setChangedText] = useState<string | null>(null);
  const values = Object.fromEntries(run.steps.flatMap(({ name, value }) => (value == null ? [] : [[name, value]])));
  const text = changedText ?? JSON.stringify(values, null, 2);
  const edits = changedText === null ? {} : editsOf(changedText, values);
  const approve = useChange(() => answerRun(question, true, comment, edits ?? {}), reload);
  const reject = useChange(() => answerRun(question, false, comment, {}), reload);
  const why = Object.hasOwn(ASKED, question.why) ? ASKED[question.why] : undefined;
  const error = approve.error ?? reject.error;
  return (
    <Panel
      area="answer"
      title={t("tasks.question")}
      note={question.step}
      records={{ kind: "task", q: clause("task_run", question.run) }}
    >
      <div class="task-answer" data-testid="run-question" data-why={question.why}>
        <p>
          <Lamp colour="yellow">{why === undefined ? question.why : t(why)}</Lamp>{" "}
          <span class="quiet">{format.moment(question.since_ms)}</span>
          {question.expires_ms != null && (
            <span class="quiet"> · {t("tasks.expires", { time: format.moment(question.expires_ms) })}</span>
          )}
        </p>
        <p class="task-words">{questionWords(question, t)}</p>
        {question.by.length > 0 && <p class="quiet">{t("tasks.asked_of", { names: question.by.join(", ") })}</p>}
        {may && (
          <>
            <Field words={t("tasks.comment")}>
              <input type="text" data-testid="answer-comment" value={comment} onInput={(event) => setComment(event.currentTarget.value)} />
            </Field>
            <details>
              <summary>{t("tasks.edit_values")}</summary>
              <Field words={t("tasks.values")} hint={edits === null ? t("tasks.no_json") : undefined}>
                <textarea
                  class="task-json"
                  data-testid="answer-values"
                  rows={8}
                  spellcheck={false}
                  aria-invalid={edits === null}
                  value={text}
                  onInput={(event) => setChangedText(event.currentTarget.value)}
                />
              </Field>
            </details>
            {error !== null && <ErrorNotice error={error} />}
            <p class="task-buttons">
              <button
                type="button"
                class="button primary"
                data-testid="approve"
                disabled={approve.busy || edits === null}
                onClick={approve.start}
              >
                <Icon name="check" />
                {t("tasks.approve")}
              </button>
              <button type="button" class="button" data-testid="reject" disabled={reject.busy} onClick={reject.start}>
                <Icon name="close" />
                {t("tasks.reject")}
              </button>
            </p>
          </>
        )}
      </div>
    </Panel>
  );
}

/** The values that were changed; null while the text is no JSON object. */
export function editsOf(text: string, before: Record<string, unknown>): Edits | null {
  const values = objectOf(text);
  if (values === null) return null;
  const changed = Object.entries(values).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name]));
  return changed.length === 0 ? {} : { values: Object.fromEntries(changed) };
}

/** The object that a text is; null where it is none. */
export function objectOf(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}
