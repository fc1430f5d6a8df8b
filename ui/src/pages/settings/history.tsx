// What was changed here, by whom, and the way back.

import { revision as loadRevision, type FullRevision, type Revision, revisions as loadRevisions } from "../../api/settings";
import { address, changed, go } from "../../lib/route";
import { useQuery } from "../../lib/use-query";
import { useUi } from "../../ui/context";
import { Empty, ErrorNotice, Skeleton } from "../../ui/notice";
import { Panel } from "../../ui/panel";
import { Diff } from "./diff";
import { SETTINGS_RECORDS } from "./values";

interface Props {
  params: URLSearchParams;
  undo: (revision: Revision, text: string) => void;
}

export function History({ params, undo }: Props) {
  const { t, format } = useUi();
  const { data, error, reload } = useQuery<Revision[]>("revisions", loadRevisions);
  if (error !== null) return <ErrorNotice error={error} retry={reload} />;
  if (data === null) return <Skeleton lines={6} />;
  if (data.length === 0) return <Empty title={t("settings.no_history")} />;
  const opened = params.get("change");
  const open = (id: string | null) => go(address("settings", changed(params, { change: id })));
  return (
    <Panel title={t("settings.history")} records={SETTINGS_RECORDS}>
      <ul class="settings-history">
        {data.map((revision) => {
          const [id, time] = [String(revision.id), format.moment(revision.at_ms)];
          return (
            <li key={id} data-testid="revision" data-id={id}>
              <button
                type="button"
                class="settings-revision"
                data-testid="revision-show"
                aria-expanded={opened === id}
                onClick={() => open(opened === id ? null : id)}
              >
                <span class="nowrap">{time}</span>
                <strong>{revision.by}</strong>
                <span class="quiet">{revision.client}</span>
                <span class="tags">
                  {revision.changed.map((path) => (
                    <span key={path} class="tag">
                      {path}
                    </span>
                  ))}
                </span>
              </button>
              {opened === id && <Opened id={revision.id} undo={undo} />}
            </li>
          );
        })}
      </ul>
    </Panel>
  );
}

function Opened({ id, undo }: { id: number; undo: Props["undo"] }) {
  const { t } = useUi();
  const { data, error, reload } = useQuery<FullRevision>(`revision ${id}`, (signal) => loadRevision(id, signal));
  if (error !== null) return <ErrorNotice error={error} retry={reload} />;
  if (data === null) return <Skeleton lines={4} />;
  return (
    <div class="settings-opened">
      <Diff lines={data.diff} />
      <div class="settings-actions">
        <button type="button" class="button" data-testid="revision-undo" onClick={() => undo(data, data.before)}>
          {t("settings.undo")}
        </button>
        <span class="quiet">{t("settings.undo_note")}</span>
      </div>
    </div>
  );
}
