// One examination: each step with what was looked at, what was found, and how it is mended.

import { useState } from "preact/hooks";
import { type Check, type CheckStatus, type Examined, examine } from "../../api/doctor";
import { areas, checks as CHECKS, named, places } from "../../i18n/checks";
import { doctorZh } from "../../i18n/doctor-zh";
import type { Language } from "../../lib/format";
import { chineseWords, type Said } from "../../lib/said";
import { useChange } from "../../lib/use-change";
import { useUi } from "../../ui/context";
import { Coded } from "../../ui/coded";
import { CopyButton } from "../../ui/copy";
import { Icon } from "../../ui/icon";
import { Lamp, type LampColour } from "../../ui/lamp";
import { ErrorNotice, Skeleton } from "../../ui/notice";
import { Panel } from "../../ui/panel";
import { OUTCOMES } from "../probes/words";

export function ExaminationPart({ security }: { security: boolean }) {
  const { t, format } = useUi();
  const [found, setFound] = useState<Examined | null>(null);
  const [all, setAll] = useState(false);
  const looking = useChange(() => examine(security), setFound);
  const troubles = found?.checks.filter(isTrouble) ?? [];
  const looked = found?.checks.filter(({ status }) => status !== "skipped") ?? [];
  const shown = found === null ? [] : all ? found.checks : troubles;
  const inOrder = [...new Set(shown.map(({ area }) => area))];
  return (
    <>
      <p class="doctor-start">
        <button type="button" class="button primary" data-testid="examine" disabled={looking.busy} onClick={looking.start}>
          <Icon name={found === null ? "play" : "again"} />
          {t(looking.busy ? "doctor.looking" : found === null ? "doctor.examine" : "doctor.again")}
        </button>
        <span class="quiet">{t(security ? "doctor.security_note" : "doctor.chart_note")}</span>
      </p>
      {looking.error !== null && <ErrorNotice error={looking.error} retry={looking.start} />}
      {looking.busy && found === null && <Skeleton lines={8} />}
      {found !== null && (
        <div data-testid="examined" data-status={found.status} data-checks={found.checks.length} aria-live="polite">
          <p class="doctor-verdict">
            <Lamp colour={OUTCOMES[found.status]?.colour ?? "grey"}>
              {troubles.length === 0 ? t("doctor.all_well") : t("doctor.troubles", { count: troubles.length })}
            </Lamp>
            <span class="quiet">
              {t("doctor.looked", {
                looked: looked.length,
                skipped: found.checks.length - looked.length,
                time: format.duration(found.took_ms),
              })}
            </span>
            <label class="check">
              <input type="checkbox" checked={all} data-testid="doctor-all" onChange={() => setAll(!all)} />
              {t("doctor.all")}
            </label>
          </p>
          {inOrder.map((area) => (
            <Area key={area} area={area} checks={shown.filter((check) => check.area === area)} />
          ))}
        </div>
      )}
    </>
  );
}

const isTrouble = ({ status }: Check) => status === "warn" || status === "fault";

const COLOURS: Record<CheckStatus, LampColour> = { skipped: "grey", ok: "green", warn: "yellow", fault: "red" };

function Area({ area, checks }: { area: string; checks: Check[] }) {
  const { language } = useUi();
  return (
    <Panel title={named(areas, area, language)}>
      <ul class="steps">
        {checks.map((check, index) => (
          <Step key={index} check={check} />
        ))}
      </ul>
    </Panel>
  );
}

/** A place that was looked at (`config`, `source app`) in the page's language; all else as it is. */
function placed(said: Said, language: Language): Said {
  const { what } = said.figures;
  if (said.code !== "at_place" || typeof what !== "string") return said;
  return { ...said, figures: { ...said.figures, what: placeWords(what, language) } };
}

function placeWords(what: string, language: Language): string {
  const [kind = "", ...name] = what.split(" ");
  return [named(places, kind, language), ...name].join(" ");
}

function Step({ check }: { check: Check }) {
  const ui = useUi();
  const { t, language } = ui;
  const words = (said: Check["found_said"], inEnglish: string) =>
    chineseWords(
      said.map((one) => placed(one, language)),
      inEnglish,
      doctorZh,
      ui,
    );
  const outcome = OUTCOMES[check.status];
  return (
    <li data-testid="doctor-step" data-check={check.id} data-status={check.status} data-code={check.code}>
      <div class="step-head">
        <Lamp colour={COLOURS[check.status]}>{outcome === undefined ? check.status : t(outcome.text)}</Lamp>
        <strong>{named(CHECKS, check.id, language)}</strong>
        {check.subject !== null && (
          <span class="tag">{check.id === "machine.place" ? placeWords(check.subject, language) : check.subject}</span>
        )}
        <code class="quiet">{check.id}</code>
      </div>
      <dl class="step-facts">
        <dt>{t("doctor.looked_at")}</dt>
        <dd>{words(check.looked_said, check.looked)}</dd>
        <dt>{t("doctor.found")}</dt>
        <dd>
          <Coded text={words(check.found_said, check.found)} />
        </dd>
        {check.fix !== null && (
          <>
            <dt>{t("doctor.fix")}</dt>
            <dd>
              <Coded text={words(check.fix_said, check.fix)} />
            </dd>
          </>
        )}
        {check.repair !== null && (
          <>
            <dt>{t("doctor.repair")}</dt>
            <dd class="command">
              <code>{check.repair}</code>
              <CopyButton text={check.repair} />
            </dd>
          </>
        )}
      </dl>
    </li>
  );
}
