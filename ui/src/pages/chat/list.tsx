// The chats that are kept: search, open, rename, remove; and whether any are kept at all.

import { useState } from "preact/hooks";
import { type About, chats, type FoundChat, keptChat, removeChat, removeChats, setChat } from "../../api/chats";
import { useQuery } from "../../lib/use-query";
import { useUi } from "../../ui/context";
import { Dialog } from "../../ui/dialog";
import { Icon } from "../../ui/icon";
import { Link } from "../../ui/link";
import { ErrorNotice, Skeleton } from "../../ui/notice";

interface Props {
  about: About;
  current: string | null;
  /** Changes when a chat was begun or said something. */
  version: string;
  keep: boolean;
  setKeep: (keep: boolean) => void;
  begin: () => void;
  close: () => void;
}

export function ChatList({ about, current, version, keep, setKeep, begin, close }: Props) {
  const { t, format } = useUi();
  const [words, setWords] = useState("");
  const [renaming, setRenaming] = useState<string | null>(null);
  const [clearing, setClearing] = useState(false);
  const [failed, setFailed] = useState<Error | null>(null);
  const { data, error, reload } = useQuery<FoundChat[]>(`chats ${version} ${words}`, (signal) => chats(words, signal));

  const attempt = async (action: () => Promise<unknown>) => {
    setFailed(null);
    try {
      await action();
      reload();
    } catch (cause) {
      setFailed(cause instanceof Error ? cause : new Error(String(cause)));
    }
  };
  const rename = (id: string, title: string) => {
    setRenaming(null);
    if (title.trim() === "") return;
    void attempt(async () => {
      const { model, system, options, head } = await keptChat(id);
      await setChat(id, { title: title.trim(), model, system, options, head });
    });
  };
  const remove = (id: string) =>
    void attempt(async () => {
      await removeChat(id);
      if (id === current) begin();
    });

  return (
    <aside class="chat-list" aria-label={t("chat.list")} data-testid="chat-list">
      <div class="chat-list-head">
        <button type="button" class="button wide" data-testid="chat-new" title={`${t("chat.new")} (Alt+N)`} onClick={begin}>
          <Icon name="plus" />
          {t("chat.new")}
        </button>
        <button type="button" class="icon-button chat-list-close" aria-label={t("common.close")} onClick={close}>
          <Icon name="close" />
        </button>
      </div>
      {about.history && (
        <input
          type="search"
          data-testid="chat-search"
          aria-label={t("chat.search")}
          placeholder={t("chat.search")}
          maxLength={60}
          value={words}
          onInput={(event) => setWords(event.currentTarget.value)}
        />
      )}
      {(failed ?? error) !== null && <ErrorNotice error={failed ?? error ?? new Error()} retry={reload} />}
      {data === null && error === null && <Skeleton lines={4} />}
      {data !== null && data.length === 0 && (
        <p class="quiet chat-list-none">{t(words === "" ? "chat.none" : "chat.none_found")}</p>
      )}
      <ul class="chat-list-rows">
        {(data ?? []).map((chat) => (
          <li key={chat.id} data-testid="chat-row" data-chat={chat.id}>
            {renaming === chat.id ? (
              <Rename chat={chat} done={(title) => rename(chat.id, title)} cancel={() => setRenaming(null)} />
            ) : (
              <>
                <Link
                  class="chat-list-link"
                  href={`/chat?c=${encodeURIComponent(chat.id)}`}
                  title={format.dateTime(chat.changed_ms)}
                  followed={close}
                  aria-current={chat.id === current ? "page" : undefined}
                >
                  <span>{chat.title === "" ? t("chat.untitled") : chat.title}</span>
                  {chat.excerpt !== null && <small>{chat.excerpt}</small>}
                </Link>
                <span class="chat-list-tools">
                  <button
                    type="button"
                    class="icon-button"
                    data-testid="chat-rename"
                    aria-label={t("chat.rename", { name: chat.title })}
                    title={t("chat.rename", { name: chat.title })}
                    onClick={() => setRenaming(chat.id)}
                  >
                    <Icon name="pencil" />
                  </button>
                  <button
                    type="button"
                    class="icon-button"
                    data-testid="chat-remove"
                    aria-label={t("chat.remove", { name: chat.title })}
                    title={t("chat.remove", { name: chat.title })}
                    onClick={() => remove(chat.id)}
                  >
                    <Icon name="trash" />
                  </button>
                </span>
              </>
            )}
          </li>
        ))}
      </ul>
      <div class="chat-list-foot">
        {about.history ? (
          <>
            <label class="chat-keep">
              <input
                type="checkbox"
                data-testid="chat-keep"
                checked={keep}
                onChange={(event) => setKeep(event.currentTarget.checked)}
              />
              <span>{t("chat.keep")}</span>
            </label>
            <p class="quiet" data-testid="chat-keep-note">
              {keep ? t("chat.keep_on", { days: format.count(about.keep_days) }) : t("chat.keep_off")}
            </p>
            {data !== null && data.length > 0 && words === "" && (
              <button type="button" class="link-button" data-testid="chat-clear" onClick={() => setClearing(true)}>
                {t("chat.clear")}
              </button>
            )}
          </>
        ) : (
          <p class="quiet">{t("chat.keep_never")}</p>
        )}
      </div>
      {clearing && (
        <Dialog name="chat-clear-dialog" title={t("chat.clear")} close={() => setClearing(false)}>
          <p>{t("chat.clear_text")}</p>
          <div class="dialog-actions">
            <button type="button" class="button" onClick={() => setClearing(false)}>
              {t("common.cancel")}
            </button>
            <button
              type="button"
              class="button primary"
              data-testid="chat-clear-submit"
              onClick={() => {
                setClearing(false);
                void attempt(async () => {
                  await removeChats();
                  begin();
                });
              }}
            >
              {t("chat.clear")}
            </button>
          </div>
        </Dialog>
      )}
    </aside>
  );
}

function Rename({ chat, done, cancel }: { chat: FoundChat; done: (title: string) => void; cancel: () => void }) {
  const { t } = useUi();
  const [title, setTitle] = useState(chat.title);
  return (
    <form
      class="chat-rename"
      onSubmit={(event) => {
        event.preventDefault();
        done(title);
      }}
    >
      <input
        type="text"
        data-testid="chat-title-input"
        aria-label={t("chat.title")}
        maxLength={200}
        value={title}
        ref={(element) => element?.focus()}
        onInput={(event) => setTitle(event.currentTarget.value)}
        onBlur={() => done(title)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.stopPropagation();
          cancel();
        }}
      />
    </form>
  );
}
