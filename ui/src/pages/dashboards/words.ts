// What the measures of panels are called.

import type { Measure, Panel } from "../../api/dashboards";
import type { TextKey } from "../../i18n/en";
import type { Translate } from "../../ui/context";

export const MEASURE_TEXTS: Record<Measure, TextKey> = {
  count: "dashboards.count",
  avg: "dashboards.avg",
  sum: "dashboards.sum",
  min: "dashboards.min",
  max: "dashboards.max",
  p50: "dashboards.p50",
  p95: "dashboards.p95",
  p99: "dashboards.p99",
};

/** What a panel measures: `mean duration_ms`. */
export function measureWords({ measure, field }: Panel, t: Translate): string {
  const words = t(MEASURE_TEXTS[measure] ?? "dashboards.count");
  return measure === "count" ? words : `${words} ${field}`;
}
