// The sign-in page: shown whenever there is no session.

import { useState } from "preact/hooks";
import { ApiError } from "../api/base";
import { signIn } from "../api/session";
import { useUi } from "../ui/context";
import { CopyButton } from "../ui/copy";
import { Icon } from "../ui/icon";
import { Mark } from "../ui/mark";
import { type Choices, Tools } from "../ui/tools";

const COMMAND = "tollhouse token";

interface Props extends Choices {
  /** What the server said when it refused. */
  message: string;
  entered: () => void;
}

export function SignIn({ message, entered, ...choices }: Props) {
  const { t } = useUi();
  const [token, setToken] = useState("");
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);

  const submit = async (event: Event) => {
    event.preventDefault();
    if (token.trim() === "" || busy) return;
    setBusy(true);
    setFault(null);
    try {
      await signIn(token.trim());
      setToken("");
      entered();
    } catch (error) {
      const refused = error instanceof ApiError && error.status === 401;
      const silent = error instanceof TypeError;
      if (refused) setFault(t("signin.wrong"));
      else setFault(silent ? t("common.unreachable") : String(error instanceof Error ? error.message : error));
    }
    setBusy(false);
  };

  return (
    <div class="signin-page">
      <div class="signin-tools">
        <Tools {...choices} />
      </div>
      <main class="signin">
        <div class="signin-brand">
          <Mark />
          <span>{t("app.name")}</span>
        </div>
        <h1>{t("signin.title")}</h1>
        <p class="signin-message" data-testid="signin-message">
          {message}
        </p>
        <form onSubmit={submit}>
          <label for="token">{t("signin.token")}</label>
          <input
            id="token"
            data-testid="signin-token"
            type="password"
            autocomplete="current-password"
            spellcheck={false}
            value={token}
            aria-invalid={fault !== null}
            aria-describedby="signin-fault signin-note"
            onInput={(event) => setToken(event.currentTarget.value)}
          />
          <div id="signin-fault" class="signin-fault" role="alert">
            {fault !== null && (
              <p class="field-error" data-testid="signin-error">
                <Icon name="warning" />
                {fault}
              </p>
            )}
          </div>
          <button type="submit" class="button primary wide" data-testid="signin-submit" disabled={busy}>
            {t(busy ? "signin.busy" : "signin.submit")}
          </button>
        </form>
        <div class="signin-hint">
          <p>{t("signin.hint")}</p>
          <div class="command">
            <code>{COMMAND}</code>
            <CopyButton text={COMMAND} label={false} />
          </div>
          <p id="signin-note" class="quiet">
            {t("signin.note")}
          </p>
        </div>
      </main>
      <div class="road" aria-hidden="true" />
    </div>
  );
}
