// The windows of the keys page: make one, see its secret once, rotate, revoke.

import { useState } from "preact/hooks";
import { createKey, type MadeKey, type NewKey, revokeKey, rotateKey } from "../../api/keys";
import type { Session } from "../../api/session";
import { useChange } from "../../lib/use-change";
import { useUi } from "../../ui/context";
import { CopyButton } from "../../ui/copy";
import { Dialog, FormDialog } from "../../ui/dialog";
import { Choice, Field } from "../../ui/field";
import { keyWords, PRIORITIES, ROLES } from "./words";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const OVERLAPS = ["0s", "1h", "24h", "168h"];
const EXPIRIES = [0, 7, 30, 90, 365];

export function CreateDialog({ made, close }: { made: (key: MadeKey) => void; close: () => void }) {
  const { t } = useUi();
  const [form, setForm] = useState<Record<string, string>>({ role: "user", priority: "normal", expires: "0" });
  const change = useChange(() => createKey(newKey(form)), made);
  const text = (name: string, words: string, hint?: string, mode: "text" | "numeric" = "text") => (
    <Field words={words} hint={hint}>
      <input
        type="text"
        name={name}
        inputMode={mode}
        autocomplete="off"
        spellcheck={false}
        required={name === "name"}
        pattern={mode === "numeric" ? "[0-9]*" : undefined}
        value={form[name] ?? ""}
        onInput={(event) => setForm({ ...form, [name]: event.currentTarget.value })}
      />
    </Field>
  );
  const choice = (name: string, words: string, options: [string, string][]) => {
    const choose = (value: string) => setForm({ ...form, [name]: value });
    return <Choice words={words} name={name} value={form[name] ?? ""} options={options} change={choose} />;
  };
  const named = (values: string[]) => values.map((value): [string, string] => [value, keyWords(value, t)]);
  const expiries = EXPIRIES.map((days): [string, string] => [
    String(days),
    days === 0 ? t("keys.never") : t("keys.days", { count: days }),
  ]);
  return (
    <FormDialog
      name="key-dialog"
      title={t("keys.create")}
      class="key-form"
      change={change}
      send={t("keys.create")}
      sendName="key-submit"
      close={close}
    >
      {text("name", t("keys.name"), t("keys.name_hint"))}
      {text("user", t("column.user"), t("keys.user_hint"))}
      {choice("role", t("keys.role"), named(ROLES))}
      {choice("expires", t("keys.expires"), expiries)}
      <div class="wide">{text("models", t("keys.models"), t("keys.models_hint"))}</div>
      {text("requests", t("keys.requests_minute"), undefined, "numeric")}
      {text("concurrent", t("keys.concurrent"), undefined, "numeric")}
      {text("tokens_per_day", t("keys.tokens_day"), undefined, "numeric")}
      {text("tokens_per_month", t("keys.tokens_month"), undefined, "numeric")}
      {text("prompt_chars", t("keys.prompt_chars"), undefined, "numeric")}
      {choice("priority", t("keys.priority"), named(PRIORITIES))}
      <div class="wide">{text("allow", t("keys.allow"), t("keys.allow_hint"))}</div>
    </FormDialog>
  );
}

/** What the form says, in the names of the API; empty fields are left out. */
export function newKey(form: Record<string, string>, nowMs = Date.now()): NewKey {
  const wanted: NewKey = { name: (form.name ?? "").trim() };
  const list = (name: string) => (form[name] ?? "").split(/[\s,]+/).filter((one) => one !== "");
  const number = (name: string) => (/^\d+$/.test((form[name] ?? "").trim()) ? Number(form[name]) : null);
  const user = (form.user ?? "").trim();
  if (user !== "") wanted.user = user;
  if (form.role !== undefined) wanted.role = form.role;
  if (form.priority !== undefined) wanted.priority = form.priority;
  if (list("models").length > 0) wanted.models = list("models");
  if (list("allow").length > 0) wanted.allow = list("allow");
  const requests = number("requests");
  if (requests !== null) Object.assign(wanted, { requests, per_ms: MINUTE_MS });
  for (const name of ["concurrent", "tokens_per_day", "tokens_per_month", "prompt_chars"] as const) {
    const value = number(name);
    if (value !== null) wanted[name] = value;
  }
  const days = number("expires") ?? 0;
  if (days > 0) wanted.expires = new Date(nowMs + days * DAY_MS).toISOString();
  return wanted;
}

export function SecretDialog({ made, session, close }: { made: MadeKey; session: Session; close: () => void }) {
  const { t } = useUi();
  const origin = (session.public_url ?? location.origin).replace(/\/+$/, "");
  const line = `curl ${origin}/v1/models -H "X-Api-Key: ${made.key}"`;
  return (
    <Dialog name="secret-dialog" title={t("keys.secret_title", { name: made.name })} close={close}>
      <p>{t("keys.secret_text")}</p>
      <div class="command secret">
        <code data-testid="key-secret">{made.key}</code>
        <CopyButton text={made.key} />
      </div>
      <p class="quiet">{t("keys.secret_try")}</p>
      <div class="command">
        <code>{line}</code>
        <CopyButton text={line} label={false} />
      </div>
      <div class="dialog-actions">
        <button type="button" class="button primary" data-testid="secret-done" onClick={close}>
          {t("keys.secret_done")}
        </button>
      </div>
    </Dialog>
  );
}

interface ChangeProps {
  id: string;
  name: string;
  close: () => void;
}

export function RotateDialog({ id, name, made, close }: ChangeProps & { made: (key: MadeKey) => void }) {
  const { t } = useUi();
  const [overlap, setOverlap] = useState("24h");
  const change = useChange(() => rotateKey(id, overlap), made);
  const overlaps = OVERLAPS.map((value): [string, string] => [value, value === "0s" ? t("keys.overlap_none") : value]);
  return (
    <FormDialog
      name="rotate-dialog"
      title={t("keys.rotate_name", { name })}
      change={change}
      send={t("keys.rotate")}
      sendName="rotate-submit"
      close={close}
    >
      <p>{t("keys.rotate_text")}</p>
      <Choice words={t("keys.overlap")} value={overlap} options={overlaps} change={setOverlap} />
    </FormDialog>
  );
}

export function RevokeDialog({ id, name, done, close }: ChangeProps & { done: () => void }) {
  const { t } = useUi();
  return (
    <FormDialog
      name="revoke-dialog"
      title={t("keys.revoke_name", { name })}
      change={useChange(() => revokeKey(id), done)}
      send={t("keys.revoke")}
      sendName="revoke-submit"
      danger
      close={close}
    >
      <p>{t("keys.revoke_text")}</p>
    </FormDialog>
  );
}
