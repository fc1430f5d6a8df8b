// Every value in force, and who said it.

import { type Value } from "../../api/settings";
import { address, changed, go } from "../../lib/route";
import { useUi } from "../../ui/context";
import { InDiscover } from "../../ui/in-discover";

/** What was changed here, as it is recorded. */
export const SETTINGS_RECORDS = { kind: "audit", q: 'msg:"configuration changed"' };

interface Props {
  values: Value[];
  params: URLSearchParams;
}

export function Values({ values, params }: Props) {
  const { t } = useUi();
  const wanted = (params.get("find") ?? "").toLowerCase();
  const writtenOnly = params.get("written") === "on";
  const fits = (value: Value) =>
    (value.path.toLowerCase().includes(wanted) || value.value.toLowerCase().includes(wanted)) &&
    (!writtenOnly || value.from !== "default");
  const shown = values.filter(fits);
  const set = (name: string, value: string | null) => go(address("settings", changed(params, { [name]: value })), true);
  return (
    <section class="panel" aria-label={t("settings.values")}>
      <div class="settings-tools">
        <input
          type="search"
          data-testid="settings-find"
          aria-label={t("settings.find")}
          placeholder={t("settings.find")}
          value={params.get("find") ?? ""}
          onInput={(event) => set("find", event.currentTarget.value)}
        />
        <label class="check">
          <input
            type="checkbox"
            data-testid="settings-written"
            checked={writtenOnly}
            onChange={(event) => set("written", event.currentTarget.checked ? "on" : null)}
          />
          {t("settings.written_only")}
        </label>
        <span class="quiet">{t("settings.count", { shown: shown.length, all: values.length })}</span>
        <InDiscover records={SETTINGS_RECORDS} />
      </div>
      {shown.length === 0 ? (
        <p class="quiet settings-none">{t("settings.none")}</p>
      ) : (
        <div class="table-scroll" tabIndex={0} role="group" aria-label={t("settings.values")}>
          <table class="rows settings-values">
            <thead>
              <tr>
                <th scope="col">{t("settings.key")}</th>
                <th scope="col">{t("settings.value")}</th>
                <th scope="col">{t("settings.origin")}</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((value) => (
                <tr key={value.path} data-testid="settings-value" data-path={value.path} data-from={value.from}>
                  <td>
                    <code>{value.path}</code>
                  </td>
                  <td>
                    <code>{value.value}</code>
                  </td>
                  <td>
                    <Origin value={value} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function Origin({ value }: { value: Value }) {
  const { t } = useUi();
  const line = value.line ?? 0;
  switch (value.from) {
    case "default":
      return <span class="quiet">{t("settings.from_default")}</span>;
    case "file":
      return <span class="tag">{t("settings.from_file", { line })}</span>;
    case "environment":
      return <span class="tag">{t("settings.from_environment", { line, variables: value.variables.join(", ") })}</span>;
  }
}
