// Alerts: what is wrong now, what was, which rules watch for it, and who is told.

import { type Alerts, alerts as loadAlerts } from "../api/alerts";
import type { Session } from "../api/session";
import { mayOperate } from "../lib/rights";
import { address, type Changes, changed, go } from "../lib/route";
import { useQuery } from "../lib/use-query";
import { useUi } from "../ui/context";
import { Icon } from "../ui/icon";
import { Lamp, type LampColour } from "../ui/lamp";
import { Link } from "../ui/link";
import { ErrorNotice, Skeleton } from "../ui/notice";
import { isLive, LiveSwitch } from "../ui/range-picker";
import { Channels, Reports } from "./alerts/channels";
import { Incidents } from "./alerts/incidents";
import { NewRule } from "./alerts/new";
import { Objectives } from "./alerts/objectives";
import { RulePage } from "./alerts/rule";
import { Rules } from "./alerts/rules";

const REFRESH_MS = 5_000;

interface Props {
  params: URLSearchParams;
  session: Session;
}

export function AlertsPage({ params, session }: Props) {
  const { t } = useUi();
  const { data, error, reload } = useQuery<Alerts>("alerts", loadAlerts, isLive(params) ? REFRESH_MS : 0);
  const name = params.get("rule");
  const rule = name === null ? undefined : data?.rules.find((one) => one.name === name);
  const show = (changes: Changes) => go(address("alerts", changed(params, changes)));
  const isNew = rule === undefined && params.get("new") === "rule" && mayOperate(session.role);
  const parts = { params, session, show, reload };
  return (
    <main class="alerts" data-testid="alerts-page">
      {rule === undefined && !isNew && (
        <div class="toolbar">
          <h1 class="page-title">{t("nav.alerts")}</h1>
          {data !== null && <Summary data={data} />}
          <div class="toolbar-tools">
            {mayOperate(session.role) && (
              <Link class="button" data-testid="new-rule-link" href={address("alerts", changed(params, { new: "rule" }))}>
                <Icon name="plus" />
                {t("alerts.new")}
              </Link>
            )}
            <LiveSwitch page="alerts" params={params} />
          </div>
        </div>
      )}
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {data === null && error === null && <Skeleton lines={10} />}
      {data !== null && name !== null && rule === undefined && (
        <p class="notice" role="status">
          {t("alerts.no_rule", { name })}
        </p>
      )}
      {rule !== undefined && data !== null && <RulePage key={rule.name} rule={rule} incidents={data.incidents} {...parts} />}
      {isNew && <NewRule {...parts} />}
      {data !== null && rule === undefined && !isNew && (
        <div class="alerts-grid">
          <Incidents incidents={data.incidents} rules={data.rules} {...parts} />
          <Rules rules={data.rules} incidents={data.incidents} {...parts} />
          <Objectives params={params} isLive={isLive(params)} />
          <Channels channels={data.channels} session={session} />
          <Reports reports={data.reports} />
        </div>
      )}
    </main>
  );
}

/** How many rules fire, in one lamp. */
function Summary({ data }: { data: Alerts }) {
  const { t } = useUi();
  const count = (state: string) => data.rules.filter((rule) => rule.state === state).length;
  const [firing, pending] = [count("firing"), count("pending")];
  const colour: LampColour = firing > 0 ? "red" : pending > 0 || count("failing") > 0 ? "yellow" : "green";
  const words =
    firing > 0
      ? t("alerts.sum_firing", { count: firing })
      : pending > 0
        ? t("alerts.sum_pending", { count: pending })
        : t("alerts.sum_calm", { count: data.rules.filter((rule) => rule.on).length });
  return (
    <p class="alerts-sum" data-testid="alerts-sum" data-firing={firing} aria-live="polite">
      <Lamp colour={colour}>{words}</Lamp>
    </p>
  );
}
