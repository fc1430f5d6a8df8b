// What the records advise: each piece with its figures, how sure they are, and the search behind them.

import { useState } from "preact/hooks";
import { type Advice, type Advised, advise } from "../../api/doctor";
import type { SearchBody } from "../../api/search";
import type { Session } from "../../api/session";
import { advices, named } from "../../i18n/checks";
import { doctorZh } from "../../i18n/doctor-zh";
import type { TextKey } from "../../i18n/en";
import { address } from "../../lib/route";
import { chineseWords } from "../../lib/said";
import { useChange } from "../../lib/use-change";
import { useUi } from "../../ui/context";
import { CurlButton } from "../../ui/curl";
import { Icon } from "../../ui/icon";
import { Lamp, type LampColour } from "../../ui/lamp";
import { Link } from "../../ui/link";
import { ErrorNotice, Skeleton } from "../../ui/notice";
import { Panel } from "../../ui/panel";

const DAYS = [1, 7, 30];

const WORDS: Record<Advice["advice"], { text: TextKey; colour: LampColour }> = {
  change: { text: "doctor.change", colour: "yellow" },
  keep: { text: "doctor.keep", colour: "green" },
  unknown: { text: "doctor.unknown", colour: "grey" },
};

/** The records that a piece of advice is made of, as Discover finds them. */
const RECORDS: Record<string, { kind: string; q: string }> = {
  requests: { kind: "request", q: "" },
  loads: { kind: "request", q: "load_ms:>=500" },
  queue: { kind: "request", q: "queue_ms:>0" },
  memory: { kind: "all", q: "_exists_:gpu_memory_used_percent" },
};

export function AdvicePart({ session }: { session: Session }) {
  const { t } = useUi();
  const [days, setDays] = useState(7);
  const [told, setTold] = useState<{ advised: Advised; days: number } | null>(null);
  const asking = useChange(
    () => advise(days),
    (advised) => setTold({ advised, days }),
  );
  return (
    <>
      <p class="doctor-start">
        <button type="button" class="button primary" data-testid="advise" disabled={asking.busy} onClick={asking.start}>
          <Icon name={told === null ? "play" : "again"} />
          {t(asking.busy ? "doctor.looking" : "doctor.ask")}
        </button>
        <label class="inline-field">
          {t("doctor.records_of")}
          <select data-testid="advise-days" value={days} onChange={(event) => setDays(Number(event.currentTarget.value))}>
            {DAYS.map((count) => (
              <option key={count} value={count}>
                {t("probes.days", { count })}
              </option>
            ))}
          </select>
        </label>
        <span class="quiet">{t("doctor.advice_note")}</span>
      </p>
      {asking.error !== null && <ErrorNotice error={asking.error} retry={asking.start} />}
      {asking.busy && told === null && <Skeleton lines={8} />}
      {told !== null && (
        <div data-testid="advised" data-change={told.advised.change_needed} aria-live="polite">
          <p class="doctor-verdict">
            <Lamp colour={told.advised.change_needed ? "yellow" : "green"}>
              {t(told.advised.change_needed ? "doctor.change_needed" : "doctor.no_change")}
            </Lamp>
          </p>
          {told.advised.advice.map((advice, index) => (
            <Piece key={index} advice={advice} body={told.advised.queries[advice.query]} days={told.days} session={session} />
          ))}
        </div>
      )}
    </>
  );
}

interface PieceProps {
  advice: Advice;
  body: unknown;
  days: number;
  session: Session;
}

function Piece({ advice, body, days, session }: PieceProps) {
  const ui = useUi();
  const { t, language } = ui;
  const said = (codes: Advice["found_said"], inEnglish: string) => chineseWords(codes, inEnglish, doctorZh, ui);
  const words = WORDS[advice.advice];
  const records = Object.hasOwn(RECORDS, advice.query) ? RECORDS[advice.query] : undefined;
  const title = named(advices, advice.id, language);
  return (
    <Panel
      title={advice.subject === null ? title : `${title}: ${advice.subject}`}
      actions={
        <span class="panel-buttons">
          <CurlButton body={() => body as SearchBody} session={session} small />
          {records !== undefined && (
            <Link
              class="icon-button"
              href={address("discover", { ...records, from: `now-${days}d`, to: "now" })}
              aria-label={t("common.in_discover")}
              title={t("common.in_discover")}
            >
              <Icon name="search" />
            </Link>
          )}
        </span>
      }
    >
      <div class="steps" data-testid="advice" data-advice={advice.id} data-word={advice.advice} data-code={advice.code}>
        <Lamp colour={words.colour}>{t(words.text)}</Lamp>
        <dl class="step-facts">
          <dt>{t("doctor.found")}</dt>
          <dd>{said(advice.found_said, advice.found)}</dd>
          <dt>{t("doctor.sure")}</dt>
          <dd>{said(advice.sure_said, advice.sure)}</dd>
          {advice.change !== null && (
            <>
              <dt>{t("doctor.to_change")}</dt>
              <dd>{said(advice.change_said, advice.change)}</dd>
            </>
          )}
        </dl>
        <details>
          <summary>{t("doctor.figures")}</summary>
          <pre class="advice-figures" tabIndex={0}>
            <code>{JSON.stringify(advice.figures, null, 2)}</code>
          </pre>
        </details>
      </div>
    </Panel>
  );
}
