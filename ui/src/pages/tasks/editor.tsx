// The text of a definition: checked while one writes, saved where it is valid, or begun from a template.

import { useState } from "preact/hooks";
import {
  checkDefinition,
  definition as loadDefinition,
  removeDefinition,
  saveDefinition,
  type TaskBoard,
  type TaskCheck,
  type TaskText,
} from "../../api/tasks";
import { faultWords } from "../../lib/fault";
import { clause } from "../../lib/lucene";
import type { Changes } from "../../lib/route";
import { useChange } from "../../lib/use-change";
import { useQuery } from "../../lib/use-query";
import { useSettled } from "../../lib/use-settled";
import { useUi } from "../../ui/context";
import { Field } from "../../ui/field";
import { Icon } from "../../ui/icon";
import { Lamp } from "../../ui/lamp";
import { ErrorNotice, Skeleton } from "../../ui/notice";
import { Panel } from "../../ui/panel";
import { KINDS } from "./words";

const TYPING_MS = 300;
const NEW = "new";

interface Props {
  /** The task, or `new`. */
  task: string;
  templates: TaskBoard["templates"];
  editable: boolean;
  show: (changes: Changes) => void;
  reload: () => void;
}

export function DefinitionEditor({ task, ...rest }: Props) {
  const isNew = task === NEW;
  const { data, error, reload } = useQuery<TaskText | null>(task, (signal) =>
    isNew ? Promise.resolve(null) : loadDefinition(task, signal),
  );
  if (error !== null) return <ErrorNotice error={error} retry={reload} />;
  if (!isNew && data === null) return <Skeleton lines={10} />;
  return <Editor key={data?.version ?? NEW} kept={data} {...rest} />;
}

function Editor({ kept, templates, editable, show, reload }: Omit<Props, "task"> & { kept: TaskText | null }) {
  const { t } = useUi();
  const [name, setName] = useState(kept?.task ?? "");
  const [text, setText] = useState(kept?.text ?? "");
  const settled = useSettled(text, TYPING_MS);
  const { data: check, error } = useQuery<TaskCheck | null>(`${name}\n${settled}`, (signal) =>
    settled.trim() === "" ? Promise.resolve(null) : checkDefinition(name === "" ? "task" : name, settled, signal),
  );
  const save = useChange(
    () => saveDefinition(name, text, kept?.version ?? null),
    () => {
      reload();
      show({ edit: null });
    },
  );
  const remove = useChange(
    () => removeDefinition(name),
    () => {
      reload();
      show({ edit: null });
    },
  );
  const valid = check !== null && check.faults.length === 0 && settled === text;
  const ready = editable && valid && name !== "" && text !== kept?.text;
  return (
    <div class="definition-grid" data-testid="definition" data-task={kept?.task ?? NEW}>
      <Panel
        area="text"
        title={kept?.task ?? t("tasks.new")}
        records={kept === null ? undefined : { kind: "task", q: clause("task", kept.task) }}
      >
        <div class="task-answer">
          {kept === null && (
            <>
              <Field words={t("tasks.name")} hint={t("tasks.name_hint")}>
                <input type="text" data-testid="definition-name" value={name} onInput={(event) => setName(event.currentTarget.value)} />
              </Field>
              {templates.length > 0 && (
                <p class="task-buttons">
                  <span class="quiet">{t("tasks.begin_with")}</span>
                  {templates.map((template) => (
                    <button
                      key={template.name}
                      type="button"
                      class="button"
                      title={template.title}
                      data-testid="definition-template"
                      onClick={() => {
                        setName(name === "" ? template.name : name);
                        setText(template.text);
                      }}
                    >
                      {template.name}
                    </button>
                  ))}
                </p>
              )}
            </>
          )}
          <textarea
            class="task-json definition-text"
            data-testid="definition-text"
            aria-label={t("tasks.text")}
            aria-invalid={check !== null && check.faults.length > 0}
            rows={24}
            wrap="off"
            spellcheck={false}
            readOnly={!editable}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
          {save.error !== null && <ErrorNotice error={save.error} />}
          {remove.error !== null && <ErrorNotice error={remove.error} />}
          {editable && (
            <p class="task-buttons">
              <button
                type="button"
                class="button primary"
                data-testid="definition-save"
                disabled={!ready || save.busy}
                onClick={save.start}
              >
                <Icon name="check" />
                {t("tasks.save")}
              </button>
              {kept !== null && (
                <button
                  type="button"
                  class="button"
                  data-testid="definition-remove"
                  disabled={remove.busy}
                  onClick={remove.start}
                >
                  <Icon name="trash" />
                  {t("tasks.remove")}
                </button>
              )}
            </p>
          )}
        </div>
      </Panel>
      <Panel area="check" title={t("tasks.check")}>
        <div class="task-answer" data-testid="definition-check" data-faults={check?.faults.length ?? ""} aria-live="polite">
          {error !== null && <ErrorNotice error={error} />}
          {check === null && error === null && <p class="quiet">{t("tasks.check_none")}</p>}
          {check !== null && <Verdict check={check} />}
        </div>
      </Panel>
    </div>
  );
}

/** What is wrong with the text, or the steps that it makes. */
function Verdict({ check }: { check: TaskCheck }) {
  const { t, language } = useUi();
  if (check.faults.length > 0) {
    return (
      <ul class="task-faults">
        {check.faults.map((fault, at) => {
          const { message, expected, hint, isEnglish } = faultWords(fault, language);
          return (
            <li key={at} lang={isEnglish ? "en" : undefined} data-testid="definition-fault">
              <Lamp colour="red">{fault.line === null ? "" : t("settings.from_file", { line: fault.line })}</Lamp> {message}
              {expected !== null && <span class="process-note">{t("settings.expected", { what: expected })}</span>}
              {hint !== null && <span class="process-note">{hint}</span>}
            </li>
          );
        })}
      </ul>
    );
  }
  return (
    <>
      <Lamp colour="green">{t("settings.valid")}</Lamp>
      <ol class="graph">
        {check.steps.map((step) => (
          <li key={step.name} class={step.on_failure ? "graph-step lamp-grey graph-branch" : "graph-step lamp-grey"}>
            <span class="graph-link">
              <strong>{step.name}</strong> <span class="tag">{t(KINDS[step.kind])}</span>
            </span>
          </li>
        ))}
      </ol>
    </>
  );
}
