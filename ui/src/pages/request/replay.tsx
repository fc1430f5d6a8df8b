// The same prompt, asked of another model now: what both said, and how long each took.

import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../../api/base";
import { call } from "../../api/call";
import { replay, type Replayed } from "../../api/replay";
import { numberField, type Source } from "../../api/search";
import type { TextKey } from "../../i18n/en";
import { clause } from "../../lib/lucene";
import { address, requestAddress } from "../../lib/route";
import { useChange } from "../../lib/use-change";
import { useQuery } from "../../lib/use-query";
import { useUi } from "../../ui/context";
import { Choice } from "../../ui/field";
import { Link } from "../../ui/link";
import { ErrorNotice } from "../../ui/notice";
import { Panel } from "../../ui/panel";

/** Why there is nothing to ask again, by the server's word for it. */
const REASONS: Record<string, TextKey> = {
  content_off: "replay.off",
  not_kept: "replay.not_kept",
  erased: "replay.erased",
  tools: "replay.tools",
  busy: "replay.busy",
};

/** Why the prompt is not the one of then. */
const DIFFERENCES: Record<string, TextKey> = {
  left_out: "replay.left_out",
  cut: "replay.cut",
  redacted: "replay.redacted",
  withheld: "replay.withheld",
  media: "replay.media",
};

export default function Replay({ requestId, record }: { requestId: string; record: Source }) {
  const { t } = useUi();
  const { data: models } = useQuery("models", async (signal) => (await call("get", "/models", { signal })).models);
  const [chosen, setChosen] = useState<string | null>(null);
  const [told, setTold] = useState<Replayed | null>(null);
  const asking = useRef<AbortController | null>(null);
  useEffect(() => () => asking.current?.abort(), []);
  const names = (models ?? []).map(({ name }): [string, string] => [name, name]);
  const model = chosen ?? names[0]?.[0] ?? "";
  const change = useChange(() => {
    asking.current = new AbortController();
    setTold(null);
    return replay(requestId, model, asking.current.signal);
  }, setTold);
  return (
    <Panel area="replay" title={t("replay.title")} note={t("replay.note")}>
      <form
        class="replay-form"
        onSubmit={(event) => {
          event.preventDefault();
          change.start();
        }}
      >
        <Choice words={t("chat.model")} name="replay-model" value={model} options={names} change={setChosen} />
        <button type="submit" class="button" data-testid="replay-start" disabled={change.busy || model === ""}>
          {t(change.busy ? "replay.running" : "replay.start")}
        </button>
        <Link class="quiet-link" href={address("discover", { kind: "all", q: clause("replay_of", requestId) })}>
          {t("replay.all")}
        </Link>
      </form>
      {change.error !== null && <Refused error={change.error} />}
      {told !== null && <Sides told={told} record={record} />}
    </Panel>
  );
}

function Refused({ error }: { error: Error }) {
  const { t } = useUi();
  const code = error instanceof ApiError ? error.code : null;
  const words = code === null ? undefined : REASONS[code];
  if (words === undefined) return <ErrorNotice error={error} />;
  return (
    <p class="notice replay-refused" role="alert" data-testid="replay-refused" data-code={code}>
      {t(words)}
    </p>
  );
}

function Sides({ told, record }: { told: Replayed; record: Source }) {
  const { t } = useUi();
  const { before, now } = told;
  const differs = before.differs.flatMap((word) => DIFFERENCES[word] ?? []);
  return (
    <>
      {differs.length > 0 && (
        <ul class="replay-differs" data-testid="replay-differs">
          {differs.map((words) => (
            <li key={words}>{t(words)}</li>
          ))}
        </ul>
      )}
      <div class="replay-sides">
        <Side
          name="replay-before"
          title={t("replay.before")}
          model={before.model ?? null}
          text={before.text}
          thinking={before.thinking}
          durationMs={numberField(record, "duration_ms")}
          ttftMs={numberField(record, "ttft_ms")}
          input={numberField(record, "input_tokens")}
          output={numberField(record, "output_tokens")}
        />
        <Side
          name="replay-now"
          title={t("replay.now")}
          model={now.model}
          text={now.text}
          thinking={now.thinking}
          durationMs={now.duration_ms}
          ttftMs={now.ttft_ms ?? null}
          input={now.input_tokens ?? null}
          output={now.output_tokens ?? null}
          error={now.error ?? null}
          requestId={now.request_id ?? null}
        />
      </div>
    </>
  );
}

interface SideProps {
  name: string;
  title: string;
  model: string | null;
  text: string;
  thinking: string;
  durationMs: number | null;
  ttftMs: number | null;
  input: number | null;
  output: number | null;
  error?: string | null;
  requestId?: string | null;
}

function Side({ name, title, model, text, thinking, durationMs, ttftMs, input, output, error, requestId }: SideProps) {
  const { t, format } = useUi();
  const figures: [TextKey, string][] = [
    ["column.duration", format.duration(durationMs)],
    ["column.ttft_long", format.duration(ttftMs)],
    ["column.input_long", format.count(input)],
    ["column.output_long", format.count(output)],
  ];
  return (
    <section class="replay-side" data-testid={name} aria-label={title}>
      <h3>
        {title} {model !== null && <span class="tag">{model}</span>}
      </h3>
      <dl class="facts">
        {figures.map(([words, shown]) => (
          <div key={words}>
            <dt>{t(words)}</dt>
            <dd>{shown}</dd>
          </div>
        ))}
      </dl>
      {error != null && <p class="cell-error">{error}</p>}
      {thinking !== "" && (
        <details>
          <summary>{t("chat.thought")}</summary>
          <p class="replay-text">{thinking}</p>
        </details>
      )}
      <p class="replay-text">{text}</p>
      {requestId != null && (
        <Link class="quiet-link" href={requestAddress(requestId, {})}>
          {t("replay.record")}
        </Link>
      )}
    </section>
  );
}
