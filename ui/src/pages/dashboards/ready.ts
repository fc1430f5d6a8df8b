// The dashboard that is there from the beginning: the tutorial's four views (scenarios B07 to B10).

import { type Dashboard, NEW_PANEL } from "../../api/dashboards";
import type { Translate } from "../../ui/context";

/** Its id in addresses; ids of kept ones are longer. */
export const READY = "gate";

export function readyDashboard(t: Translate): Dashboard {
  return {
    name: t("dashboards.ready"),
    from: "",
    to: "",
    panels: [
      { ...NEW_PANEL, title: t("dashboards.ready_rate"), view: "area", interval_s: 60, peaks: true },
      {
        ...NEW_PANEL,
        title: t("dashboards.ready_heat"),
        view: "heat",
        measure: "avg",
        field: "duration_ms",
        by: "http_status",
        across: "model_name",
      },
      {
        ...NEW_PANEL,
        title: t("dashboards.ready_efficiency"),
        view: "table",
        query: "token_efficiency:*",
        columns: ["@timestamp", "input_tokens", "output_tokens", "token_efficiency", "duration_ms"],
        sort: "token_efficiency:asc",
        width: 8,
        height: 5,
      },
      { ...NEW_PANEL, title: t("dashboards.ready_searches"), view: "searches", width: 4, height: 5 },
    ],
  };
}
