// Settings: what is in force and where it comes from, the file's text with a change of it, and the changes before.

import { useState } from "preact/hooks";
import { type Revision, type Settings, settings as loadSettings } from "../../api/settings";
import type { TextKey } from "../../i18n/en";
import { address, changed, go } from "../../lib/route";
import { useQuery } from "../../lib/use-query";
import { useUi } from "../../ui/context";
import { ErrorNotice, Skeleton } from "../../ui/notice";
import { Editor } from "./editor";
import { History } from "./history";
import { Values } from "./values";

const TABS = ["values", "file", "history"] as const;
type Tab = (typeof TABS)[number];

const TAB_TEXTS: Record<Tab, TextKey> = {
  values: "settings.values",
  file: "settings.file",
  history: "settings.history",
};

/** A text that is not the file's yet. */
export interface Draft {
  text: string;
  /** The change that it undoes. */
  undoes: Revision | null;
}

export default function SettingsPage({ params }: { params: URLSearchParams }) {
  const { t } = useUi();
  const { data, error, reload } = useQuery<Settings>("settings", loadSettings);
  // Here, so that looking something up in another part does not lose it.
  const [draft, setDraft] = useState<Draft | null>(null);
  const tab = TABS.find((one) => one === params.get("tab")) ?? "values";
  const open = (next: Tab) => go(address("settings", changed(params, { tab: next === "values" ? null : next })));
  const undo = (revision: Revision, text: string) => {
    setDraft({ text, undoes: revision });
    open("file");
  };
  return (
    <main class="settings" data-testid="settings-page">
      <div class="toolbar">
        <h1 class="page-title">{t("nav.settings")}</h1>
        <div class="segments" role="group" aria-label={t("settings.tabs")}>
          {TABS.map((one) => (
            <button
              key={one}
              type="button"
              data-testid={`settings-${one}`}
              aria-pressed={one === tab}
              onClick={() => open(one)}
            >
              {t(TAB_TEXTS[one])}
            </button>
          ))}
        </div>
        {data?.file != null && <code class="settings-path">{data.file}</code>}
      </div>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {data === null && error === null && <Skeleton lines={12} />}
      {data !== null && data.pending.length > 0 && (
        <p class="notice" role="status" data-testid="settings-pending">
          {t("settings.pending", { paths: data.pending.join(", ") })}
        </p>
      )}
      {data !== null && tab === "values" && <Values values={data.settings} params={params} />}
      {data !== null && tab === "file" && <Editor settings={data} draft={draft} setDraft={setDraft} reload={reload} />}
      {tab === "history" && <History params={params} undo={undo} />}
    </main>
  );
}
