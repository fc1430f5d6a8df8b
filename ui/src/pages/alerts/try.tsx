// A rule's text, and what it would have told in the last days: asked anew whenever the text rests.

import { useMemo } from "preact/hooks";
import {
  asConfiguration,
  type Backtest,
  backtest,
  type Curve,
  type Measured,
  measuredBody,
  measuredOf,
  type Rule,
  readMeasured,
  removeRule,
  saveRule,
} from "../../api/alerts";
import { search } from "../../api/search";
import type { Session } from "../../api/session";
import { Chart, type ChartSeries, type Mark } from "../../charts/chart";
import { bucketWidth } from "../../lib/range";
import { mayOperate } from "../../lib/rights";
import type { Changes } from "../../lib/route";
import { blockOf } from "../../lib/rule-text";
import { useChange } from "../../lib/use-change";
import { useQuery } from "../../lib/use-query";
import { useSettled } from "../../lib/use-settled";
import { useUi } from "../../ui/context";
import { CopyButton } from "../../ui/copy";
import { ErrorNotice, Skeleton } from "../../ui/notice";

const DAYS = [1, 7, 30] as const;
const DAYS_AT_FIRST = 7;
const DAY_MS = 86_400_000;
/** A text that has rested so long is tried. */
const REST_MS = 600;
const CHART_HEIGHT = 212;
const MESSAGES_SHOWN = 12;
const GROUPS_SHOWN = 4;

interface Props {
  /** The rule as it is in force; a new one has no text yet. */
  rule: Pick<Rule, "name" | "yaml" | "origin" | "saved">;
  text: string;
  setText: (text: string) => void;
  params: URLSearchParams;
  session: Session;
  show: (changes: Changes) => void;
  /** Called when the rule was saved, or what was saved of it was removed. */
  done: () => void;
}

interface Answer {
  told: Backtest;
  measured: Measured | null;
  curve: Curve | null;
}

export function Try({ rule, text, setText, params, session, show, done }: Props) {
  const { t } = useUi();
  const days = DAYS.find((one) => String(one) === params.get("days")) ?? DAYS_AT_FIRST;
  const settled = useSettled(text, REST_MS);
  const may = mayOperate(session.role);
  const { data, error, stale } = useQuery<Answer | null>(`${days} ${settled}`, async (signal) => {
    if (!may) return null;
    const told = await backtest(rule.name, settled, days, signal);
    return { told, ...(await curveOf(told.yaml, days, signal)) };
  });
  const isOwn = text.trim() === blockOf(rule.yaml);
  const configuration = asConfiguration(rule.name, text);
  const waiting = settled !== text || stale;
  return (
    <div class="try">
      <label class="try-text">
        <span class="visually-hidden">{t("alerts.text")}</span>
        <textarea
          data-testid="rule-text"
          spellcheck={false}
          autocomplete="off"
          rows={Math.min(Math.max(text.split("\n").length + 1, 6), 18)}
          value={text}
          aria-invalid={error !== null}
          readOnly={!may}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      {error !== null && !waiting && (
        <pre class="try-error" role="alert" data-testid="try-error">
          {error.message}
        </pre>
      )}
      <div class="try-tools">
        <div class="segments" role="group" aria-label={t("alerts.try_days")}>
          {DAYS.map((one) => (
            <button
              key={one}
              type="button"
              data-days={one}
              aria-pressed={one === days}
              onClick={() => show({ days: one === DAYS_AT_FIRST ? null : String(one) })}
            >
              {t("alerts.days", { count: one })}
            </button>
          ))}
        </div>
        {!isOwn && (
          <button type="button" class="button" data-testid="rule-undo" onClick={() => setText(blockOf(rule.yaml))}>
            {t("alerts.undo")}
          </button>
        )}
      </div>
      {!may && <p class="quiet">{t("alerts.try_not")}</p>}
      {may && data === null && error === null && <Skeleton lines={5} />}
      {data !== null && error === null && (
        <div class={waiting ? "try-result try-waiting" : "try-result"} aria-busy={waiting}>
          <Result answer={data} days={days} />
        </div>
      )}
      {may && <Keep rule={rule} text={text} isOwn={isOwn} isWrong={error !== null || waiting} done={done} />}
      <details class="try-keep" open={rule.origin === "file" && !isOwn}>
        <summary>{t("alerts.keep_title")}</summary>
        <p class="quiet">{t("alerts.keep_text")}</p>
        <div class="command">
          <pre data-testid="rule-configuration">
            <code>{configuration}</code>
          </pre>
          <CopyButton text={configuration} />
        </div>
      </details>
    </div>
  );
}

interface KeepProps {
  rule: Props["rule"];
  text: string;
  isOwn: boolean;
  isWrong: boolean;
  done: () => void;
}

/** Saves the rule here, or takes away what was saved; what the file says is changed there. */
function Keep({ rule, text, isOwn, isWrong, done }: KeepProps) {
  const { t } = useUi();
  const save = useChange(() => saveRule(rule.name, text), done);
  const remove = useChange(() => removeRule(rule.name), done);
  const error = save.error ?? remove.error;
  return (
    <div class="try-save">
      {rule.origin === "file" ? (
        <p class="quiet">{t("alerts.in_file")}</p>
      ) : (
        <button
          type="button"
          class="button primary"
          data-testid="rule-save"
          disabled={isOwn || isWrong || save.busy || rule.name === ""}
          onClick={save.start}
        >
          {t("alerts.save")}
        </button>
      )}
      {rule.saved !== null && (
        <button type="button" class="button" data-testid="rule-remove" disabled={remove.busy} onClick={remove.start}>
          {t("alerts.remove_saved")}
        </button>
      )}
      {error !== null && <ErrorNotice error={error} />}
    </div>
  );
}

/** What the rule measures over the same days; a chart without it still shows when something would have been told. */
async function curveOf(yaml: string, days: number, signal: AbortSignal): Promise<Pick<Answer, "measured" | "curve">> {
  const measured = measuredOf(yaml);
  if (measured === null) return { measured, curve: null };
  const toMs = Date.now();
  const span = { fromMs: toMs - days * DAY_MS, toMs, live: true };
  const widthMs = bucketWidth(span);
  const found = await search(measuredBody(measured, span, widthMs), signal).catch((error: unknown) => {
    if (signal.aborted) throw error;
    return null;
  });
  return { measured, curve: found === null ? null : readMeasured(found, measured, span, widthMs) };
}

function Result({ answer, days }: { answer: Answer; days: number }) {
  const { t, format } = useUi();
  const { told, curve, measured } = answer;
  const messages = [...told.messages].reverse();
  const alerts = told.messages.filter(({ state }) => state === "firing").length;
  const words = t("alerts.would", { alerts: format.count(told.fired), messages: format.count(told.messages.length), days });
  const marks = useMemo(
    (): Mark[] =>
      told.messages.flatMap(({ at, state, groups }) =>
        state === "firing"
          ? [{ ms: Date.parse(at), text: `${t("alerts.firing")} ${groupWords(groups, format.number)}`, fault: true }]
          : [],
      ),
    [told, t, format],
  );
  const series = useMemo(
    (): ChartSeries[] =>
      curve === null
        ? []
        : [
            {
              kind: measured?.measure === "count" ? "bars" : "line",
              colour: "--series-1",
              label: measured?.measure === "count" ? t("alerts.matching") : (measured?.field ?? ""),
              values: curve.values,
            },
          ],
    [curve, measured, t],
  );
  return (
    <>
      <p class="try-sum" data-testid="backtest" data-fired={told.fired} data-messages={told.messages.length} role="status">
        <strong>{words}</strong>
      </p>
      {curve !== null && (
        <Chart
          name="backtest"
          times={curve.times}
          widthMs={curve.widthMs}
          fromMs={curve.span.fromMs}
          toMs={curve.span.toMs}
          series={series}
          marks={marks}
          height={CHART_HEIGHT}
          value={format.number}
          axisValue={format.compact}
          page="discover"
          params={new URLSearchParams({ kind: "all", q: measured?.query ?? "" })}
          summary={words}
        />
      )}
      {messages.length > 0 && (
        <div class="table-scroll">
          <table class="rows" data-testid="backtest-messages">
            <thead>
              <tr>
                <th scope="col">{t("column.time")}</th>
                <th scope="col">{t("alerts.message")}</th>
                <th scope="col">{t("alerts.groups")}</th>
              </tr>
            </thead>
            <tbody>
              {messages.slice(0, MESSAGES_SHOWN).map((message, at) => (
                <tr key={at}>
                  <td class="nowrap">{format.moment(Date.parse(message.at))}</td>
                  <td>
                    <span class={message.state === "firing" ? "tag tag-fault" : "tag"}>
                      {t(message.state === "firing" ? "alerts.firing" : "alerts.resolved")}
                    </span>
                  </td>
                  <td class="wrap">{groupWords(message.groups, format.number)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {messages.length > MESSAGES_SHOWN && <p class="quiet">{t("alerts.more_messages", { count: messages.length - MESSAGES_SHOWN })}</p>}
      {alerts === 0 && <p class="quiet">{t("alerts.would_nothing")}</p>}
    </>
  );
}

function groupWords(groups: Backtest["messages"][number]["groups"], number: (value: number | null) => string): string {
  const shown = groups.slice(0, GROUPS_SHOWN).map(([group, value]) => {
    const measured = number(typeof value === "number" ? value : null);
    return group === "" ? measured : `${String(group)}: ${measured}`;
  });
  if (groups.length > GROUPS_SHOWN) shown.push(`+${groups.length - GROUPS_SHOWN}`);
  return shown.join(", ");
}
