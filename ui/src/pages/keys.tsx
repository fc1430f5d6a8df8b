// Keys: who may use the gate, what each may use, and what it used; made, rotated and revoked here.

import { useState } from "preact/hooks";
import {
  type ConfiguredKey,
  type Key,
  type KeyList,
  keys as loadKeys,
  type MadeKey,
  readUsage,
  type Usage,
  usageBody,
} from "../api/keys";
import { search } from "../api/search";
import type { Session } from "../api/session";
import type { TextKey } from "../i18n/en";
import { clause } from "../lib/lucene";
import { rangeOf, resolve, sharedOf } from "../lib/range";
import { address } from "../lib/route";
import { useQuery } from "../lib/use-query";
import { ActionsHead } from "../ui/actions-head";
import { useUi } from "../ui/context";
import { CurlButton } from "../ui/curl";
import { Icon } from "../ui/icon";
import { Link } from "../ui/link";
import { Empty, ErrorNotice, Skeleton } from "../ui/notice";
import { Panel } from "../ui/panel";
import { RangePicker } from "../ui/range-picker";
import { RowButton } from "../ui/row-button";
import { CreateDialog, RevokeDialog, RotateDialog, SecretDialog } from "./keys/dialogs";
import { keyWords } from "./keys/words";

interface Answer {
  list: KeyList;
  usage: Map<string, Usage>;
}

type Asked =
  | { what: "nothing" }
  | { what: "create" }
  | { what: "rotate"; key: Key }
  | { what: "revoke"; id: string; name: string }
  | { what: "secret"; key: MadeKey };

interface Props {
  params: URLSearchParams;
  session: Session;
}

export function KeysPage({ params, session }: Props) {
  const { t } = useUi();
  const range = rangeOf(params);
  const [asked, setAsked] = useState<Asked>({ what: "nothing" });
  const [withEnded, setWithEnded] = useState(false);
  const body = () => usageBody(resolve(range, Date.now()));
  const { data, error, stale, reload } = useQuery<Answer>(`${range.from} ${range.to}`, async (signal) => {
    const [list, usage] = await Promise.all([loadKeys(signal), search(body(), signal)]);
    return { list, usage: readUsage(usage) };
  });
  const close = () => setAsked({ what: "nothing" });
  const made = (key: MadeKey) => {
    setAsked({ what: "secret", key });
    reload();
  };
  const all = data?.list.keys ?? [];
  const ended = all.filter((key) => key.state !== "in force").length;
  const shown = withEnded ? all : all.filter((key) => key.state === "in force");
  const configured = data?.list.configured ?? [];

  return (
    <main class="keys" aria-busy={stale} data-testid="keys-page">
      <div class="toolbar">
        <h1 class="page-title">{t("nav.keys")}</h1>
        <button type="button" class="button primary" data-testid="key-create" onClick={() => setAsked({ what: "create" })}>
          <Icon name="plus" />
          {t("keys.create")}
        </button>
        <div class="toolbar-tools">
          {ended > 0 && (
            <label class="check">
              <input
                type="checkbox"
                checked={withEnded}
                onChange={(event) => setWithEnded(event.currentTarget.checked)}
              />
              {t("keys.ended", { count: ended })}
            </label>
          )}
          <CurlButton body={body} session={session} />
          <RangePicker page="keys" params={params} />
        </div>
      </div>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {data === null && error === null && <Skeleton lines={8} />}
      {data !== null && shown.length === 0 && configured.length === 0 && (
        <Empty title={t("keys.none_title")}>
          <p>{t("keys.none_text")}</p>
        </Empty>
      )}
      {data !== null && shown.length > 0 && (
        <KeyTable keys={shown} usage={data.usage} params={params} ask={setAsked} />
      )}
      {data !== null && configured.length > 0 && (
        <Configured keys={configured} usage={data.usage} params={params} ask={setAsked} />
      )}
      {asked.what === "create" && <CreateDialog made={made} close={close} />}
      {asked.what === "rotate" && <RotateDialog id={asked.key.id} name={asked.key.name} made={made} close={close} />}
      {asked.what === "revoke" && (
        <RevokeDialog
          id={asked.id}
          name={asked.name}
          done={() => {
            close();
            reload();
          }}
          close={close}
        />
      )}
      {asked.what === "secret" && <SecretDialog made={asked.key} session={session} close={close} />}
    </main>
  );
}

interface TableProps {
  keys: Key[];
  usage: Map<string, Usage>;
  params: URLSearchParams;
  ask: (asked: Asked) => void;
}

const STATES: Record<string, TextKey> = {
  "in force": "keys.in_force",
  expired: "keys.expired",
  revoked: "keys.revoked",
};

function KeyTable({ keys, usage, params, ask }: TableProps) {
  const { t, format } = useUi();
  return (
    <section class="panel" aria-label={t("nav.keys")}>
      <div class="table-scroll">
        <table class="rows keys-table" data-testid="keys-table">
          <thead>
            <tr>
              <th scope="col">{t("keys.name")}</th>
              <th scope="col">{t("keys.state")}</th>
              <th scope="col">{t("keys.limits")}</th>
              <UsageHeads />
              <th scope="col" class="col-wide">
                {t("keys.expires")}
              </th>
              <ActionsHead />
            </tr>
          </thead>
          <tbody>
            {keys.map((key) => {
              const inForce = key.state === "in force";
              const word = STATES[key.state];
              return (
                <tr key={key.id} data-testid="key-row" data-key={key.id} data-state={key.state}>
                  <td>
                    <strong>{key.name}</strong>
                    <code class="quiet key-id">{key.id}</code>
                    {key.user !== null && <span class="quiet">{key.user}</span>}
                    {key.role !== "user" && <span class="tag">{keyWords(key.role, t)}</span>}
                  </td>
                  <td>
                    <span class={inForce ? "key-state key-on" : "key-state"}>
                      {word === undefined ? key.state : t(word)}
                    </span>
                  </td>
                  <td>
                    <Limits limited={key} />
                  </td>
                  <UsageCells id={key.id} usage={usage.get(key.id)} params={params} />
                  <td class="col-wide nowrap">
                    {key.expires === null ? <span class="quiet">{t("keys.never")}</span> : format.day(Date.parse(key.expires))}
                  </td>
                  <td class="row-actions">
                    {inForce && (
                      <>
                        <RowButton
                          icon="again"
                          name="key-rotate"
                          words={t("keys.rotate_name", { name: key.name })}
                          press={() => ask({ what: "rotate", key })}
                        />
                        <RevokeButton id={key.id} name={key.name} ask={ask} />
                      </>
                    )}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function RevokeButton({ id, name, ask }: { id: string; name: string; ask: (asked: Asked) => void }) {
  const { t } = useUi();
  return (
    <RowButton
      icon="trash"
      name="key-revoke"
      words={t("keys.revoke_name", { name })}
      danger
      press={() => ask({ what: "revoke", id, name })}
    />
  );
}

function UsageHeads() {
  const { t } = useUi();
  return (
    <>
      <th scope="col" class="num">
        {t("figure.requests")}
      </th>
      <th scope="col" class="num">
        {t("figure.tokens")}
      </th>
      <th scope="col" class="col-wide">
        {t("keys.last")}
      </th>
    </>
  );
}

function UsageCells({ id, usage, params }: { id: string; usage: Usage | undefined; params: URLSearchParams }) {
  const { t, format } = useUi();
  const to = address("discover", { ...sharedOf(params), q: clause("key_id", id) });
  const failed = usage?.failed ?? 0;
  return (
    <>
      <td class="num" data-label={t("figure.requests")}>
        <Link class="row-link" href={to}>
          {format.compact(usage?.requests ?? 0)}
        </Link>
        {failed > 0 && <span class="cell-error"> {t("keys.failed", { count: format.compact(failed) })}</span>}
      </td>
      <td class="num" data-label={t("figure.tokens")}>
        {format.compact(usage?.tokens ?? 0)}
      </td>
      <td class="col-wide nowrap">
        {usage === undefined ? <span class="quiet">{t("keys.unused")}</span> : format.moment(usage.lastMs)}
      </td>
    </>
  );
}

/** Only what is limited; a key without limits of its own says so. */
function Limits({ limited: key }: { limited: Key }) {
  const { t, format } = useUi();
  const parts: string[] = [];
  if (key.models.length > 0) parts.push(key.models.join(", "));
  const rate = (count: number | null, ms: number | null, words: TextKey) => {
    if (count !== null && ms !== null) parts.push(t(words, { count: format.compact(count), time: format.width(ms) }));
  };
  rate(key.requests, key.per_ms, "keys.limit_requests");
  rate(key.tokens, key.tokens_per_ms, "keys.limit_tokens");
  if (key.tokens_per_day !== null) parts.push(t("keys.limit_day", { count: format.compact(key.tokens_per_day) }));
  if (key.tokens_per_month !== null) parts.push(t("keys.limit_month", { count: format.compact(key.tokens_per_month) }));
  if (key.concurrent !== null) parts.push(t("keys.limit_concurrent", { count: key.concurrent }));
  if (key.prompt_chars !== null) parts.push(t("keys.limit_prompt", { count: format.compact(key.prompt_chars) }));
  if (key.priority !== "normal") parts.push(t("keys.limit_priority", { priority: keyWords(key.priority, t) }));
  if (key.allow.length > 0) parts.push(key.allow.join(", "));
  if (parts.length === 0) return <span class="quiet">{t("keys.limit_none")}</span>;
  return (
    <span class="tags">
      {parts.map((part) => (
        <span key={part} class="tag" title={part}>
          {part}
        </span>
      ))}
    </span>
  );
}

interface ConfiguredProps {
  keys: ConfiguredKey[];
  usage: Map<string, Usage>;
  params: URLSearchParams;
  ask: (asked: Asked) => void;
}

function Configured({ keys, usage, params, ask }: ConfiguredProps) {
  const { t } = useUi();
  return (
    <Panel title={t("keys.configured")} note={t("keys.configured_note")}>
      <div class="table-scroll">
        <table class="rows keys-table">
          <thead>
            <tr>
              <th scope="col">{t("keys.name")}</th>
              <th scope="col">{t("column.user")}</th>
              <th scope="col">{t("keys.models")}</th>
              <UsageHeads />
              <ActionsHead />
            </tr>
          </thead>
          <tbody>
            {keys.map((key) => (
              <tr key={key.id} data-testid="configured-key">
                <td>
                  <strong>{key.id}</strong>
                </td>
                <td>{key.user ?? ""}</td>
                <td>{key.models.length === 0 ? <span class="quiet">{t("keys.all_models")}</span> : key.models.join(", ")}</td>
                <UsageCells id={key.id} usage={usage.get(key.id)} params={params} />
                <td class="row-actions">
                  <RevokeButton id={key.id} name={key.id} ask={ask} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
