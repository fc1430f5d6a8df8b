// What every component may ask for: texts and formats of the chosen language, and the theme in force.

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { en, type TextKey } from "../i18n/en";
import { zh } from "../i18n/zh";
import { type Format, formatFor, type Language, type Zone } from "../lib/format";

export type Theme = "auto" | "light" | "dark";

export type Translate = (key: TextKey, values?: Record<string, string | number>) => string;

export interface Ui {
  language: Language;
  theme: Theme;
  zone: Zone;
  t: Translate;
  format: Format;
}

export function uiFor(language: Language, theme: Theme, zone: Zone): Ui {
  const texts: Record<TextKey, string> = language === "zh" ? zh : en;
  const t: Translate = (key, values) =>
    values === undefined
      ? texts[key]
      : texts[key].replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
  return { language, theme, zone, t, format: formatFor(language, zone) };
}

export const UiContext = createContext<Ui>(uiFor("en", "auto", "local"));

export function useUi(): Ui {
  return useContext(UiContext);
}
