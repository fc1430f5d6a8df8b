// What a rule measures, in the language of the page; the server says it in the words of the configuration.

import type { Translate } from "../ui/context";

/** What is measured, in the language of the page; the server says it in English. */
export function measuredWords(measured: string, t: Translate): string {
  if (measured === "records") return t("alerts.measure_records");
  const budget = /^budget for (.+)$/.exec(measured);
  if (budget !== null) return t("alerts.measure_budget", { query: budget[1] ?? "" });
  if (measured === "time without a record") return t("alerts.measure_absence");
  const newest = /^newest record with (.+)$/.exec(measured);
  if (newest !== null) return t("alerts.measure_latest", { query: newest[1] ?? "" });
  const of = /^(sum|average) of (.+)$/.exec(measured);
  if (of !== null) return t(of[1] === "sum" ? "alerts.measure_sum" : "alerts.measure_average", { field: of[2] ?? "" });
  const percentile = /^([\d.]+)th percentile of (.+)$/.exec(measured);
  if (percentile !== null) return t("alerts.measure_percentile", { percent: percentile[1] ?? "", field: percentile[2] ?? "" });
  const share = /^share of (.+)$/.exec(measured);
  return share === null ? measured : t("alerts.measure_share", { query: share[1] ?? "" });
}
