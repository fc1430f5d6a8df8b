// What is shown instead of data: loading, nothing there, or an error with a way on.

import type { ComponentChildren } from "preact";
import { ApiError } from "../api/base";
import type { TextKey } from "../i18n/en";
import { type Translate, useUi } from "./context";
import { CopyButton } from "./copy";
import { Icon } from "./icon";

export function ErrorNotice({ error, retry }: { error: Error; retry?: () => void }) {
  const { t } = useUi();
  // fetch() reports a dead connection as a TypeError and a lost wait as a TimeoutError.
  const unreachable = error.name === "TypeError" || error.name === "TimeoutError";
  return (
    <div class="notice notice-error" role="alert">
      <Icon name="warning" />
      <div>
        <strong>{t(unreachable ? "common.unreachable" : "common.failed")}</strong>
        <p>{unreachable ? t("common.unreachable_hint") : wordsOf(error, t)}</p>
      </div>
      {retry !== undefined && (
        <button type="button" class="button" onClick={retry}>
          {t("common.retry")}
        </button>
      )}
    </div>
  );
}

/** Refusals that people meet while they write, by the server's codes. */
const REFUSALS: Readonly<Record<string, TextKey>> = {
  faulty: "common.refused_faulty",
  task_name: "common.refused_task_name",
  task_changed: "common.refused_task_changed",
  task_gone: "common.refused_task_gone",
  tasks_off: "common.refused_tasks_off",
  unchanged: "settings.unchanged",
};

function wordsOf(error: Error, t: Translate): string {
  const code = error instanceof ApiError ? (error.code ?? "") : "";
  const key = Object.hasOwn(REFUSALS, code) ? REFUSALS[code] : undefined;
  return key === undefined ? error.message : t(key);
}

interface EmptyProps {
  title: string;
  sign?: ComponentChildren;
  children?: ComponentChildren;
}

export function Empty({ title, sign, children }: EmptyProps) {
  return (
    <div class="empty">
      {sign}
      <h2>{title}</h2>
      {children}
    </div>
  );
}

interface EmptyExampleProps {
  title: string;
  text: string;
  /** Lines of the configuration by which there would be something. */
  example: string;
}

/** Nothing is there because nothing is configured: what would be written. */
export function EmptyExample({ title, text, example }: EmptyExampleProps) {
  return (
    <Empty title={title}>
      <p>{text}</p>
      <div class="command">
        <pre>
          <code>{example}</code>
        </pre>
        <CopyButton text={example} />
      </div>
    </Empty>
  );
}

/** Grey lines in the place of what is being loaded. */
export function Skeleton({ lines }: { lines: number }) {
  const { t } = useUi();
  return (
    <div class="skeleton" role="status" aria-label={t("common.loading")}>
      {Array.from({ length: lines }, (_, line) => (
        <span key={line} />
      ))}
    </div>
  );
}
