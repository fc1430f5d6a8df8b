// The keys that work everywhere and on some pages.

import { useUi } from "./context";
import { Dialog } from "./dialog";

export function HelpDialog({ close }: { close: () => void }) {
  const { t } = useUi();
  const rows: [string[], string][] = [
    [["/"], t("help.search")],
    [["?"], t("help.help")],
    [["g", "o"], t("nav.overview")],
    [["g", "d"], t("nav.discover")],
    [["g", "b"], t("nav.dashboards")],
    [["g", "e"], t("nav.efficiency")],
    [["g", "a"], t("nav.alerts")],
    [["g", "p"], t("nav.probes")],
    [["g", "s"], t("nav.sources")],
    [["g", "k"], t("nav.keys")],
    [["g", "c"], t("nav.chat")],
    [["j"], t("help.next")],
    [["k"], t("help.previous")],
    [["Alt", "N"], t("chat.new")],
    [["Esc"], t("help.escape")],
  ];
  return (
    <Dialog name="help-dialog" title={t("help.title")} close={close}>
      <dl class="keys-list">
        {rows.map(([keys, words]) => (
          <div key={keys.join("")}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{words}</dd>
          </div>
        ))}
      </dl>
      <p class="quiet">{t("help.drag")}</p>
    </Dialog>
  );
}
