// The rules: how each stands, what it watches for, when it fired, and silence.

import type { Incident, Rule } from "../../api/alerts";
import { silence, unsilence } from "../../api/alerts";
import type { Session } from "../../api/session";
import { mayOperate } from "../../lib/rights";
import { sharedOf } from "../../lib/range";
import { address, changed } from "../../lib/route";
import { useChange } from "../../lib/use-change";
import { ActionsHead } from "../../ui/actions-head";
import { useUi } from "../../ui/context";
import { Icon } from "../../ui/icon";
import { Lamp } from "../../ui/lamp";
import { Link } from "../../ui/link";
import { Menu } from "../../ui/menu";
import { ErrorNotice } from "../../ui/notice";
import { Panel } from "../../ui/panel";
import { originWords, SEVERITIES, STATES, valueWords, whenWords } from "./words";

const LANE_DAYS = 7;
const DAY_MS = 86_400_000;
const GROUPS_SHOWN = 3;

interface Props {
  rules: Rule[];
  incidents: Incident[];
  params: URLSearchParams;
  session: Session;
  reload: () => void;
}

export function Rules({ rules, incidents, params, session, reload }: Props) {
  const { t } = useUi();
  return (
    <Panel
      area="rules"
      title={t("alerts.rules")}
      note={t("alerts.rules_note")}
      records={{ ...sharedOf(params), kind: "alert" }}
    >
      <div class="table-scroll">
        <table class="rows rules-table" data-testid="rules-table">
          <thead>
            <tr>
              <th scope="col">{t("alerts.state")}</th>
              <th scope="col">{t("alerts.rule")}</th>
              <th scope="col">{t("alerts.tells_when")}</th>
              <th scope="col">{t("alerts.groups")}</th>
              <th scope="col" class="col-wide">
                {t("alerts.last_days", { count: LANE_DAYS })}
              </th>
              <ActionsHead />
            </tr>
          </thead>
          <tbody>
            {rules.map((rule) => (
              <Row
                key={rule.name}
                rule={rule}
                incidents={incidents.filter((one) => one.rule === rule.name)}
                params={params}
                session={session}
                reload={reload}
              />
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

interface RowProps {
  rule: Rule;
  incidents: Incident[];
  params: URLSearchParams;
  session: Session;
  reload: () => void;
}

function Row({ rule, incidents, params, session, reload }: RowProps) {
  const { t, format } = useUi();
  const severity = SEVERITIES[rule.severity];
  return (
    <tr data-testid="rule-row" data-rule={rule.name} data-state={rule.state}>
      <td>
        <RuleState rule={rule} />
      </td>
      <td class="rule-name">
        <Link class="row-link" href={address("alerts", changed(params, { rule: rule.name, incident: null }))}>
          <strong>{rule.name}</strong>
        </Link>
        <span class="tags">
          <span class={severity?.tag ?? "tag"}>{severity === undefined ? rule.severity : t(severity.text)}</span>
          <span class="tag" data-origin={rule.origin}>
            {originWords(rule, t)}
          </span>
          <Silenced rule={rule} />
        </span>
      </td>
      <td class="rule-when">
        {whenWords(rule, t, format)}
        <code class="rule-query">{rule.query}</code>
      </td>
      <td>
        <Groups rule={rule} />
      </td>
      <td class="col-wide">
        <Lane incidents={incidents} />
      </td>
      <td class="row-actions">{rule.on && mayOperate(session.role) && <SilenceMenu rule={rule} reload={reload} />}</td>
    </tr>
  );
}

export function RuleState({ rule }: { rule: Rule }) {
  const { t } = useUi();
  const known = STATES[rule.state];
  const why = rule.state === "held" ? t("alerts.held_by", { rule: rule.held_by ?? "" }) : (rule.error ?? undefined);
  return (
    <span title={why}>
      <Lamp colour={known?.colour ?? "grey"}>{known === undefined ? rule.state : t(known.text)}</Lamp>
      {why !== undefined && <span class="visually-hidden">{why}</span>}
    </span>
  );
}

export function Silenced({ rule }: { rule: Rule }) {
  const { t, format } = useUi();
  if (rule.silenced_until === null) return null;
  return (
    <span class="tag tag-quiet" data-testid="silenced">
      <Icon name="quiet" />
      {t("alerts.silenced_until", { time: format.moment(Date.parse(rule.silenced_until)) })}
    </span>
  );
}

function Groups({ rule }: { rule: Rule }) {
  const { t } = useUi();
  const loud = rule.groups.filter(({ state }) => state !== "calm");
  if (rule.groups.length === 0) return <span class="quiet">{t("alerts.groups_none")}</span>;
  if (loud.length === 0) return <span class="quiet">{t("alerts.groups_calm", { count: rule.groups.length })}</span>;
  return (
    <span class="tags">
      {loud.slice(0, GROUPS_SHOWN).map((one) => (
        <span key={one.group} class={one.state === "firing" ? "tag tag-fault" : "tag tag-warn"} data-group={one.group}>
          {one.group === "" ? t("alerts.all_together") : one.group} {valueWords(one.shown, t)}
        </span>
      ))}
      {loud.length > GROUPS_SHOWN && <span class="quiet">+{loud.length - GROUPS_SHOWN}</span>}
    </span>
  );
}

/** The last days as one line, with a bar where the rule fired. */
function Lane({ incidents }: { incidents: Incident[] }) {
  const { t } = useUi();
  const now = Date.now();
  const from = now - LANE_DAYS * DAY_MS;
  const place = (ms: number) => Math.min(Math.max((ms - from) / (now - from), 0), 1) * 100;
  const shown = incidents.filter(({ ended }) => ended === null || Date.parse(ended) > from);
  return (
    <span class="lane" title={t("alerts.fired_times", { count: shown.length })}>
      <span class="visually-hidden">{t("alerts.fired_times", { count: shown.length })}</span>
      {shown.map(({ id, began, ended, severity }) => {
        const start = place(Date.parse(began));
        const end = ended === null ? 100 : place(Date.parse(ended));
        return (
          <i
            key={id}
            class={`lane-bar lane-${severity}`}
            style={{ "--start": `${start}%`, "--length": `${end - start}%` }}
            aria-hidden="true"
          />
        );
      })}
    </span>
  );
}

const SILENCES = ["1h", "4h", "24h", "168h"];

export function SilenceMenu({ rule, reload }: { rule: Rule; reload: () => void }) {
  const { t } = useUi();
  if (rule.silenced_until !== null) return <Unsilence rule={rule} reload={reload} />;
  return (
    <Menu name={`silence-${rule.name}`} icon="quiet" label={t("alerts.silence_name", { name: rule.name })}>
      {(close) => (
        <div class="silence-menu">
          <p class="quiet">{t("alerts.silence_text")}</p>
          {SILENCES.map((time) => (
            <SilenceChoice
              key={time}
              rule={rule}
              time={time}
              done={() => {
                close();
                reload();
              }}
            />
          ))}
        </div>
      )}
    </Menu>
  );
}

function SilenceChoice({ rule, time, done }: { rule: Rule; time: string; done: () => void }) {
  const { t, format } = useUi();
  const change = useChange(() => silence(rule.name, time), done);
  const ms = Number.parseInt(time, 10) * 3_600_000;
  return (
    <>
      <button type="button" class="button wide" data-silence={time} disabled={change.busy} onClick={change.start}>
        {t("alerts.silence_for", { time: format.width(ms) })}
      </button>
      {change.error !== null && <ErrorNotice error={change.error} />}
    </>
  );
}

function Unsilence({ rule, reload }: { rule: Rule; reload: () => void }) {
  const { t } = useUi();
  const change = useChange(() => unsilence(rule.name), reload);
  const words = t("alerts.unsilence_name", { name: rule.name });
  return (
    <button
      type="button"
      class="button"
      data-testid="unsilence"
      aria-label={words}
      title={change.error?.message ?? words}
      disabled={change.busy}
      onClick={change.start}
    >
      <Icon name="bell" />
      <span class="button-words">{t("alerts.unsilence")}</span>
    </button>
  );
}
