// The switches for language and theme.

import type { Language } from "../lib/format";
import { type Theme, useUi } from "./context";
import { Icon } from "./icon";

export interface Choices {
  setLanguage: (language: Language) => void;
  setTheme: (theme: Theme) => void;
}

const NEXT_THEME: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };

export function Tools({ setLanguage, setTheme }: Choices) {
  const { t, language, theme } = useUi();
  const themeWords = { auto: t("nav.theme_auto"), light: t("nav.theme_light"), dark: t("nav.theme_dark") }[theme];
  const other = language === "en" ? "zh" : "en";
  const shown = other === "zh" ? "中文" : "EN";
  return (
    <>
      <button
        type="button"
        class="icon-button language"
        data-testid="lang-switch"
        data-language={language}
        aria-label={`${shown}: ${t("nav.language")}`}
        title={t("nav.language")}
        onClick={() => setLanguage(other)}
      >
        <span lang={other === "zh" ? "zh-CN" : "en"}>{shown}</span>
      </button>
      <button
        type="button"
        class="icon-button"
        data-testid="theme-switch"
        data-theme={theme}
        aria-label={themeWords}
        title={themeWords}
        onClick={() => setTheme(NEXT_THEME[theme])}
      >
        <Icon name={theme === "auto" ? "auto" : theme === "light" ? "sun" : "moon"} />
      </button>
    </>
  );
}
