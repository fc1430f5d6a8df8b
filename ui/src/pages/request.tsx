// One request's whole story: the verdict in words, its time, what ran beside it, and what others wrote about it.

import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import { readRow, timestamp } from "../api/requests";
import { type Hit, numberField, textField } from "../api/search";
import type { Session } from "../api/session";
import { type Attempt, type Story, type StoryLine, story as loadStory } from "../api/story";
import { rulesZh } from "../i18n/rules-zh";
import { causeOf } from "../lib/causes";
import { clause } from "../lib/lucene";
import { sharedOf } from "../lib/range";
import { address, go } from "../lib/route";
import { sentenceOf } from "../lib/verdict";
import { mayOperate } from "../lib/rights";
import { useQuery } from "../lib/use-query";
import { Level, Model, StatusBadge, Tags } from "../ui/cells";
import { useUi } from "../ui/context";
import { CopyButton } from "../ui/copy";
import { CurlButton } from "../ui/curl";
import { Icon } from "../ui/icon";
import { Link } from "../ui/link";
import { Barrier } from "../ui/mark";
import { Empty, ErrorNotice, Skeleton } from "../ui/notice";
import { Panel } from "../ui/panel";
import { Waterfall } from "../ui/phases";
import { lazy } from "../ui/lazy";
import { Fields, Json } from "../ui/record-fields";
import { Ways } from "../ui/ways";
import { Beside } from "./request/beside";

const Replay = lazy(() => import("./request/replay"), false);

/** While it runs, its story grows. */
const REFRESH_MS = 2_000;

interface Props {
  requestId: string;
  params: URLSearchParams;
  session: Session;
}

export function RequestPage({ requestId, params, session }: Props) {
  const { t } = useUi();
  const [runs, setRuns] = useState(true);
  const { data, error, loading, reload } = useQuery<Story>(
    requestId,
    async (signal) => {
      const told = await loadStory(requestId, signal);
      setRuns(told.found && told.verdict?.cause === "running");
      return told;
    },
    runs ? REFRESH_MS : 0,
  );
  return (
    <main class="request" data-testid="request-page" data-request-id={requestId} aria-busy={loading && data === null}>
      <header class="request-head">
        <Link class="quiet-link" href={address("discover", sharedOf(params))}>
          {t("nav.discover")}
          <Icon name="right" />
        </Link>
        <h1>{t("record.title")}</h1>
        <code>{requestId}</code>
        <CopyButton text={requestId} label={false} />
        <CopyLink />
      </header>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {data === null && error === null && <Skeleton lines={14} />}
      {data !== null && !data.found && (
        <Empty title={t("record.missing")}>
          <p>{t("record.missing_text")}</p>
        </Empty>
      )}
      {data?.found === true && <Told story={data} requestId={requestId} params={params} session={session} />}
    </main>
  );
}

/** The address of this page opens it for anybody who is signed in. */
function CopyLink() {
  const { t } = useUi();
  return (
    <span class="copy-link" title={t("record.share")}>
      <Icon name="link" />
      <CopyButton text={location.href} />
    </span>
  );
}

interface ToldProps extends Props {
  story: Story;
}

function Told({ story, requestId, params, session }: ToldProps) {
  const { t, format } = useUi();
  const { record } = story;
  const hit: Hit = { _id: requestId, _index: "", _source: record };
  const row = readRow(hit);
  const totalMs = row.durationMs ?? story.phases.reduce((end, phase) => Math.max(end, phase.startMs + phase.durationMs), 0);
  const endMs = timestamp(record);
  const startMs = endMs === null ? null : endMs - totalMs;
  const own = { ...sharedOf(params), kind: "all", q: clause("request_id", requestId) };
  const question = (name: string) => story.queries[name] ?? null;
  const ways = () => <Ways question={question("records")} records={own} session={session} />;
  const curl = (name: string) => {
    const body = question(name);
    return body === null ? undefined : <CurlButton body={() => body} session={session} small />;
  };
  return (
    <div class="request-grid">
      <Verdict story={story} ways={ways()} />
      <section class="panel area-facts" aria-label={t("request.facts")}>
        <div class="record-summary">
          <StatusBadge row={row} />
          <Model name={row.model} />
          <span class="quiet">
            {textField(record, "method")} {textField(record, "path")}
          </span>
          <span>{format.dateTime(startMs)}</span>
          <Tags tags={row.tags} />
          {ways()}
        </div>
        <Facts story={story} params={params} />
      </section>
      <section class="panel area-time">
        {ways()}
        <Waterfall list={story.phases} totalMs={totalMs} ttftMs={row.ttftMs} />
        {story.attempts.length > 0 && <Attempts attempts={story.attempts} />}
      </section>
      <Panel
        area="beside"
        title={t("request.beside")}
        note={t("request.beside_note", { count: story.neighbours.length })}
        actions={curl("neighbours")}
        records={sharedOf(params)}
      >
        <Beside story={story} totalMs={totalMs} startMs={startMs} params={params} />
      </Panel>
      <Panel
        area="lines"
        title={t("request.lines")}
        note={String(story.lines.length)}
        actions={curl("lines")}
        records={own}
      >
        <Lines lines={story.lines} startMs={startMs} />
      </Panel>
      {canReplay(story) && mayOperate(session.role) && <Replay key={requestId} requestId={requestId} record={record} />}
      <Records story={story} params={params} curl={curl("records")} />
    </div>
  );
}

/** Whether there is a prompt that could have been kept. */
function canReplay({ record }: Story): boolean {
  return textField(record, "kind") === "request" && textField(record, "model_name") !== null && textField(record, "origin") === null;
}

function Verdict({ story, ways }: { story: Story; ways: ComponentChildren }) {
  const { t, format, language } = useUi();
  const { verdict } = story;
  if (verdict === null) return null;
  const sentence = language === "en" ? null : sentenceOf(story, format);
  const known = causeOf(verdict.cause);
  const chinese = Object.hasOwn(rulesZh, verdict.ruleName) ? rulesZh[verdict.ruleName] : undefined;
  const rule = language === "zh" ? (chinese ?? verdict.rule) : verdict.rule;
  const tone = known?.tone ?? "warn";
  return (
    <section class={`panel verdict verdict-${tone}`} data-testid="verdict" data-cause={verdict.cause}>
      <Barrier state={tone} />
      <div>
        <h2>{known === null ? verdict.cause : t(known.text)}</h2>
        {sentence === null ? <p lang="en">{verdict.text}</p> : <p data-testid="verdict-sentence">{t(sentence.text, sentence.values)}</p>}
        <p class="quiet">
          {t("request.rule", { rule, share: format.percent(verdict.confidence) })}
        </p>
      </div>
      {ways}
    </section>
  );
}

function Facts({ story, params }: { story: Story; params: URLSearchParams }) {
  const { t, format } = useUi();
  const { record } = story;
  const number = (name: string) => numberField(record, name);
  const text = (name: string) => textField(record, name);
  const rows: { words: string; shown: string | null; query?: string }[] = [
    { words: t("column.user"), shown: text("user_id"), query: "user_id" },
    { words: t("column.key"), shown: text("key_id"), query: "key_id" },
    { words: t("request.client"), shown: text("client_ip"), query: "client_ip" },
    { words: t("request.upstream"), shown: text("upstream"), query: "upstream" },
    { words: t("column.input_long"), shown: known(number("input_tokens"), format.count) },
    { words: t("column.output_long"), shown: known(number("output_tokens"), format.count) },
    { words: t("request.efficiency"), shown: known(number("token_efficiency"), (value) => format.decimal(value, 2)) },
    { words: t("request.speed"), shown: known(number("tokens_per_second"), (value) => format.decimal(value, 1)) },
    { words: t("request.context"), shown: known(number("context_limit"), format.count) },
    { words: t("request.finish"), shown: text("finish_reason") },
    { words: t("request.position"), shown: known(number("queue_position"), format.count) },
    { words: t("request.error"), shown: text("error") },
  ];
  return (
    <dl class="facts">
      {rows.map(({ words, shown, query }) =>
        shown === null ? null : (
          <div key={words}>
            <dt>{words}</dt>
            <dd translate={false}>
              {query === undefined ? (
                shown
              ) : (
                <Link
                  class="row-link"
                  href={address("discover", { ...sharedOf(params), q: `${query}:${JSON.stringify(shown)}` })}
                >
                  {shown}
                </Link>
              )}
            </dd>
          </div>
        ),
      )}
    </dl>
  );
}

function known(value: number | null, write: (value: number) => string): string | null {
  return value === null ? null : write(value);
}

function Attempts({ attempts }: { attempts: Attempt[] }) {
  const { t, format } = useUi();
  return (
    <div class="attempts">
      <h3>{t("request.attempts")}</h3>
      <ol>
        {attempts.map(({ number, upstream, connectMs, error }) => (
          <li key={number}>
            <span class="attempt-number">{number}</span>
            {upstream === null ? <span class="quiet">{t("request.attempt_failed")}</span> : <strong>{upstream}</strong>}
            {connectMs !== null && (
              <span class="quiet">
                {t("phase.connect")} {format.duration(connectMs)}
              </span>
            )}
            {error !== null && <span class="attempt-result">{error}</span>}
          </li>
        ))}
      </ol>
    </div>
  );
}

function Lines({ lines, startMs }: { lines: StoryLine[]; startMs: number | null }) {
  const { t, format } = useUi();
  if (lines.length === 0) return <p class="quiet panel-empty">{t("request.no_lines")}</p>;
  return (
    <div class="table-scroll">
      <table class="rows story-lines" data-testid="story-lines">
        <thead>
          <tr>
            <th scope="col">{t("column.time")}</th>
            <th scope="col" class="num">
              {t("request.offset")}
            </th>
            <th scope="col">{t("column.level")}</th>
            <th scope="col">{t("column.source")}</th>
            <th scope="col">{t("column.msg")}</th>
          </tr>
        </thead>
        <tbody>
          {lines.map((line, at) => (
            <tr key={at}>
              <td class="nowrap">{format.dateTime(line.atMs)}</td>
              <td class="num quiet">{offset(line, startMs, format.duration)}</td>
              <td>
                <Level level={line.level} />
              </td>
              <td translate={false}>{line.source}</td>
              <td class="story-text" translate={false}>
                {line.msg} {line.by !== null && <span class="tag">{line.by}</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function offset(line: StoryLine, startMs: number | null, duration: (ms: number) => string): string {
  if (line.atMs === null || startMs === null) return "";
  const ms = line.atMs - startMs;
  return ms < 0 ? `−${duration(-ms)}` : `+${duration(ms)}`;
}

function Records({ story, params, curl }: { story: Story; params: URLSearchParams; curl: ComponentChildren }) {
  const { t } = useUi();
  const json = useMemo(() => JSON.stringify(story.records, null, 2), [story]);
  const [view, setView] = useState<"fields" | "json">("fields");
  const find = (query: string) => go(address("discover", { ...sharedOf(params), q: query }));
  return (
    <Panel
      area="records"
      title={t("request.records")}
      note={String(story.records.length)}
      records={{ ...sharedOf(params), kind: "all", q: clause("request_id", textField(story.record, "request_id") ?? "") }}
      actions={
        <>
          <div class="segments" role="group" aria-label={t("record.view")}>
            <button type="button" aria-pressed={view === "fields"} onClick={() => setView("fields")}>
              {t("record.fields")}
            </button>
            <button type="button" aria-pressed={view === "json"} onClick={() => setView("json")}>
              {t("record.json")}
            </button>
          </div>
          {curl}
        </>
      }
    >
      <div class="request-records">
        {view === "fields" ? (
          <Fields source={story.record} query="" language="lucene" find={find} columns={[]} toggleColumn={null} />
        ) : (
          <Json text={json} />
        )}
      </div>
    </Panel>
  );
}
