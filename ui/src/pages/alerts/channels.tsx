// Who is told: the channels with what waits in them, and the reports that come by the clock.

import { useState } from "preact/hooks";
import { type Channel, type Report, testChannel, type ChannelTest as Told } from "../../api/alerts";
import type { Session } from "../../api/session";
import { mayOperate } from "../../lib/rights";
import { useChange } from "../../lib/use-change";
import { ActionsHead } from "../../ui/actions-head";
import { useUi } from "../../ui/context";
import { CopyButton } from "../../ui/copy";
import { Lamp } from "../../ui/lamp";
import { ErrorNotice } from "../../ui/notice";
import { Panel } from "../../ui/panel";

const EXAMPLE =
  'channels:\n  ops: {kind: smtp, server: "smtp://127.0.0.1:25", from: tollhouse@example.com, to: [ops@example.com]}';

export function Channels({ channels, session }: { channels: Channel[]; session: Session }) {
  const { t, format } = useUi();
  if (channels.length === 0)
    return (
      <Panel area="channels" title={t("alerts.channels")} records={{ kind: "alert" }}>
        <div class="panel-text" data-testid="no-channels">
          <p>{t("alerts.no_channels")}</p>
          <div class="command">
            <pre>
              <code>{EXAMPLE}</code>
            </pre>
            <CopyButton text={EXAMPLE} label={false} />
          </div>
        </div>
      </Panel>
    );
  return (
    <Panel
      area="channels"
      title={t("alerts.channels")}
      note={t("alerts.channels_note")}
      records={{ kind: "alert", q: "alert_event:(sent OR failed)" }}
    >
      <div class="table-scroll">
        <table class="rows card-rows" data-testid="channels-table">
          <thead>
            <tr>
              <th scope="col">{t("alerts.channel")}</th>
              <th scope="col">{t("alerts.channel_kind")}</th>
              <th scope="col">{t("alerts.waiting")}</th>
              <ActionsHead />
            </tr>
          </thead>
          <tbody>
            {channels.map((channel) => (
              <tr key={channel.name} data-channel={channel.name}>
                <td>
                  <strong>{channel.name}</strong>
                </td>
                <td data-label={t("alerts.channel_kind")}>{channel.kind}</td>
                <td data-label={t("alerts.waiting")}>
                  {channel.waiting === 0 ? (
                    <Lamp colour="green">{t("alerts.nothing_waits")}</Lamp>
                  ) : (
                    <Lamp colour="yellow">
                      {t("alerts.waits_since", {
                        count: channel.waiting,
                        time: format.moment(channel.oldest === null ? null : Date.parse(channel.oldest)),
                      })}
                    </Lamp>
                  )}
                </td>
                <td class="row-actions">{mayOperate(session.role) && <ChannelTest name={channel.name} />}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

/** Sends a message that shows that a channel works, and says what became of it. */
function ChannelTest({ name }: { name: string }) {
  const { t } = useUi();
  const [told, setTold] = useState<Told | null>(null);
  const change = useChange(() => testChannel(name), setTold);
  const words = t("alerts.try_name", { name });
  return (
    <span class="channel-test">
      {told !== null && !change.busy && (
        <span role="status" data-testid="channel-told" data-ok={told.ok}>
          <Lamp colour={told.ok && told.refused.length === 0 ? "green" : "red"}>
            {told.ok ? t("alerts.try_taken") : t("alerts.try_refused", { error: told.error ?? "" })}
            {told.refused.length > 0 && ` (${told.refused.join("; ")})`}
          </Lamp>
        </span>
      )}
      {change.error !== null && <ErrorNotice error={change.error} />}
      <button
        type="button"
        class="button"
        data-testid="channel-test"
        aria-label={words}
        title={words}
        disabled={change.busy}
        onClick={change.start}
      >
        {t("alerts.try")}
      </button>
    </span>
  );
}

export function Reports({ reports }: { reports: Report[] }) {
  const { t, format } = useUi();
  if (reports.length === 0) return null;
  return (
    <Panel area="reports" title={t("alerts.reports")} records={{ kind: "alert" }}>
      <div class="table-scroll">
        <table class="rows card-rows" data-testid="reports-table">
          <thead>
            <tr>
              <th scope="col">{t("alerts.report")}</th>
              <th scope="col">{t("alerts.report_at")}</th>
              <th scope="col">{t("alerts.report_next")}</th>
              <th scope="col">{t("alerts.report_last")}</th>
            </tr>
          </thead>
          <tbody>
            {reports.map((report) => (
              <tr key={report.name}>
                <td>
                  <strong>{report.name}</strong>
                </td>
                <td data-label={t("alerts.report_at")}>
                  {report.at} {report.zone}
                </td>
                <td data-label={t("alerts.report_next")}>
                  {format.moment(report.next === null ? null : Date.parse(report.next))}
                </td>
                <td data-label={t("alerts.report_last")}>{format.moment(report.last === null ? null : Date.parse(report.last))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
