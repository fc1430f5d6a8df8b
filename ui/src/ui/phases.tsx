// The time of one request as bars, one phase below the other.

import type { Phase, PhaseName } from "../lib/phases";
import { useUi } from "./context";

export function usePhaseNames(): Record<PhaseName, string> {
  const { t } = useUi();
  return {
    gateway: t("phase.gateway"),
    queue: t("phase.queue"),
    connect: t("phase.connect"),
    server: t("phase.server"),
    load: t("phase.load"),
    prefill: t("phase.prefill"),
    wait: t("phase.wait"),
    decode: t("phase.decode"),
    rest: t("phase.rest"),
  };
}

export function Waterfall({ list, totalMs, ttftMs }: { list: Phase[]; totalMs: number; ttftMs: number | null }) {
  const { t, format } = useUi();
  const names = usePhaseNames();
  const percent = (ms: number) => `${totalMs > 0 ? (ms / totalMs) * 100 : 0}%`;
  const measured = list.some((phase) => phase.name !== "rest");
  const mark = ttftMs !== null && ttftMs <= totalMs ? ttftMs : null;
  return (
    <section class="phases" data-testid="request-phases">
      <h3>
        {t("record.phases")} <span class="phases-total">{format.duration(totalMs)}</span>
      </h3>
      {!measured && <p class="quiet">{t("record.no_phases")}</p>}
      {measured && (
        <ol>
          {list.map((phase) => (
            <li key={phase.name} data-phase={phase.name} data-ms={phase.durationMs}>
              <span class="phase-name">{names[phase.name]}</span>
              <span class="phase-track" aria-hidden="true">
                <span
                  class={`phase-bar phase-${phase.name}`}
                  style={{ "--start": percent(phase.startMs), "--length": percent(phase.durationMs) }}
                />
                {mark !== null && <span class="phase-mark" style={{ "--start": percent(mark) }} />}
              </span>
              <span class="phase-time">{format.duration(phase.durationMs)}</span>
            </li>
          ))}
        </ol>
      )}
      {measured && mark !== null && (
        <div class="phase-axis" aria-hidden="true">
          <span class="phase-track">
            <span
              class={mark > totalMs / 2 ? "phase-first phase-first-left" : "phase-first"}
              style={{ "--start": percent(mark) }}
            >
              {t("column.ttft")} {format.duration(mark)}
            </span>
          </span>
        </div>
      )}
    </section>
  );
}
