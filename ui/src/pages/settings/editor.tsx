// The file's text: checked while it is written, compared with what is there, applied as a whole.

import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../../api/base";
import { type Applied, applyText, checkText, type Fault, isOvertaken, type Proposal, type Settings } from "../../api/settings";
import { faultWords } from "../../lib/fault";
import { useChange } from "../../lib/use-change";
import { useQuery } from "../../lib/use-query";
import { useSettled } from "../../lib/use-settled";
import { useUi } from "../../ui/context";
import { ErrorNotice, Skeleton } from "../../ui/notice";
import { Panel } from "../../ui/panel";
import type { Draft } from "./page";
import { Diff } from "./diff";
import { SETTINGS_RECORDS } from "./values";

/** A text that has rested so long is checked. */
const REST_MS = 400;

interface Props {
  settings: Settings;
  draft: Draft | null;
  setDraft: (draft: Draft | null) => void;
  reload: () => void;
}

export function Editor({ settings, draft, setDraft, reload }: Props) {
  const { t } = useUi();
  if (settings.file === null) return <p class="notice">{t("settings.no_file")}</p>;
  if (settings.text === null) {
    return (
      <div class="notice" data-testid="settings-hidden">
        <p>{t("settings.hidden")}</p>
        <Faults faults={settings.faults} />
      </div>
    );
  }
  return <OpenEditor settings={settings} own={settings.text} draft={draft} setDraft={setDraft} reload={reload} />;
}

function OpenEditor({ settings, own, draft, setDraft, reload }: Props & { own: string }) {
  const { t, format } = useUi();
  const text = draft?.text ?? own;
  const settled = useSettled(text, REST_MS);
  const [later, setLater] = useState(false);
  const [applied, setApplied] = useState<Applied | null>(null);
  const box = useRef<HTMLTextAreaElement>(null);
  const { data, error } = useQuery<Proposal>(`${settings.version} ${settled}`, (signal) => checkText(settled, signal));
  const change = useChange(
    () => applyText(text, settings.version, later),
    (done) => {
      setApplied(done);
      setDraft(null);
      setLater(false);
      reload();
    },
  );
  const isDirty = draft !== null && draft.text !== own;
  useEffect(() => {
    if (!isDirty) return;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [isDirty]);

  const isLocked = settings.locked !== null;
  const isCurrent = settled === text && data !== null && error === null;
  const ready = isCurrent && isApplicable(data, later) && isDirty && !isLocked;
  const write = (next: string) => {
    setApplied(null);
    setDraft(next === own ? null : { text: next, undoes: null });
  };
  const leadTo = (fault: Fault) => {
    const at = offsetOf(text, fault.line ?? 1, fault.column ?? 1);
    box.current?.focus();
    box.current?.setSelectionRange(at, at + (fault.width ?? 1));
  };
  return (
    <div class="settings-grid">
      <section class="panel settings-editor">
        <p class="quiet settings-note">{t("settings.masked")}</p>
        {isLocked && (
          <p class="notice" role="status" data-testid="settings-locked">
            {t("settings.locked", { reason: settings.locked ?? "" })}
          </p>
        )}
        {draft?.undoes != null && (
          <p class="notice" role="status" data-testid="settings-undoing">
            {t("settings.undoing", { time: format.moment(draft.undoes.at_ms) })}
          </p>
        )}
        <TextBox
          box={box}
          label={t("settings.text", { file: settings.file ?? "" })}
          text={text}
          faults={isCurrent ? data.faults : []}
          readOnly={isLocked}
          write={write}
        />
      </section>
      <Panel title={t("settings.changes")} records={SETTINGS_RECORDS}>
        <div class="settings-side" aria-live="polite">
          {applied !== null && <Outcome applied={applied} />}
          {error !== null && <ErrorNotice error={error} />}
          {data === null && error === null && <Skeleton lines={4} />}
          {data !== null && <Verdict proposal={data} leadTo={leadTo} />}
          {change.error !== null && <Refused error={change.error} reload={reload} />}
          {data !== null && data.restart.length > 0 && (
            <label class="check">
              <input
                type="checkbox"
                data-testid="settings-later"
                checked={later}
                onChange={(event) => setLater(event.currentTarget.checked)}
              />
              {t("settings.later")}
            </label>
          )}
          <div class="settings-actions">
            <button
              type="button"
              class="button primary"
              data-testid="settings-apply"
              disabled={!ready || change.busy}
              onClick={change.start}
            >
              {t("settings.apply")}
            </button>
            {isDirty && (
              <button type="button" class="button" data-testid="settings-discard" onClick={() => setDraft(null)}>
                {t("settings.discard")}
              </button>
            )}
          </div>
        </div>
        {data !== null && <Diff lines={data.diff} />}
      </Panel>
    </div>
  );
}

/** Whether the house would take it. */
function isApplicable({ faults, missing, barred, restart }: Proposal, later: boolean): boolean {
  return faults.length === 0 && missing.length === 0 && barred.length === 0 && (restart.length === 0 || later);
}

/** Where a place of the text lies in it, counted in UTF-16 units as browsers do. */
export function offsetOf(text: string, line: number, column: number): number {
  const lines = text.split("\n");
  const before = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
  const inLine = [...(lines[line - 1] ?? "")].slice(0, column - 1).join("").length;
  return Math.min(before + inLine, text.length);
}

interface TextBoxProps {
  box: { current: HTMLTextAreaElement | null };
  label: string;
  text: string;
  faults: Fault[];
  readOnly: boolean;
  write: (text: string) => void;
}

function TextBox({ box, label, text, faults, readOnly, write }: TextBoxProps) {
  const numbers = useRef<HTMLOListElement>(null);
  const wrong = new Set(faults.map((fault) => fault.line));
  const count = text.split("\n").length;
  return (
    <div class="text-box">
      <ol class="text-lines" aria-hidden="true" ref={numbers}>
        {Array.from({ length: count }, (_, at) => (
          <li key={at} class={wrong.has(at + 1) ? "text-wrong" : ""}>
            {at + 1}
          </li>
        ))}
      </ol>
      <textarea
        ref={box}
        data-testid="settings-text"
        aria-label={label}
        aria-invalid={faults.length > 0}
        spellcheck={false}
        autocomplete="off"
        wrap="off"
        readOnly={readOnly}
        value={text}
        onInput={(event) => write(event.currentTarget.value)}
        onScroll={(event) => {
          if (numbers.current !== null) numbers.current.scrollTop = event.currentTarget.scrollTop;
        }}
      />
    </div>
  );
}

function Verdict({ proposal, leadTo }: { proposal: Proposal; leadTo: (fault: Fault) => void }) {
  const { t } = useUi();
  const { faults, missing, changed, restart, barred, diff } = proposal;
  const count = faults.length;
  const words = count === 0 ? t("settings.valid") : count === 1 ? t("settings.one_fault") : t("settings.faults", { count });
  return (
    <>
      <p class={count === 0 ? "settings-valid" : "settings-wrong"} data-testid="settings-verdict" data-faults={count}>
        <strong>{words}</strong>
      </p>
      <Faults faults={faults} leadTo={leadTo} />
      {missing.length > 0 && (
        <p class="settings-wrong" data-testid="settings-missing">
          {t("settings.missing", { paths: missing.join(", ") })}
        </p>
      )}
      {barred.length > 0 && (
        <p class="settings-wrong" data-testid="settings-barred">
          {t("settings.barred", { paths: barred.join(", ") })}
        </p>
      )}
      {diff.length === 0 && <p class="quiet">{t("settings.unchanged")}</p>}
      {diff.length > 0 && count === 0 && changed.length === 0 && <p class="quiet">{t("settings.same_meaning")}</p>}
      {changed.length > 0 && (
        <ul class="settings-changed">
          {changed.map((path) => (
            <li key={path} data-testid="settings-changed" data-path={path}>
              <code>{path}</code>
              {restart.includes(path) && <span class="tag tag-fault">{t("settings.needs_restart")}</span>}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

/** What is wrong, as `tollhouse check` says it. */
function Faults({ faults, leadTo }: { faults: Fault[]; leadTo?: (fault: Fault) => void }) {
  const { t, language } = useUi();
  if (faults.length === 0) return null;
  return (
    <ul class="settings-faults">
      {faults.map((fault, at) => {
        const { message, expected, hint, isEnglish } = faultWords(fault, language);
        const place = fault.line === null ? "" : `${fault.line}:${fault.column ?? 1}`;
        return (
          <li
            key={at}
            lang={isEnglish ? "en" : undefined}
            data-testid="settings-fault"
            data-line={fault.line ?? ""}
            data-column={fault.column ?? ""}
          >
            {place !== "" && leadTo !== undefined && (
              <button type="button" class="link-button" onClick={() => leadTo(fault)}>
                {place}
              </button>
            )}
            {place !== "" && leadTo === undefined && <code>{place}</code>} {message}
            {expected !== null && <small>{t("settings.expected", { what: expected })}</small>}
            {hint !== null && <small class="quiet">{hint}</small>}
          </li>
        );
      })}
    </ul>
  );
}

function Outcome({ applied }: { applied: Applied }) {
  const { t } = useUi();
  const { changed, restart } = applied;
  const words =
    restart.length > 0
      ? t("settings.waits", { paths: restart.join(", ") })
      : changed.length > 0
        ? t("settings.applied", { paths: changed.join(", ") })
        : t("settings.applied_nothing");
  return (
    <p class="settings-valid" role="status" data-testid="settings-applied" data-restart={restart.length}>
      {words}
    </p>
  );
}

/** Why it was not applied; a file that was overtaken can be compared with again. */
function Refused({ error, reload }: { error: Error; reload: () => void }) {
  const { t } = useUi();
  if (isOvertaken(error)) {
    return (
      <div class="notice notice-error" role="alert" data-testid="settings-overtaken">
        <p>{t("settings.overtaken")}</p>
        <button type="button" class="button" onClick={reload}>
          {t("settings.compare_again")}
        </button>
      </div>
    );
  }
  return (
    <div data-testid="settings-refused">
      {error instanceof ApiError && error.code === "refused" && <p class="settings-wrong">{t("settings.refused")}</p>}
      <ErrorNotice error={error} />
    </div>
  );
}
