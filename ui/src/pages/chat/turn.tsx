// One turn of a conversation: a question, or an answer with its thoughts and its cost.

import { requestAddress } from "../../lib/route";
import { useUi } from "../../ui/context";
import { CopyButton } from "../../ui/copy";
import { Icon } from "../../ui/icon";
import { Link } from "../../ui/link";
import type { Turn } from "./conversation";
import { Markdown } from "./markdown";

export function TurnView({ turn, again }: { turn: Turn; again: (() => void) | null }) {
  const { t } = useUi();
  if (turn.role === "user") {
    return (
      <article class="turn turn-user" aria-label={t("chat.you")}>
        <p>{turn.text}</p>
      </article>
    );
  }
  const waiting = turn.state === "streaming" && turn.text === "" && turn.thinking === "";
  return (
    <article
      class="turn turn-answer"
      data-testid="chat-answer"
      data-state={turn.state}
      aria-busy={turn.state === "streaming"}
    >
      {turn.thinking !== "" && <Thinking turn={turn} />}
      {waiting && (
        <p class="turn-wait" role="status" aria-label={t("chat.thinking")}>
          <i />
          <i />
          <i />
        </p>
      )}
      {turn.text !== "" && <Markdown text={turn.text} />}
      {turn.state === "failed" && (
        <p class="turn-error" role="alert">
          <Icon name="warning" />
          <span>
            {t("chat.failed")}: {turn.error}
          </span>
        </p>
      )}
      {turn.finish === "length" && <p class="turn-note">{t("chat.length")}</p>}
      {turn.state !== "streaming" && <Cost turn={turn} again={again} />}
    </article>
  );
}

/** Open while the model thinks, folded as soon as it speaks. */
function Thinking({ turn }: { turn: Turn }) {
  const { t } = useUi();
  const under = turn.state === "streaming" && turn.text === "";
  return (
    <details class="thinking" open={under} data-testid="chat-thinking">
      <summary>
        <Icon name="right" />
        {t(under ? "chat.thinking" : "chat.thought")}
      </summary>
      <div>{turn.thinking}</div>
    </details>
  );
}

function Cost({ turn, again }: { turn: Turn; again: (() => void) | null }) {
  const { t, format } = useUi();
  const { inputTokens, outputTokens, firstMs, totalMs } = turn;
  const facts: string[] = [];
  if (turn.state === "stopped") facts.push(t("chat.stopped"));
  if (inputTokens !== null || outputTokens !== null) {
    facts.push(t("chat.tokens", { input: format.count(inputTokens), output: format.count(outputTokens) }));
  }
  if (totalMs !== null) facts.push(format.duration(totalMs));
  if (firstMs !== null) facts.push(t("chat.first", { time: format.duration(firstMs) }));
  if (outputTokens !== null && firstMs !== null && totalMs !== null && totalMs - firstMs > 50 && outputTokens > 1) {
    facts.push(t("chat.speed", { speed: format.decimal(outputTokens / ((totalMs - firstMs) / 1000), 1) }));
  }
  return (
    <footer class="turn-cost">
      <ul data-testid="chat-cost">
        {facts.map((fact) => (
          <li key={fact}>{fact}</li>
        ))}
        {turn.requestId !== null && (
          <li>
            <Link href={requestAddress(turn.requestId, {})}>{t("chat.record")}</Link>
          </li>
        )}
      </ul>
      <div class="turn-tools">
        {turn.text !== "" && <CopyButton text={turn.text} label={false} />}
        {again !== null && (
          <button
            type="button"
            class="icon-button"
            data-testid="chat-regenerate"
            aria-label={t("chat.regenerate")}
            title={t("chat.regenerate")}
            onClick={again}
          >
            <Icon name="again" />
          </button>
        )}
      </div>
    </footer>
  );
}
