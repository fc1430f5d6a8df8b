// The traffic light: three layers, each standing on the one before it, and the machine below them (scenario R09).

import type { LayerLight, Light } from "../../api/probes";
import { saidWords } from "../../lib/said";
import { useUi } from "../../ui/context";
import { Lamp } from "../../ui/lamp";
import { Barrier, type BarrierState } from "../../ui/mark";
import { COLOURS, LAYERS } from "./words";

const BARRIERS: Record<Light["colour"], BarrierState> = { green: "ok", yellow: "warn", red: "fault", grey: "unknown" };

export function Layers({ light }: { light: Light }) {
  const ui = useUi();
  const { t } = ui;
  return (
    <section
      class="area-layers"
      aria-label={t("probes.light")}
      data-testid="light"
      data-colour={light.colour}
      data-layer={light.layer ?? ""}
    >
      <div class={`light state-${BARRIERS[light.colour]}`} aria-live="polite">
        <Barrier state={BARRIERS[light.colour]} />
        <div class="state-words">
          <strong>
            {light.layer === null
              ? t(COLOURS[light.colour])
              : t("probes.light_layer", { colour: t(COLOURS[light.colour]), layer: t(LAYERS[light.layer]) })}
          </strong>
          <span class="state-reason">{saidWords(light.said, light.reason, ui)}</span>
        </div>
      </div>
      <div class="layers">
        {light.layers.map((layer) => (
          <LayerCard key={layer.layer} layer={layer} />
        ))}
      </div>
    </section>
  );
}

function LayerCard({ layer }: { layer: LayerLight }) {
  const ui = useUi();
  const { t, format } = ui;
  return (
    <div class={`layer lamp-${layer.colour}`} data-testid="layer" data-layer={layer.layer} data-colour={layer.colour}>
      <div class="layer-head">
        <h2>{t(LAYERS[layer.layer])}</h2>
        <Lamp colour={layer.colour}>{t(COLOURS[layer.colour])}</Lamp>
      </div>
      <p class="layer-reason">{saidWords(layer.said, layer.reason, ui)}</p>
      <p class="layer-note">
        {t("probes.count", { count: layer.probes })}
        {layer.since !== null && ` · ${t("probes.since", { time: format.moment(Date.parse(layer.since)) })}`}
      </p>
    </div>
  );
}
