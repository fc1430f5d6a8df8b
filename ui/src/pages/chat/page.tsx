// The chat page: the chats that are kept, and a talk with a model through the gate.

import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { type About, chatModels, type Message } from "../../api/chats";
import { chatMarkdown, fileName } from "../../lib/chat-file";
import { saveFile } from "../../lib/files";
import { go } from "../../lib/route";
import { remember, remembered } from "../../lib/store";
import { siblingsOf } from "../../lib/tree";
import { useCopied } from "../../lib/use-copied";
import { useQuery } from "../../lib/use-query";
import { useUi } from "../../ui/context";
import { Icon } from "../../ui/icon";
import { Menu } from "../../ui/menu";
import { Empty, ErrorNotice, Skeleton } from "../../ui/notice";
import { Composer } from "./composer";
import { ChatList } from "./list";
import { ChatSettingsDialog } from "./settings";
import { TurnView } from "./turn";
import { type UseTalk, useTalk } from "./use-talk";

/** A model that is pulled meanwhile appears by itself. */
const MODELS_EVERY_MS = 10_000;
/** Within this distance of its end the page follows the answer. */
const FOLLOW_PX = 80;

interface Props {
  about: About;
  params: URLSearchParams;
  /** Whether the page of a request may be opened. */
  records: boolean;
}

export default function ChatPage({ about, params, records }: Props) {
  const { t } = useUi();
  const id = params.get("c");
  const [keep, setKeep] = useState(about.history && remembered("chats") !== "none");
  /** Another number is another conversation, also where nothing of it stands in the address. */
  const [number, setNumber] = useState(0);
  const [listed, setListed] = useState(false);
  const [version, setVersion] = useState("");

  const begin = useCallback(() => {
    setListed(false);
    setNumber((last) => last + 1);
    go("/chat");
  }, []);
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      if (event.key === "Escape") setListed(false);
      if (!event.altKey || event.ctrlKey || event.metaKey || event.code !== "KeyN") return;
      event.preventDefault();
      begin();
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, [begin]);

  return (
    <main class={listed ? "chat with-list" : "chat"}>
      <ChatList
        about={about}
        current={id}
        version={version}
        keep={keep}
        setKeep={(next) => {
          remember("chats", next ? null : "none");
          setKeep(next);
          begin();
        }}
        begin={begin}
        close={() => setListed(false)}
      />
      <Conversation
        key={number}
        id={id}
        about={about}
        keep={keep}
        records={records}
        showList={() => setListed(true)}
        said={setVersion}
        titleOf={about.title ?? t("nav.chat")}
      />
    </main>
  );
}

interface ConversationProps {
  id: string | null;
  about: About;
  keep: boolean;
  records: boolean;
  showList: () => void;
  /** Tells that the list of chats is another one now. */
  said: (version: string) => void;
  titleOf: string;
}

function Conversation({ id, about, keep, records, showList, said, titleOf }: ConversationProps) {
  const { t } = useUi();
  const known = useQuery("chat models", chatModels, MODELS_EVERY_MS);
  const talk = useTalk(id, keep, (opened) => go(`/chat?c=${encodeURIComponent(opened)}`, true));
  const { branch, running } = talk;
  const [settings, setSettings] = useState(false);
  const log = useRef<HTMLDivElement>(null);
  useFollow(log, branch);

  const names = known.data?.map((model) => model.name) ?? [];
  const [chosen, setChosen] = useState<string | null>(null);
  const wanted = [chosen, talk.settings.model, about.model, names[0]];
  const model = wanted.find((name) => name !== null && name !== undefined && names.includes(name)) ?? undefined;
  const none = known.data !== null && names.length === 0;
  const ready = model !== undefined && !talk.loading;
  const isRunning = running !== null;

  useEffect(() => said(`${id} ${branch.length} ${isRunning}`), [id, branch.length, isRunning, said]);

  const editLast = () => {
    const buttons = log.current?.querySelectorAll<HTMLButtonElement>("[data-testid=chat-edit]");
    buttons?.item(buttons.length - 1)?.click();
  };

  return (
    <div class="chat-main">
      <div class="chat-head">
        <button
          type="button"
          class="icon-button chat-list-open"
          data-testid="chat-list-open"
          aria-label={t("chat.list")}
          title={t("chat.list")}
          onClick={showList}
        >
          <Icon name="requests" />
        </button>
        <label class="chat-model">
          <span>{t("chat.model")}</span>
          <select
            data-testid="chat-model"
            value={model ?? ""}
            disabled={names.length === 0}
            onChange={(event) => {
              setChosen(event.currentTarget.value);
              talk.set({ model: event.currentTarget.value });
            }}
          >
            {(known.data ?? []).map((one) => (
              <option key={one.name} value={one.name}>
                {one.demo ? `${one.name} (${t("nav.demo")})` : one.name}
              </option>
            ))}
          </select>
        </label>
        <div class="chat-head-tools">
          <button
            type="button"
            class="button"
            data-testid="chat-settings"
            aria-label={t("chat.settings")}
            title={t("chat.settings")}
            onClick={() => setSettings(true)}
          >
            <Icon name="sliders" />
            <span class="button-words">{t("chat.settings")}</span>
          </button>
          {branch.length > 0 && <Share talk={talk} title={talk.settings.title || titleOf} />}
        </div>
      </div>
      <div class="chat-log" ref={log} data-testid="chat-log" tabIndex={0} role="log" aria-label={titleOf} aria-live="off">
        <div class="chat-column">
          {known.error !== null && <ErrorNotice error={known.error} retry={known.reload} />}
          {talk.loading && <Skeleton lines={6} />}
          {none && (
            <Empty title={t("chat.no_models")}>
              <p>{t("chat.no_models_text")}</p>
            </Empty>
          )}
          {!none && !talk.loading && branch.length === 0 && known.error === null && talk.error === null && (
            <Start about={about} send={(text) => ready && talk.send(text, [], model)} />
          )}
          {branch.length > 0 && <h1 class="visually-hidden">{talk.settings.title || titleOf}</h1>}
          {branch.map((message) => (
            <TurnView
              key={message.id}
              message={message}
              siblings={siblingsOf(talk.messages, message)}
              choose={talk.choose}
              again={talk.busy || !ready ? null : () => talk.again(message, model)}
              edit={talk.busy || !ready ? null : (text) => talk.edit(message, text, model)}
              wait={message.id === running?.id ? talk.wait : null}
              stopping={talk.stopping && message.id === running?.id}
              records={records}
            />
          ))}
          {talk.away && (
            <p class="turn-away" role="status" data-testid="chat-away">
              <Icon name="again" />
              {t("chat.away")}
            </p>
          )}
          {talk.error !== null && <ErrorNotice error={talk.error} />}
        </div>
      </div>
      <Composer
        send={(text, attachments) => model !== undefined && talk.send(text, attachments, model)}
        stop={talk.stop}
        editLast={editLast}
        busy={talk.busy}
        stopping={talk.stopping}
        ready={ready}
      />
      {settings && <ChatSettingsDialog settings={talk.settings} save={talk.set} close={() => setSettings(false)} />}
    </div>
  );
}

function Share({ talk, title }: { talk: UseTalk; title: string }) {
  const { t } = useUi();
  const [copied, copy] = useCopied();
  const markdown = () =>
    chatMarkdown(title, talk.settings.system, talk.branch, {
      you: t("chat.you"),
      system: t("chat.system"),
      attachment: (name) => t("chat.attached", { name }),
    });
  return (
    <Menu name="chat-share" icon="download" label={t("chat.share")}>
      {(close) => (
        <ul class="menu-list">
          <li>
            <button type="button" data-testid="chat-share-copy" onClick={() => void copy(markdown())}>
              <Icon name={copied ? "check" : "copy"} />
              {t(copied ? "common.copied" : "chat.share_copy")}
            </button>
          </li>
          <li>
            <button
              type="button"
              data-testid="chat-share-file"
              onClick={() => {
                saveFile(fileName(title), "text/markdown", markdown());
                close();
              }}
            >
              <Icon name="download" />
              {t("chat.share_file")}
            </button>
          </li>
        </ul>
      )}
    </Menu>
  );
}

function Start({ about, send }: { about: About; send: (text: string) => void }) {
  const { t } = useUi();
  const examples = [t("chat.example_1"), t("chat.example_2"), t("chat.example_3")];
  return (
    <div class="chat-start">
      <h1 data-testid="chat-page-title">{about.title ?? t("chat.empty_title")}</h1>
      <p class="quiet" data-testid="chat-page-description">
        {about.description ?? t("chat.empty_text")}
      </p>
      <ul>
        {examples.map((example) => (
          <li key={example}>
            <button type="button" onClick={() => send(example)}>
              {example}
              <Icon name="right" />
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Keeps the end in view while the reader is there; who scrolls up is left in peace. */
function useFollow(log: { current: HTMLDivElement | null }, branch: Message[]): void {
  const follow = useRef(true);
  const count = useRef(0);
  useEffect(() => {
    const element = log.current;
    if (element === null) return;
    const scrolled = () => {
      follow.current = element.scrollHeight - element.scrollTop - element.clientHeight < FOLLOW_PX;
    };
    element.addEventListener("scroll", scrolled, { passive: true });
    return () => element.removeEventListener("scroll", scrolled);
  }, [log]);
  useLayoutEffect(() => {
    const element = log.current;
    if (element === null) return;
    // A question just asked is always shown.
    if (branch.length !== count.current) follow.current = true;
    count.current = branch.length;
    if (follow.current) element.scrollTop = element.scrollHeight;
  }, [log, branch]);
}
