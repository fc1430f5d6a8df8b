// What is wrong with a text that somebody writes: in English the server's own words, in Chinese by its codes.

import type { Schemas } from "../api/call";
import { faultsZh, faultWordsZh } from "../i18n/faults-zh";
import type { Language } from "./format";

export type Fault = Schemas["Fault"];
type Said = Schemas["Said"];

export interface FaultWords {
  message: string;
  expected: string | null;
  hint: string | null;
  /** Whether a part of it is in English whatever the page's language is. */
  isEnglish: boolean;
}

export function faultWords(fault: Pick<Fault, "message" | "expected" | "hint" | "said">, language: Language): FaultWords {
  const { message, expected, hint, said } = fault;
  if (language !== "zh") return { message, expected, hint, isEnglish: false };
  if (said === null) return { message, expected, hint, isEnglish: true };
  const what = inChinese(said.what);
  const [wanted, advice] = [inChinese(said.expected), inChinese(said.hint)];
  return {
    message: what === null ? message : said.path === null ? what : `${said.path === "" ? "文件" : `\`${said.path}\``}：${what}`,
    expected: wanted ?? expected,
    hint: advice ?? hint,
    isEnglish: what === null || (wanted === null && expected !== null) || (advice === null && hint !== null),
  };
}

/** The words for a code; null where there are none. */
function inChinese(said: Said | null): string | null {
  if (said === null) return null;
  const { code, figures } = said;
  if (code === "words") return wordsOf(figures["words"]);
  if (code === "filled") {
    const gaps = Array.isArray(figures["gaps"]) ? figures["gaps"].map((gap) => wordsOf(gap) ?? String(gap)) : [];
    let next = 0;
    return wordsOf(figures["words"])?.replace(/\{\}/g, (whole) => gaps[next++] ?? whole) ?? null;
  }
  const text = Object.hasOwn(faultsZh, code) ? faultsZh[code] : undefined;
  if (text === undefined) return null;
  return text.replace(/\{([a-z]+)\}/g, (whole, name: string) => {
    const value = Object.hasOwn(figures, name) ? figures[name] : undefined;
    if (value === undefined) return whole;
    if (isSaid(value)) return inChinese(value) ?? whole;
    return (WORDS.has(name) ? wordsOf(value) : null) ?? String(value);
  });
}

const isSaid = (value: unknown): value is Said =>
  typeof value === "object" && value !== null && "code" in value && typeof value.code === "string" && "figures" in value;

/** Figures that are words of the server themselves. */
const WORDS = new Set(["words", "expected", "example"]);

/** Words of the server that stand in its sources; single words and examples are the same in all languages. */
function wordsOf(words: unknown): string | null {
  if (typeof words !== "string") return null;
  if (Object.hasOwn(faultWordsZh, words)) return faultWordsZh[words] ?? null;
  return /^[{[>]|^\S+$/.test(words) ? words : null;
}
