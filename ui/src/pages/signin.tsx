// The sign-in page: shown whenever there is no session.

import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api/base";
import { provider, signIn, signInAs, signInAtProvider } from "../api/session";
import type { TextKey } from "../i18n/en";
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
        <p>{t("signin.lead")}</p>
        <p class="signin-message" data-testid="signin-message" lang="en">
          {message}
        </p>
        <ProviderForm />
        <PasswordForm entered={entered} />
        <h2 class="signin-or">{t("signin.or")}</h2>
        <TokenForm entered={entered} />
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

/** Why a provider's word did not let anybody in, as the server's words for it say. */
const NOT_IN: Record<string, TextKey> = {
  away: "signin.oidc.away",
  attempt: "signin.oidc.attempt",
  denied: "signin.oidc.denied",
  token: "signin.oidc.token",
  clock: "signin.oidc.clock",
  group: "signin.oidc.group",
  domain: "signin.oidc.domain",
  name: "signin.oidc.name",
  full: "signin.oidc.full",
  house: "signin.oidc.house",
};

/** Where the page's address says that a sign-in at the provider failed. */
const NOT_IN_PARAM = "sign_in";

/** The word in the address, and the address without it: a reload does not say it again. */
function takeNotIn(): string | null {
  const address = new URL(location.href);
  const word = address.searchParams.get(NOT_IN_PARAM);
  if (word === null) return null;
  address.searchParams.delete(NOT_IN_PARAM);
  history.replaceState(history.state, "", address.pathname + address.search + address.hash);
  return word;
}

/** The way over a provider, where the house has one. */
function ProviderForm() {
  const { t } = useUi();
  const [name, setName] = useState<string | null>(null);
  const [notIn] = useState(takeNotIn);
  useEffect(() => {
    const left = new AbortController();
    provider(left.signal).then(setName, () => {});
    return () => left.abort();
  }, []);
  const leave = async () => {
    const to = location.pathname + location.search + location.hash;
    location.assign(await signInAtProvider(to));
  };
  const { busy, fault, submit } = useSignIn(leave, "signin.oidc.denied", () => {}, "signin.oidc.away");
  const before = notIn === null ? null : t((Object.hasOwn(NOT_IN, notIn) ? NOT_IN[notIn] : undefined) ?? "signin.oidc.denied");
  if (name === null && before === null) return null;
  return (
    <form onSubmit={submit} data-testid="provider-form" class="signin-provider">
      <Fault name="signin-provider" words={fault ?? before} />
      {name !== null && (
        <button type="submit" class="button primary wide" data-testid="provider-submit" disabled={busy}>
          {t(busy ? "signin.busy" : "signin.oidc", { name })}
        </button>
      )}
    </form>
  );
}

/** Runs one way of signing in; the fault is in the page's language. */
function useSignIn(run: () => Promise<void>, wrong: TextKey, entered: () => void, away?: TextKey) {
  const { t } = useUi();
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setFault(null);
    try {
      await run();
      entered();
    } catch (error) {
      const status = error instanceof ApiError ? error.status : 0;
      if (status === 401) setFault(t(wrong));
      else if (status === 429) setFault(t("signin.too_many"));
      else if (status === 502 && away !== undefined) setFault(t(away));
      else if (error instanceof TypeError) setFault(t("common.unreachable"));
      else setFault(error instanceof Error ? error.message : String(error));
    }
    setBusy(false);
  };
  return { busy, fault, submit: (event: Event) => void submit(event) };
}

function Fault({ name, words }: { name: string; words: string | null }) {
  return (
    <div id={`${name}-fault`} class="signin-fault" role="alert">
      {words !== null && (
        <p class="field-error" data-testid={`${name}-error`}>
          <Icon name="warning" />
          {words}
        </p>
      )}
    </div>
  );
}

function PasswordForm({ entered }: { entered: () => void }) {
  const { t } = useUi();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const { busy, fault, submit } = useSignIn(() => signInAs(name.trim(), password), "signin.wrong_password", entered);
  return (
    <form onSubmit={submit} data-testid="password-form">
      <label for="name">{t("signin.name")}</label>
      <input
        id="name"
        data-testid="signin-name"
        type="text"
        autocomplete="username"
        autocapitalize="none"
        spellcheck={false}
        required
        value={name}
        onInput={(event) => setName(event.currentTarget.value)}
      />
      <label for="password">{t("signin.password")}</label>
      <input
        id="password"
        data-testid="signin-password"
        type="password"
        autocomplete="current-password"
        required
        value={password}
        aria-invalid={fault !== null}
        aria-describedby="signin-password-fault"
        onInput={(event) => setPassword(event.currentTarget.value)}
      />
      <Fault name="signin-password" words={fault} />
      <button type="submit" class="button primary wide" data-testid="password-submit" disabled={busy}>
        {t(busy ? "signin.busy" : "signin.submit")}
      </button>
    </form>
  );
}

function TokenForm({ entered }: { entered: () => void }) {
  const { t } = useUi();
  const [token, setToken] = useState("");
  const { busy, fault, submit } = useSignIn(() => signIn(token.trim()), "signin.wrong", entered);
  return (
    <form onSubmit={submit}>
      <label for="token">{t("signin.token")}</label>
      <input
        id="token"
        data-testid="signin-token"
        type="password"
        autocomplete="off"
        spellcheck={false}
        required
        value={token}
        aria-invalid={fault !== null}
        aria-describedby="signin-fault signin-note"
        onInput={(event) => setToken(event.currentTarget.value)}
      />
      <Fault name="signin" words={fault} />
      <button type="submit" class="button wide" data-testid="signin-submit" disabled={busy}>
        {t(busy ? "signin.busy" : "signin.by_token")}
      </button>
    </form>
  );
}
