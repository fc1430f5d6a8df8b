// Doctor: what is wrong with this installation and how it is mended, its defence in four layers, and what the records advise.

import type { Session } from "../../api/session";
import { mayOperate } from "../../lib/rights";
import { address, changed, go } from "../../lib/route";
import type { TextKey } from "../../i18n/en";
import { useUi } from "../../ui/context";
import { Empty } from "../../ui/notice";
import { AdvicePart } from "./advice";
import { ExaminationPart } from "./examination";

const PARTS = { chart: "doctor.chart", security: "doctor.security", advice: "doctor.advice" } satisfies Record<string, TextKey>;
type Part = keyof typeof PARTS;
const ORDER: Part[] = ["chart", "security", "advice"];

interface Props {
  params: URLSearchParams;
  session: Session;
}

export default function DoctorPage({ params, session }: Props) {
  const { t } = useUi();
  const part = ORDER.find((one) => one === params.get("part")) ?? "chart";
  return (
    <main class="doctor" data-testid="doctor-page">
      <div class="toolbar">
        <h1 class="page-title">{t("nav.doctor")}</h1>
        <div class="segments" role="group" aria-label={t("doctor.parts")}>
          {ORDER.map((one) => (
            <button
              key={one}
              type="button"
              data-testid={`doctor-${one}`}
              aria-pressed={one === part}
              onClick={() => go(address("doctor", changed(params, { part: one === "chart" ? null : one })))}
            >
              {t(PARTS[one])}
            </button>
          ))}
        </div>
      </div>
      {!mayOperate(session.role) ? (
        <Empty title={t("doctor.may_not")} />
      ) : part === "advice" ? (
        <AdvicePart session={session} />
      ) : (
        <ExaminationPart key={part} security={part === "security"} />
      )}
    </main>
  );
}
