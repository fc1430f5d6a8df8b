// The barrier at the top of the overview: open, look here, or closed, and why.

import type { Colour, Light } from "../../api/probes";
import type { Status, Upstream } from "../../api/status";
import { address } from "../../lib/route";
import { readSaid, saidWords } from "../../lib/said";
import type { Loaded } from "../../lib/use-query";
import { useUi } from "../../ui/context";
import { Lamp } from "../../ui/lamp";
import { Link } from "../../ui/link";
import { Barrier, type BarrierState } from "../../ui/mark";
import { COLOURS, LAYERS } from "../probes/words";

/** The index is always a little behind the journal; fewer records than this are not worth a word. */
const LAG_WORTH_TELLING = 100;

interface Props {
  status: Loaded<Status>;
  /** How the three layers are; null while that is not known. */
  light: Light | null;
  demo: boolean;
}

export function StateStrip({ status, light, demo }: Props) {
  const ui = useUi();
  const { t, format } = ui;
  const { data, error } = status;
  const own: BarrierState = error !== null ? "unknown" : (data?.status ?? "unknown");
  const probed = light === null ? "ok" : PROBED[light.colour];
  const isProbed = own !== "unknown" && RANK[probed] > RANK[own];
  const state = isProbed ? probed : own;
  const words = { ok: t("state.ok"), warn: t("state.warn"), fault: t("state.fault"), unknown: t("state.unknown") };
  const waiting = data === null && error === null;
  const told = data === null ? "" : saidWords(readSaid(data.said), data.reason, ui);
  const reason = error !== null ? t("common.unreachable") : isProbed && light !== null ? saidWords(light.said, light.reason, ui) : told;
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
          {light !== null && light.layers.some(({ probes }) => probes > 0) && <LayerFacts light={light} />}
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

/** What the probes found counts as much as what the house knows of itself; not knowing is no fault. */
const PROBED: Record<Colour, "ok" | "warn" | "fault"> = { green: "ok", grey: "ok", yellow: "warn", red: "fault" };
const RANK: Record<BarrierState, number> = { ok: 0, unknown: 0, warn: 1, fault: 2 };

/** A lamp for each layer that is probed, and the way to its probes. */
function LayerFacts({ light }: { light: Light }) {
  const ui = useUi();
  const { t } = ui;
  return (
    <>
      {light.layers.map(({ layer, colour, reason, said, probes }) =>
        probes === 0 ? null : (
          <li key={layer} data-testid="state-layer" data-layer={layer} data-colour={colour}>
            <Link class="row-link" href={address("probes", {})} title={`${t(COLOURS[colour])}: ${saidWords(said, reason, ui)}`}>
              <Lamp colour={colour}>{t(LAYERS[layer])}</Lamp>
              <span class="visually-hidden"> {t(COLOURS[colour])}</span>
            </Link>
          </li>
        ),
      )}
    </>
  );
}

function UpstreamFact({ upstream }: { upstream: Upstream }) {
  const { t } = useUi();
  const words = {
    closed: t("state.upstream_closed"),
    open: t("state.upstream_open"),
    half_open: t("state.upstream_half_open"),
    held: t("state.upstream_held"),
  };
  const known = words[upstream.breaker];
  return (
    <li title={upstream.reason ?? known}>
      <span class={`dot dot-${upstream.breaker}`} aria-hidden="true" />
      {upstream.name} <span class="quiet">{known}</span>
    </li>
  );
}
