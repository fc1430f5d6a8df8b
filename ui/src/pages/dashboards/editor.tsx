// What a panel asks and how it shows it.

import { useState } from "preact/hooks";
import { MEASURES, type Measure, type Panel, type View, VIEWS } from "../../api/dashboards";
import { fields as loadFields } from "../../api/discover";
import type { Saved } from "../../api/saved";
import type { TextKey } from "../../i18n/en";
import { useQuery } from "../../lib/use-query";
import { useUi } from "../../ui/context";
import { Dialog } from "../../ui/dialog";
import { MEASURE_TEXTS } from "./words";

interface Props {
  panel: Panel;
  saved: Saved[];
  done: (panel: Panel) => void;
  close: () => void;
}

const VIEW_TEXTS: Record<View, TextKey> = {
  area: "dashboards.view_area",
  line: "dashboards.view_line",
  bars: "dashboards.view_bars",
  table: "dashboards.view_table",
  heat: "dashboards.view_heat",
  number: "dashboards.view_number",
  searches: "dashboards.view_searches",
};

export function PanelEditor({ panel, saved, done, close }: Props) {
  const { t } = useUi();
  const [draft, setDraft] = useState(panel);
  const [columns, setColumns] = useState(panel.columns.join(", "));
  const known = useQuery("fields", loadFields);
  const set = (changes: Partial<Panel>) => setDraft({ ...draft, ...changes });
  const { view } = draft;
  const isCurve = view === "area" || view === "line" || view === "bars";
  const asks = view !== "searches";
  const ready =
    draft.title.trim() !== "" &&
    (draft.measure === "count" || draft.field.trim() !== "") &&
    (view !== "heat" || (draft.by.trim() !== "" && draft.across.trim() !== ""));

  const submit = (event: Event) => {
    event.preventDefault();
    const names = columns.split(",").map((name) => name.trim());
    done({ ...draft, title: draft.title.trim(), columns: names.filter((name) => name !== "") });
  };
  const fieldInput = (name: "field" | "by" | "across", text: TextKey) => (
    <label>
      <span>{t(text)}</span>
      <input
        type="text"
        list="panel-fields"
        data-testid={`panel-${name}`}
        maxLength={200}
        value={draft[name]}
        onInput={(event) => set({ [name]: event.currentTarget.value.trim() })}
      />
    </label>
  );

  return (
    <Dialog name="panel-dialog" title={t("dashboards.panel")} close={close}>
      <form class="panel-form" onSubmit={submit}>
        <label>
          <span>{t("dashboards.panel_title")}</span>
          <input
            type="text"
            data-testid="panel-title"
            maxLength={200}
            value={draft.title}
            onInput={(event) => set({ title: event.currentTarget.value })}
          />
        </label>
        <label>
          <span>{t("dashboards.view")}</span>
          <select data-testid="panel-view" value={view} onChange={(event) => set({ view: event.currentTarget.value as View })}>
            {VIEWS.map((one) => (
              <option key={one} value={one}>
                {t(VIEW_TEXTS[one])}
              </option>
            ))}
          </select>
        </label>
        {asks && (
          <>
            <label class="wide-label">
              <span>{t("dashboards.source")}</span>
              <select
                data-testid="panel-saved"
                value={draft.saved}
                onChange={(event) => set({ saved: event.currentTarget.value })}
              >
                <option value="">{t("dashboards.source_own")}</option>
                {saved.map((one) => (
                  <option key={one.id} value={one.id}>
                    {one.name}
                  </option>
                ))}
              </select>
            </label>
            {draft.saved === "" && (
              <>
                <label class="wide-label">
                  <span>{t("dashboards.query")}</span>
                  <input
                    type="text"
                    data-testid="panel-query"
                    spellcheck={false}
                    value={draft.query}
                    onInput={(event) => set({ query: event.currentTarget.value })}
                  />
                </label>
                <label>
                  <span>{t("dashboards.language")}</span>
                  <select
                    data-testid="panel-language"
                    value={draft.language}
                    onChange={(event) => set({ language: event.currentTarget.value === "kql" ? "kql" : "lucene" })}
                  >
                    <option value="lucene">Lucene</option>
                    <option value="kql">KQL</option>
                  </select>
                </label>
                <label>
                  <span>{t("dashboards.scope")}</span>
                  <input
                    type="text"
                    data-testid="panel-scope"
                    maxLength={100}
                    placeholder={t("scope.all")}
                    value={draft.scope}
                    onInput={(event) => set({ scope: event.currentTarget.value.trim() })}
                  />
                </label>
              </>
            )}
            {(view !== "table" || draft.by !== "") && (
              <label>
                <span>{t("dashboards.measure")}</span>
                <select
                  data-testid="panel-measure"
                  value={draft.measure}
                  onChange={(event) => set({ measure: event.currentTarget.value as Measure })}
                >
                  {MEASURES.map((one) => (
                    <option key={one} value={one}>
                      {t(MEASURE_TEXTS[one])}
                    </option>
                  ))}
                </select>
              </label>
            )}
            {draft.measure !== "count" && fieldInput("field", "dashboards.field")}
            {view !== "number" && fieldInput("by", view === "heat" ? "dashboards.rows" : "dashboards.by")}
            {view === "heat" && fieldInput("across", "dashboards.across")}
            {isCurve && (
              <label>
                <span>{t("dashboards.interval")}</span>
                <input
                  type="number"
                  data-testid="panel-interval"
                  min={0}
                  max={2_592_000}
                  value={draft.interval_s}
                  onInput={(event) => set({ interval_s: Math.max(0, Math.round(event.currentTarget.valueAsNumber || 0)) })}
                />
              </label>
            )}
            {isCurve && draft.by === "" && (
              <label class="check-label">
                <input
                  type="checkbox"
                  data-testid="panel-peaks"
                  checked={draft.peaks}
                  onChange={(event) => set({ peaks: event.currentTarget.checked })}
                />
                <span>{t("dashboards.peaks")}</span>
              </label>
            )}
            {view === "table" && draft.by === "" && (
              <>
                <label class="wide-label">
                  <span>{t("dashboards.columns")}</span>
                  <input
                    type="text"
                    data-testid="panel-columns"
                    value={columns}
                    onInput={(event) => setColumns(event.currentTarget.value)}
                  />
                </label>
                <label>
                  <span>{t("dashboards.sort")}</span>
                  <input
                    type="text"
                    data-testid="panel-sort"
                    placeholder="duration_ms:desc"
                    value={draft.sort}
                    onInput={(event) => set({ sort: event.currentTarget.value.trim() })}
                  />
                </label>
              </>
            )}
          </>
        )}
        <datalist id="panel-fields">
          {(known.data ?? []).map(({ name }) => (
            <option key={name} value={name} />
          ))}
        </datalist>
        <div class="dialog-actions wide-label">
          <button type="button" class="button" onClick={close}>
            {t("common.cancel")}
          </button>
          <button type="submit" class="button primary" data-testid="panel-done" disabled={!ready}>
            {t("dashboards.panel_done")}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
