// Objectives: what users may expect, how much of what may be otherwise is left, and how fast it goes.

import { type Objective, objectives as loadObjectives, type Standing } from "../../api/alerts";
import { sharedOf } from "../../lib/range";
import { address, changed } from "../../lib/route";
import { useQuery } from "../../lib/use-query";
import { useUi } from "../../ui/context";
import { Lamp, type LampColour } from "../../ui/lamp";
import { Link } from "../../ui/link";
import { ErrorNotice, Skeleton } from "../../ui/notice";
import { Panel } from "../../ui/panel";
import { timeWords } from "./words";

const REFRESH_MS = 30_000;
/** Less than this share of a budget is little. */
const LITTLE = 0.25;

interface Props {
  params: URLSearchParams;
  isLive: boolean;
}

export function Objectives({ params, isLive }: Props) {
  const { t } = useUi();
  const { data, error, reload } = useQuery("objectives", loadObjectives, isLive ? REFRESH_MS : 0);
  const rows = (data?.objectives ?? []).flatMap((objective) => objective.groups.map((standing) => ({ objective, standing })));
  return (
    <Panel
      area="objectives"
      title={t("alerts.objectives")}
      note={t("alerts.objectives_note")}
      records={{ ...sharedOf(params), kind: "request", q: "NOT origin:(probe OR replay OR task)" }}
    >
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {data === null && error === null && <Skeleton lines={4} />}
      {data !== null && rows.length === 0 && <p class="panel-text quiet">{t("alerts.no_objectives")}</p>}
      {rows.length > 0 && (
        <div class="table-scroll">
          <table class="rows card-rows" data-testid="objectives-table">
            <thead>
              <tr>
                <th scope="col">{t("alerts.budget_left")}</th>
                <th scope="col">{t("alerts.objective")}</th>
                <th scope="col">{t("alerts.group")}</th>
                <th scope="col">{t("alerts.goal")}</th>
                <th scope="col" class="num">
                  {t("alerts.bad_of")}
                </th>
                <th scope="col" class="num" title={t("alerts.rates_text")}>
                  {t("alerts.rates")}
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map(({ objective, standing }) => (
                <Row
                  key={`${objective.rule} ${standing.group}`}
                  objective={objective}
                  standing={standing}
                  href={address("alerts", changed(params, { rule: objective.rule, incident: null }))}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {data?.objectives.map(({ rule, error: wrong }) =>
        wrong === null ? null : (
          <p key={rule} class="notice notice-error" role="alert">
            {rule}: {wrong}
          </p>
        ),
      )}
    </Panel>
  );
}

function Row({ objective, standing, href }: { objective: Objective; standing: Standing; href: string }) {
  const { t, format } = useUi();
  const { left } = standing;
  const colour: LampColour = left <= 0 ? "red" : left < LITTLE ? "yellow" : "green";
  const rate = (value: number | null) => (value === null ? "–" : `${format.number(Math.round(value * 10) / 10)}×`);
  return (
    <tr data-objective={objective.rule} data-group={standing.group} data-left={left.toFixed(3)}>
      <td class="nowrap" data-label={t("alerts.budget_left")}>
        <Lamp colour={colour}>
          {left < 0 ? t("alerts.budget_gone") : t("alerts.percent", { percent: format.number(Math.round(left * 100)) })}
        </Lamp>
      </td>
      <td>
        <Link class="row-link" href={href}>
          <strong>{objective.rule}</strong>
        </Link>
      </td>
      <td class="wrap" data-label={t("alerts.group")}>
        {standing.group === "" ? t("alerts.all_together") : standing.group}
      </td>
      <td class="nowrap" data-label={t("alerts.goal")} title={objective.bad}>
        {t("alerts.goal_of", { goal: format.number(objective.goal), over: timeWords(objective.over, format) })}
      </td>
      <td class="num nowrap" data-label={t("alerts.bad_of")}>
        {format.count(standing.bad)} / {format.count(standing.all)}
      </td>
      <td class="num nowrap" data-label={t("alerts.rates")}>
        {standing.rates.map(rate).join(" · ")}
      </td>
    </tr>
  );
}
