// What a rule measures, in the language of the page; the server says it in the words of the configuration.

import type { Translate } from "../ui/context";

const NEWEST = /^newest record with (.+)$/;
const SHARE = /^share of (.+)$/;
const BUDGET = /^budget for (.+)$/;
const ABSENCE = "time without a record";

/** How what is measured is limited: a number of records and of most fields is plain, others have a unit. */
export type MeasuredKind = "records" | "newest" | "share" | "budget" | "absence" | "field";

export function measuredKind(measured: string): MeasuredKind {
  if (measured === "records") return "records";
  if (measured === ABSENCE) return "absence";
  if (NEWEST.test(measured)) return "newest";
  if (SHARE.test(measured)) return "share";
  return BUDGET.test(measured) ? "budget" : "field";
}

/** The query that a newest record is looked at with; "" where nothing of the kind is measured. */
export const newestQuery = (measured: string): string => NEWEST.exec(measured)?.[1] ?? "";

/** What is measured, in the language of the page; the server says it in English. */
export function measuredWords(measured: string, t: Translate): string {
  if (measured === "records") return t("alerts.measure_records");
  const budget = BUDGET.exec(measured);
  if (budget !== null) return t("alerts.measure_budget", { query: budget[1] ?? "" });
  if (measured === ABSENCE) return t("alerts.measure_absence");
  const newest = NEWEST.exec(measured);
  if (newest !== null) return t("alerts.measure_latest", { query: newest[1] ?? "" });
  const of = /^(sum|average) of (.+)$/.exec(measured);
  if (of !== null) return t(of[1] === "sum" ? "alerts.measure_sum" : "alerts.measure_average", { field: of[2] ?? "" });
  const percentile = /^([\d.]+)th percentile of (.+)$/.exec(measured);
  if (percentile !== null) return t("alerts.measure_percentile", { percent: percentile[1] ?? "", field: percentile[2] ?? "" });
  const share = SHARE.exec(measured);
  return share === null ? measured : t("alerts.measure_share", { query: share[1] ?? "" });
}
