// The barrier at the top of the overview: open, look here, or closed, and why.

import type { Status, Upstream } from "../../api/status";
import type { Loaded } from "../../lib/use-query";
import { useUi } from "../../ui/context";
import { Barrier, type BarrierState } from "../../ui/mark";

/** The index is always a little behind the journal; fewer records than this are not worth a word. */
const LAG_WORTH_TELLING = 100;

export function StateStrip({ status, demo }: { status: Loaded<Status>; demo: boolean }) {
  const { t, format } = useUi();
  const { data, error } = status;
  const state: BarrierState = error !== null ? "unknown" : (data?.status ?? "unknown");
  const words = { ok: t("state.ok"), warn: t("state.warn"), fault: t("state.fault"), unknown: t("state.unknown") };
  const waiting = data === null && error === null;
  const reason = error !== null ? t("common.unreachable") : data?.status === "ok" ? t("state.ok_reason") : data?.reason;
  const lag = data === null ? 0 : data.journal.seq - data.index.seq;

  return (
    <section
      class={`state state-${waiting ? "waiting" : state}`}
      data-testid="state-strip"
      data-state={state}
      aria-live="polite"
    >
      <Barrier state={state} />
      <div class="state-words">
        <strong>{waiting ? t("common.loading") : words[state]}</strong>
        {!waiting && <span class="state-reason">{reason}</span>}
      </div>
      {data !== null && (
        <ul class="state-facts">
          {demo && <li class="badge">{t("nav.demo")}</li>}
          {data.upstreams.map((upstream) => (
            <UpstreamFact key={upstream.name} upstream={upstream} />
          ))}
          <li class={lag > LAG_WORTH_TELLING ? "fact-warn" : undefined}>
            {lag > LAG_WORTH_TELLING ? t("state.index_behind", { count: format.count(lag) }) : t("state.index_fresh")}
          </li>
          <li>{t("state.uptime", { time: format.duration(data.uptime_s * 1000) })}</li>
        </ul>
      )}
    </section>
  );
}

function UpstreamFact({ upstream }: { upstream: Upstream }) {
  const { t } = useUi();
  const words = {
    closed: t("state.upstream_closed"),
    open: t("state.upstream_open"),
    half_open: t("state.upstream_half_open"),
  };
  const known = words[upstream.breaker] ?? upstream.breaker;
  return (
    <li title={upstream.reason ?? known}>
      <span class={`dot dot-${upstream.breaker}`} aria-hidden="true" />
      {upstream.name} <span class="quiet">{known}</span>
    </li>
  );
}
