// The way to the chat page: its code is loaded when it is first shown, and who has no session may show a key instead.

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api/base";
import { about as loadAbout, type About, hideKey, showKey } from "../api/chats";
import { useQuery } from "../lib/use-query";
import { useUi } from "../ui/context";
import { Icon } from "../ui/icon";
import { Mark } from "../ui/mark";
import { ErrorNotice } from "../ui/notice";
import { type Choices, Tools } from "../ui/tools";

interface PageProps {
  about: About;
  params: URLSearchParams;
  records: boolean;
}

/** The chat inside of the console, for whoever has a session of it. */
export function Chat({ params }: { params: URLSearchParams }) {
  const { data, error, reload } = useQuery("chat", loadAbout);
  if (error !== null && data === null) {
    return (
      <main>
        <ErrorNotice error={error} retry={reload} />
      </main>
    );
  }
  return data === null ? <main class="chat" /> : <Page about={data} params={params} records />;
}

/** The chat alone, at its own address: for whoever holds a key, or for everybody where none is asked for. */
interface AloneProps {
  params: URLSearchParams;
  choices: Choices;
  /** Another value when the server has said again that there is no session. */
  asked: unknown;
  fallback: () => void;
}

export function ChatAlone({ params, choices, asked, fallback }: AloneProps) {
  const { t } = useUi();
  const { data, error, reload } = useQuery("chat", loadAbout);
  // A key that was revoked ends the visit.
  useEffect(() => reload(), [asked]);
  const title = data?.title ?? t("nav.chat");
  useEffect(() => {
    document.title = data === null ? t("nav.chat") : `${title} · ${data.service}`;
  }, [data, title, t]);

  if (data === null) {
    return <main class="boot">{error !== null && <ErrorNotice error={error} retry={reload} />}</main>;
  }
  if (data.you === null) return <KeyForm about={data} choices={choices} entered={reload} console={fallback} />;
  const leave = async () => {
    await hideKey().catch(() => {});
    reload();
  };
  return (
    <div class="chat-alone">
      <header class="chat-alone-head">
        <Mark />
        <strong>{title}</strong>
        {data.you.name !== null && <span class="quiet">{data.you.name}</span>}
        <div class="chat-alone-tools">
          <Tools {...choices} />
          {data.you.by === "key" && (
            <button
              type="button"
              class="icon-button"
              data-testid="chat-leave"
              aria-label={t("nav.sign_out")}
              title={t("nav.sign_out")}
              onClick={() => void leave()}
            >
              <Icon name="out" />
            </button>
          )}
        </div>
      </header>
      <div class="content">
        <Page about={data} params={params} records={false} />
      </div>
    </div>
  );
}

function Page(props: PageProps) {
  const [Loaded, setLoaded] = useState<ComponentType<PageProps> | null>(null);
  const [failed, setFailed] = useState<Error | null>(null);
  useEffect(() => {
    import("./chat/page").then(
      (page) => setLoaded(() => page.default),
      (cause: unknown) => setFailed(cause instanceof Error ? cause : new Error(String(cause))),
    );
  }, []);
  if (failed !== null) {
    return (
      <main>
        <ErrorNotice error={failed} />
      </main>
    );
  }
  return Loaded === null ? <main class="chat" /> : <Loaded {...props} />;
}

interface KeyFormProps {
  about: About;
  choices: Choices;
  entered: () => void;
  console: () => void;
}

function KeyForm({ about, choices, entered, console }: KeyFormProps) {
  const { t } = useUi();
  const [key, setKey] = useState("");
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);

  const submit = async (event: Event) => {
    event.preventDefault();
    if (key.trim() === "" || busy) return;
    setBusy(true);
    setFault(null);
    try {
      await showKey(key.trim());
      setKey("");
      entered();
    } catch (error) {
      const refused = error instanceof ApiError && error.status === 401;
      setFault(refused ? t("chat.key_wrong") : t("common.unreachable"));
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
          <span>{about.service}</span>
        </div>
        <h1 data-testid="chat-page-title">{about.title ?? t("nav.chat")}</h1>
        <p class="signin-message" data-testid="chat-page-description">
          {about.description ?? t("chat.key_text")}
        </p>
        <form onSubmit={submit}>
          <label for="key">{t("chat.key")}</label>
          <input
            id="key"
            data-testid="chat-key"
            type="password"
            autocomplete="current-password"
            spellcheck={false}
            value={key}
            aria-invalid={fault !== null}
            aria-describedby="key-fault key-note"
            onInput={(event) => setKey(event.currentTarget.value)}
          />
          <div id="key-fault" class="signin-fault" role="alert">
            {fault !== null && (
              <p class="field-error" data-testid="chat-key-error">
                <Icon name="warning" />
                {fault}
              </p>
            )}
          </div>
          <button type="submit" class="button primary wide" data-testid="chat-key-submit" disabled={busy}>
            {t(busy ? "signin.busy" : "chat.key_submit")}
          </button>
        </form>
        <div class="signin-hint">
          <p id="key-note" class="quiet">
            {t("chat.key_note")}
          </p>
          <p>
            <button type="button" class="link-button" data-testid="chat-to-console" onClick={console}>
              {t("chat.to_console")}
            </button>
          </p>
        </div>
      </main>
      <div class="road" aria-hidden="true" />
    </div>
  );
}
