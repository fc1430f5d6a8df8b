// Words for rules and incidents that several parts of the page say.

import type { Incident, Origin, Rule } from "../../api/alerts";
import type { TextKey } from "../../i18n/en";
import { type Changes, placeOf } from "../../lib/route";
import type { Translate } from "../../ui/context";
import type { LampColour } from "../../ui/lamp";

export const STATES: Record<string, { text: TextKey; colour: LampColour }> = {
  calm: { text: "alerts.calm", colour: "green" },
  pending: { text: "alerts.pending", colour: "yellow" },
  firing: { text: "alerts.firing", colour: "red" },
  held: { text: "alerts.held", colour: "grey" },
  failing: { text: "alerts.failing", colour: "yellow" },
  off: { text: "alerts.off", colour: "grey" },
};

export const ORIGINS: Record<Origin, TextKey> = {
  "built-in": "alerts.built_in",
  file: "alerts.from_file",
  console: "alerts.from_console",
};

export const SEVERITIES: Record<string, { text: TextKey; tag: string }> = {
  info: { text: "alerts.info", tag: "tag" },
  warning: { text: "alerts.warning", tag: "tag tag-warn" },
  critical: { text: "alerts.critical", tag: "tag tag-fault" },
};

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

/** `records >= 5 within 5m, by model_name`. */
export function whenWords(rule: Rule, t: Translate): string {
  if (rule.objective !== null) {
    const { goal, over, bad } = rule.objective;
    const when = t("alerts.when_objective", { goal, over, bad });
    return rule.group_by === null ? when : t("alerts.when_by", { when, field: rule.group_by });
  }
  const measured = measuredWords(rule.measured, t);
  const values = { measured, limit: rule.limit, within: rule.within };
  const when =
    rule.baseline === null ? t("alerts.when", values) : t("alerts.when_baseline", { ...values, baseline: rule.baseline });
  return rule.group_by === null ? when : t("alerts.when_by", { when, field: rule.group_by });
}

/** The address of an incident's records inside this console; the query of its rule when its own link leads elsewhere. */
export function recordsOf(incident: Incident, rule: Rule | undefined): Changes | null {
  if (incident.link !== null && URL.canParse(incident.link)) {
    const place = placeOf(new URL(incident.link));
    if (place.page === "discover") return Object.fromEntries(place.params);
  }
  if (rule === undefined) return null;
  const end = incident.ended ?? new Date().toISOString();
  return { kind: "all", q: rule.query, from: incident.began, to: end };
}
