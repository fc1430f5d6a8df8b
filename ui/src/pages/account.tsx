// One's own account: who one is here, the password, and one's own sessions.

import { useState } from "preact/hooks";
import type { Session } from "../api/session";
import { changePassword, sessions as loadSessions } from "../api/users";
import { useChange } from "../lib/use-change";
import { useQuery } from "../lib/use-query";
import { useUi } from "../ui/context";
import { Field } from "../ui/field";
import { Icon } from "../ui/icon";
import { ErrorNotice, Skeleton } from "../ui/notice";
import { Panel } from "../ui/panel";
import { PasswordField } from "./users/dialogs";
import { ROLE_TEXTS } from "./users/roles";
import { SESSION_RECORDS, SessionTable } from "./users/sessions";

export function AccountPage({ session }: { session: Session }) {
  const { t } = useUi();
  const { data, error, stale, reload } = useQuery("account", (signal) => loadSessions(false, signal));
  const role = ROLE_TEXTS[session.role];
  return (
    <main class="users" aria-busy={stale} data-testid="account-page">
      <div class="toolbar">
        <h1 class="page-title">{t("nav.account")}</h1>
      </div>
      <Panel title={session.user ?? t("users.nobody")} note={t("account.role", { role: t(role.name), note: t(role.note) })}>
        {session.way === "password" && <PasswordForm done={reload} />}
        {session.way === "token" && <p class="quiet account-note">{t("account.by_token")}</p>}
        {session.way === "oidc" && <p class="quiet account-note">{t("account.by_oidc")}</p>}
      </Panel>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {data === null && error === null && <Skeleton lines={3} />}
      {data !== null && (
        <Panel title={t("account.sessions")} note={t("users.sessions_note")} records={SESSION_RECORDS}>
          <SessionTable sessions={data} own={session.id} withUser={false} changed={reload} />
        </Panel>
      )}
    </main>
  );
}

function PasswordForm({ done }: { done: () => void }) {
  const { t } = useUi();
  const [current, setCurrent] = useState("");
  const [password, setPassword] = useState("");
  const [changed, setChanged] = useState(false);
  const change = useChange(
    () => changePassword(current, password),
    () => {
      setCurrent("");
      setPassword("");
      setChanged(true);
      done();
    },
  );
  return (
    <form
      class="user-form account-form"
      data-testid="password-form"
      onSubmit={(event) => {
        event.preventDefault();
        setChanged(false);
        change.start();
      }}
    >
      <Field words={t("account.current")}>
        <input
          type="password"
          name="current-password"
          autocomplete="current-password"
          required
          value={current}
          onInput={(event) => setCurrent(event.currentTarget.value)}
        />
      </Field>
      <PasswordField words={t("users.new_password")} value={password} change={setPassword} />
      {change.error !== null && <ErrorNotice error={change.error} />}
      <div class="account-actions">
        <button type="submit" class="button primary" data-testid="password-submit" disabled={change.busy}>
          {t("account.change")}
        </button>
        <span role="status" data-testid="password-done">
          {changed && (
            <>
              <Icon name="check" /> {t("account.changed")}
            </>
          )}
        </span>
      </div>
    </form>
  );
}
