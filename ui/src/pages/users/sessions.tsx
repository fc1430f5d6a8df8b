// A table of sessions, each of which can be ended.

import { useState } from "preact/hooks";
import type { Way } from "../../api/session";
import { endSession, type OpenSession } from "../../api/users";
import type { TextKey } from "../../i18n/en";
import { agentName } from "../../lib/agent";
import { ActionsHead } from "../../ui/actions-head";
import { useUi } from "../../ui/context";
import { ErrorNotice } from "../../ui/notice";

/** Who signed in, and whose session ended. */
export const SESSION_RECORDS = { kind: "audit", q: 'msg:"console session" OR msg:"console sign-in"' };

const WAYS: Record<Way, TextKey> = {
  token: "users.by_token",
  password: "users.by_password",
  oidc: "users.from.oidc",
};

interface Props {
  sessions: OpenSession[];
  /** Id of the session that looks at them. */
  own: string;
  withUser: boolean;
  changed: () => void;
}

export function SessionTable({ sessions, own, withUser, changed }: Props) {
  const { t, format } = useUi();
  const [error, setError] = useState<Error | null>(null);
  const end = async (id: string) => {
    setError(null);
    try {
      await endSession(id);
      changed();
    } catch (cause) {
      setError(cause instanceof Error ? cause : new Error(String(cause)));
    }
  };
  return (
    <>
      {error !== null && <ErrorNotice error={error} />}
      <div class="table-scroll">
        <table class="rows sessions-table" data-testid="sessions-table">
          <thead>
            <tr>
              {withUser && <th scope="col">{t("column.user")}</th>}
              <th scope="col">{t("users.browser")}</th>
              <th scope="col">{t("users.address")}</th>
              <th scope="col">{t("users.way")}</th>
              <th scope="col">{t("users.seen")}</th>
              <th scope="col" class="col-wide">
                {t("users.opened")}
              </th>
              <ActionsHead />
            </tr>
          </thead>
          <tbody>
            {sessions.map((session) => (
              <tr key={session.id} data-testid="session-row" data-session={session.id}>
                {withUser && (
                  <td data-label={t("column.user")}>
                    {session.user === null ? <span class="quiet">{t("users.nobody")}</span> : session.user}
                  </td>
                )}
                <td data-label={t("users.browser")} title={session.agent}>
                  {agentName(session.agent)}
                  {session.id === own && <span class="tag">{t("users.this_one")}</span>}
                </td>
                <td data-label={t("users.address")}>
                  <code>{session.address}</code>
                </td>
                <td data-label={t("users.way")}>{t(WAYS[session.way])}</td>
                <td class="nowrap" data-label={t("users.seen")}>
                  {format.moment(session.seen_ms)}
                </td>
                <td class="col-wide nowrap">{format.moment(session.created_ms)}</td>
                <td class="row-actions">
                  {session.id !== own && (
                    <button
                      type="button"
                      class="button"
                      data-testid="session-end"
                      aria-label={t("users.end_one", {
                        name: session.user ?? t("users.nobody"),
                        browser: agentName(session.agent),
                      })}
                      onClick={() => void end(session.id)}
                    >
                      {t("users.end")}
                    </button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
