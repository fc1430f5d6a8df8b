// Users: who may sign in to the console, what each may do, and which sessions are open.

import { useState } from "preact/hooks";
import { ROLES, type Role, type Session } from "../api/session";
import { type OpenSession, sessions as loadSessions, setRole, type User, users as loadUsers } from "../api/users";
import { useQuery } from "../lib/use-query";
import { ActionsHead } from "../ui/actions-head";
import { useUi } from "../ui/context";
import { Icon } from "../ui/icon";
import { Empty, ErrorNotice, Skeleton } from "../ui/notice";
import { Panel } from "../ui/panel";
import { RowButton } from "../ui/row-button";
import { CreateUserDialog, PasswordDialog, RemoveUserDialog } from "./users/dialogs";
import { ROLE_TEXTS } from "./users/roles";
import { SESSION_RECORDS, SessionTable } from "./users/sessions";

/** What was done to users. */
const USER_RECORDS = { kind: "audit", q: "account_id:*" };

type Asked = { what: "nothing" } | { what: "create" } | { what: "password"; user: User } | { what: "remove"; user: User };

interface Answer {
  users: User[];
  sessions: OpenSession[];
}

export function UsersPage({ session }: { session: Session }) {
  const { t } = useUi();
  const [asked, setAsked] = useState<Asked>({ what: "nothing" });
  const [fault, setFault] = useState<Error | null>(null);
  const { data, error, stale, reload } = useQuery<Answer>("users", async (signal) => {
    const [users, sessions] = await Promise.all([loadUsers(signal), loadSessions(true, signal)]);
    return { users, sessions };
  });
  const close = () => setAsked({ what: "nothing" });
  const done = () => {
    close();
    reload();
  };
  const change = async (user: User, role: Role) => {
    setFault(null);
    try {
      await setRole(user.id, role);
    } catch (cause) {
      setFault(cause instanceof Error ? cause : new Error(String(cause)));
    }
    reload();
  };
  return (
    <main class="users" aria-busy={stale} data-testid="users-page">
      <div class="toolbar">
        <h1 class="page-title">{t("nav.users")}</h1>
        <button type="button" class="button primary" data-testid="user-create" onClick={() => setAsked({ what: "create" })}>
          <Icon name="plus" />
          {t("users.create")}
        </button>
      </div>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {fault !== null && <ErrorNotice error={fault} />}
      {data === null && error === null && <Skeleton lines={6} />}
      {data?.users.length === 0 && (
        <Empty title={t("users.none_title")}>
          <p>{t("users.none_text")}</p>
        </Empty>
      )}
      {data !== null && data.users.length > 0 && (
        <UserTable users={data.users} ask={setAsked} change={(user, role) => void change(user, role)} />
      )}
      {data !== null && (
        <Panel title={t("users.sessions")} note={t("users.sessions_note")} records={SESSION_RECORDS}>
          <SessionTable sessions={data.sessions} own={session.id} withUser changed={reload} />
        </Panel>
      )}
      {asked.what === "create" && <CreateUserDialog done={done} close={close} />}
      {asked.what === "password" && <PasswordDialog user={asked.user} done={done} close={close} />}
      {asked.what === "remove" && <RemoveUserDialog user={asked.user} done={done} close={close} />}
    </main>
  );
}

interface TableProps {
  users: User[];
  ask: (asked: Asked) => void;
  change: (user: User, role: Role) => void;
}

function UserTable({ users, ask, change }: TableProps) {
  const { t, format } = useUi();
  return (
    <Panel title={t("users.accounts")} records={USER_RECORDS}>
      <div class="table-scroll">
        <table class="rows users-table" data-testid="users-table">
          <thead>
            <tr>
              <th scope="col">{t("users.name")}</th>
              <th scope="col">{t("users.role")}</th>
              <th scope="col" class="col-wide">
                {t("users.last")}
              </th>
              <ActionsHead />
            </tr>
          </thead>
          <tbody>
            {users.map((user) => (
              <tr key={user.id} data-testid="user-row" data-user={user.name}>
                <td>
                  <strong>{user.name}</strong>
                  {user.origin === "oidc" && <span class="quiet user-origin"> {t("users.from.oidc")}</span>}
                </td>
                <td data-label={t("users.role")}>
                  <select
                    data-testid="user-role"
                    aria-label={t("users.role_of", { name: user.name })}
                    title={t(ROLE_TEXTS[user.role].note)}
                    value={user.role}
                    disabled={user.origin === "oidc"}
                    onChange={(event) => change(user, event.currentTarget.value as Role)}
                  >
                    {ROLES.map((role) => (
                      <option key={role} value={role}>
                        {t(ROLE_TEXTS[role].name)}
                      </option>
                    ))}
                  </select>
                </td>
                <td class="col-wide nowrap">
                  {user.signed_in_ms === null ? (
                    <span class="quiet">{t("users.never")}</span>
                  ) : (
                    format.moment(user.signed_in_ms)
                  )}
                </td>
                <td class="row-actions">
                  {user.origin === "house" && (
                    <RowButton
                      icon="key"
                      name="user-password"
                      words={t("users.password_of", { name: user.name })}
                      press={() => ask({ what: "password", user })}
                    />
                  )}
                  <RowButton
                    icon="trash"
                    name="user-remove"
                    words={t("users.remove_name", { name: user.name })}
                    danger
                    press={() => ask({ what: "remove", user })}
                  />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
