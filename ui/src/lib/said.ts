// What the server says by codes and figures, in the language of the page.

import { type SaidCode, saidEn } from "../i18n/said-en";
import { saidZh } from "../i18n/said-zh";
import type { Schemas } from "../api/call";
import type { Ui } from "../ui/context";
import { measuredKind, measuredWords } from "./measured";
import { whoWords } from "./who";

export type Said = Schemas["Said"];

const isCode = (code: string): code is SaidCode => Object.hasOwn(saidEn, code);

/** One sentence of them all; what the server says itself where a code is not known here: it is newer than this page. */
export function saidWords(said: readonly Said[], inEnglish: string, ui: Ui): string {
  if (said.length === 0) return inEnglish;
  const words = ui.language === "zh" ? saidZh : saidEn;
  return told(said, (code) => (isCode(code) ? words[code] : undefined), ui) ?? inEnglish;
}

/** In English the server's own words; in Chinese by the codes of one catalogue, and by those that probes have, too. */
export function chineseWords(said: readonly Said[], inEnglish: string, chinese: Readonly<Record<string, string>>, ui: Ui): string {
  if (ui.language !== "zh" || said.length === 0) return inEnglish;
  const words = (code: string) => (Object.hasOwn(chinese, code) ? chinese[code] : isCode(code) ? saidZh[code] : undefined);
  return told(said, words, ui) ?? inEnglish;
}

/** All of them in one sentence; null where there are no words for one. */
function told(said: readonly Said[], words: (code: string) => string | undefined, ui: Ui): string | null {
  const all: string[] = [];
  for (const { code, figures } of said) {
    const text = words(code);
    if (text === undefined) return null;
    const plainer = plainerText(code, figures, ui) ?? text;
    all.push(plainer.replace(/\{(\w+)\}/g, (whole, name: string) => figure(name, figures[name], ui) ?? whole));
  }
  return all.reduce((sentence, one) => sentence + joint(sentence, one, ui) + one);
}

/** What an incident's line is where the general one would only name what is measured, in the words of the configuration. */
function plainerText(code: string, { measured }: Said["figures"], { t }: Ui): string | undefined {
  if (typeof measured !== "string") return undefined;
  const kind = measuredKind(measured);
  if (code === "fires") return kind === "records" ? t("alerts.fires_records") : undefined;
  if (code !== "fires_many") return undefined;
  if (kind === "budget") return t("alerts.fires_budgets");
  return kind === "records" || kind === "newest" ? t("alerts.fires_groups") : undefined;
}

function joint(before: string, after: string, { language }: Ui): string {
  if (language === "zh") return before.endsWith("：") || after.startsWith("（") ? "" : "，";
  return before.endsWith(":") || after.startsWith("(") ? " " : ", ";
}

/** What a figure is shows in the end of its name. */
function figure(name: string, value: unknown, { format, t }: Ui): string | null {
  if (typeof value === "string") return name === "measured" ? measuredWords(value, t) : name === "by" ? whoWords(value, t) : value;
  if (typeof value !== "number") return null;
  // Of a budget that is overdrawn nothing is left.
  if (name === "left_percent") return format.percent(Math.max(0, value) / 100);
  if (name.endsWith("_percent")) return format.percent(value / 100);
  if (name.endsWith("_bytes")) return format.bytes(value);
  if (name.endsWith("_ms")) return format.duration(Math.abs(value));
  if (name.endsWith("_s")) return format.width(value * 1000);
  // Numbers of processes and ports, and statuses, are names.
  return NAMES.has(name) ? String(value) : format.number(value);
}

const NAMES = new Set(["pid", "before", "port", "status", "wanted", "context", "from_hour", "to_hour"]);

/** What records carry of it; nothing in records from before they did. */
export function readSaid(value: unknown): Said[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((one: unknown) => {
    if (typeof one !== "object" || one === null || !("code" in one) || typeof one.code !== "string") return [];
    const figures = "figures" in one && typeof one.figures === "object" && one.figures !== null ? one.figures : {};
    return [{ code: one.code, figures: { ...figures } }];
  });
}
