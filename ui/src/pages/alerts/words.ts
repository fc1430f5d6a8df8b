// Words for rules and incidents that several parts of the page say.

import type { Incident, Rule } from "../../api/alerts";
import type { TextKey } from "../../i18n/en";
import type { Format } from "../../lib/format";
import { measuredKind, measuredWords, newestQuery } from "../../lib/measured";
import { type Changes, placeOf } from "../../lib/route";
import { saidWords } from "../../lib/said";
import type { Translate, Ui } from "../../ui/context";
import type { LampColour } from "../../ui/lamp";

export const STATES: Record<string, { text: TextKey; colour: LampColour }> = {
  calm: { text: "alerts.calm", colour: "green" },
  pending: { text: "alerts.pending", colour: "yellow" },
  firing: { text: "alerts.firing", colour: "red" },
  held: { text: "alerts.held", colour: "grey" },
  failing: { text: "alerts.failing", colour: "yellow" },
  off: { text: "alerts.off", colour: "grey" },
};

const ORIGINS: Record<string, TextKey> = {
  "built-in": "alerts.built_in",
  file: "alerts.from_file",
  console: "alerts.from_console",
};

export const SEVERITIES: Record<string, { text: TextKey; tag: string }> = {
  info: { text: "alerts.info", tag: "tag" },
  warning: { text: "alerts.warning", tag: "tag tag-warn" },
  critical: { text: "alerts.critical", tag: "tag tag-fault" },
};

const SECOND_MS = 1_000;
const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: SECOND_MS, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** A time as the configuration writes it (`5m`), for people; one of several parts stays as it is. */
export function timeWords(time: string, format: Format): string {
  const [, count = "", unit = ""] = /^(\d+)(ms|s|m|h|d|w)$/.exec(time) ?? [];
  const unitMs = UNITS_MS[unit];
  return unitMs === undefined ? time : format.width(Number(count) * unitMs);
}

/** A limit as the configuration writes it (`>= 5`), with its unit. */
function limitWords(rule: Rule, format: Format): string {
  const [, comparison = "", value = ""] = /^(>=|<=|>|<|=) *(.*)$/.exec(rule.limit) ?? [];
  if (comparison === "") return rule.limit;
  const kind = rule.baseline === null ? measuredKind(rule.measured ?? "") : "field";
  const sign = comparison.replace(">=", "≥").replace("<=", "≤");
  const isNumber = value !== "" && Number.isFinite(Number(value));
  if (kind === "share" && isNumber) return `${sign} ${format.percent(Number(value) / 100)}`;
  if (kind === "absence" && isNumber) return `${sign} ${format.width(Number(value) * SECOND_MS)}`;
  return `${sign} ${value}`;
}

/** `records ≥ 5 within 5 min, by model_name`. */
export function whenWords(rule: Rule, t: Translate, format: Format): string {
  if (rule.objective !== null) {
    const { goal, over, bad } = rule.objective;
    const when = t("alerts.when_objective", { goal, over: timeWords(over, format), bad });
    return rule.group_by === null ? when : t("alerts.when_by", { when, field: rule.group_by });
  }
  const measured = measuredWords(rule.measured ?? "", t);
  const values = { measured, limit: limitWords(rule, format), within: timeWords(rule.within, format) };
  const newest = newestQuery(rule.measured ?? "");
  const when =
    rule.baseline !== null
      ? t("alerts.when_baseline", { ...values, baseline: timeWords(rule.baseline, format) })
      : newest === ""
        ? t("alerts.when", values)
        : t("alerts.when_newest", { query: newest, within: values.within });
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

/** The line of an incident. */
export const titleOf = (incident: Incident, ui: Ui): string => saidWords(incident.title_said, incident.title ?? incident.rule, ui);

const FIGURES: Record<string, string> = { limit: "figure_limit", within: "figure_within", "budget left": "figure_budget_left" };

/** What a figure of an incident is called. */
export function figureWords(name: string, ui: Ui): string {
  const code = Object.hasOwn(FIGURES, name) ? FIGURES[name] : undefined;
  return code === undefined ? measuredWords(name, ui.t) : saidWords([{ code, figures: {} }], name, ui);
}

/** Who says what a rule is. */
export function originWords(rule: Rule, t: Translate): string {
  const key = Object.hasOwn(ORIGINS, rule.origin) ? ORIGINS[rule.origin] : undefined;
  return key === undefined ? rule.origin : t(key);
}

/** A rule's value as it is shown; whether a newest record is so, is said in words. */
export function shownWords(shown: string, t: Translate): string {
  return shown === "yes" ? t("alerts.yes") : shown === "no" ? t("alerts.no") : shown;
}

/** The value beside a group that is an alert: that a newest record is so, its colour says already. */
export const valueWords = (shown: string | null, t: Translate): string => (shown === null || shown === "yes" ? "" : shownWords(shown, t));
