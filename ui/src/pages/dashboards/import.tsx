// Takes dashboards over from a file: Kibana's saved objects, or one of ours. What it would become is shown before it is kept.

import { useState } from "preact/hooks";
import { ApiError } from "../../api/base";
import { type Dashboard, type Imported, importDashboards, type KeptDashboard, keepDashboard } from "../../api/dashboards";
import type { TextKey } from "../../i18n/en";
import { useUi } from "../../ui/context";
import { Dialog } from "../../ui/dialog";
import { ErrorNotice } from "../../ui/notice";

const FATES: Record<string, TextKey> = {
  taken: "dashboards.fate_taken",
  changed: "dashboards.fate_changed",
  "not taken": "dashboards.fate_not_taken",
};

/** Other names that are tried when one is taken. */
const NAMES_TRIED_MAX = 9;

export function ImportDialog({ close, kept }: { close: () => void; kept: (dashboard: KeptDashboard) => void }) {
  const { t } = useUi();
  const [read, setRead] = useState<Imported | null>(null);
  const [failed, setFailed] = useState<Error | null>(null);

  const attempt = async (action: () => Promise<void>) => {
    setFailed(null);
    try {
      await action();
    } catch (cause) {
      setFailed(cause instanceof Error ? cause : new Error(String(cause)));
    }
  };
  const look = (file: File | undefined) =>
    void attempt(async () => {
      setRead(null);
      if (file !== undefined) setRead(await importDashboards(file));
    });
  const keep = () =>
    void attempt(async () => {
      let last: KeptDashboard | null = null;
      for (const dashboard of read?.dashboards ?? []) last = await keepUnderSomeName(dashboard);
      close();
      if (last !== null) kept(last);
    });

  return (
    <Dialog name="import-dialog" title={t("dashboards.import")} close={close}>
      <p class="quiet">{t("dashboards.import_text")}</p>
      <input
        type="file"
        accept=".ndjson,.json"
        data-testid="import-file"
        aria-label={t("dashboards.import_file")}
        onChange={(event) => look(event.currentTarget.files?.[0])}
      />
      {failed !== null && <ErrorNotice error={failed} />}
      {read !== null && (
        <>
          <ul class="import-found" data-testid="import-found">
            {read.dashboards.map((dashboard) => (
              <li key={dashboard.name}>
                <strong>{dashboard.name}</strong>
                <span class="quiet">{t("dashboards.panels", { count: dashboard.panels.length })}</span>
              </li>
            ))}
          </ul>
          {read.notes.length > 0 && (
            <div class="table-scroll import-notes" tabIndex={0} role="group" aria-label={t("dashboards.import")}>
              <table class="rows">
                <tbody>
                  {read.notes.map((note) => (
                    <tr key={note.line} data-testid="import-note" data-fate={note.fate}>
                      <td class="number">{note.line}</td>
                      <td>
                        {note.kind} {note.name}
                      </td>
                      <td>
                        {t(FATES[note.fate] ?? "dashboards.fate_not_taken")}: {note.text}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
          <div class="dialog-actions">
            <button type="button" class="button" onClick={close}>
              {t("common.cancel")}
            </button>
            <button
              type="button"
              class="button primary"
              data-testid="import-keep"
              disabled={read.dashboards.length === 0}
              onClick={keep}
            >
              {t("dashboards.import_keep")}
            </button>
          </div>
        </>
      )}
    </Dialog>
  );
}

async function keepUnderSomeName(dashboard: Dashboard): Promise<KeptDashboard> {
  for (let number = 1; ; number++) {
    const name = number === 1 ? dashboard.name : `${dashboard.name.slice(0, 190)} (${number})`;
    try {
      return await keepDashboard({ ...dashboard, name });
    } catch (error) {
      const isTaken = error instanceof ApiError && error.status === 409;
      if (!isTaken || number > NAMES_TRIED_MAX) throw error;
    }
  }
}
