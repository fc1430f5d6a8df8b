// One rule: how it stands, its settings, and its text, tried against the stored records while one edits it.

import { useState } from "preact/hooks";
import type { Incident, Rule } from "../../api/alerts";
import type { Session } from "../../api/session";
import { runbooksZh } from "../../i18n/runbooks-zh";
import { mayOperate } from "../../lib/rights";
import { sharedOf } from "../../lib/range";
import { address, type Changes, changed } from "../../lib/route";
import { blockOf } from "../../lib/rule-text";
import { chineseWords } from "../../lib/said";
import { whoWords } from "../../lib/who";
import { useUi } from "../../ui/context";
import { Icon } from "../../ui/icon";
import { Lamp } from "../../ui/lamp";
import { Link } from "../../ui/link";
import { Panel } from "../../ui/panel";
import { Try } from "./try";
import { Incidents } from "./incidents";
import { RuleState, SilenceMenu, Silenced } from "./rules";
import { originWords, SEVERITIES, shownWords, STATES, timeWords, whenWords } from "./words";

interface Props {
  rule: Rule;
  incidents: Incident[];
  params: URLSearchParams;
  session: Session;
  show: (changes: Changes) => void;
  reload: () => void;
}

export function RulePage({ rule, incidents, params, session, show, reload }: Props) {
  const { t } = useUi();
  const [text, setText] = useState(() => blockOf(rule.yaml));
  const own = incidents.filter((one) => one.rule === rule.name);
  const severity = SEVERITIES[rule.severity];
  return (
    <div class="rule-page" data-testid="rule-page" data-rule={rule.name}>
      <header class="request-head">
        <Link class="quiet-link" href={address("alerts", changed(params, { rule: null, incident: null, days: null }))}>
          {t("nav.alerts")}
          <Icon name="right" />
        </Link>
        <h1>{rule.name}</h1>
        <RuleState rule={rule} />
        <span class={severity?.tag ?? "tag"}>{severity === undefined ? rule.severity : t(severity.text)}</span>
        <span class="tag" data-origin={rule.origin}>
          {originWords(rule, t)}
        </span>
        <Silenced rule={rule} />
        <span class="head-actions">
          <Link class="button" href={address("discover", { kind: "all", q: rule.query })}>
            <Icon name="search" />
            {t("common.in_discover")}
          </Link>
          {rule.on && mayOperate(session.role) && <SilenceMenu rule={rule} reload={reload} />}
        </span>
      </header>
      {rule.error !== null && (
        <p class="notice notice-error" role="alert">
          {rule.error}
        </p>
      )}
      {rule.saved !== null && rule.saved.problem !== null && rule.error === null && (
        <p class="notice" role="status">
          {t("alerts.saved_not_in_force", { problem: rule.saved.problem })}
        </p>
      )}
      <div class="rule-grid">
        <Panel
          area="try"
          title={t("alerts.text")}
          note={t("alerts.text_note")}
          records={{ ...sharedOf(params), kind: "all", q: rule.query }}
        >
          <Try rule={rule} text={text} setText={setText} params={params} session={session} show={show} done={reload} />
        </Panel>
        <div class="area-rule">
          <Panel title={t("alerts.settings")} records={{ ...sharedOf(params), kind: "all", q: rule.query }}>
            <Settings rule={rule} />
          </Panel>
          {rule.groups.length > 0 && (
            <Panel
              title={t("alerts.groups")}
              note={rule.group_by ?? undefined}
              records={{ ...sharedOf(params), kind: "all", q: rule.query }}
            >
              <GroupTable rule={rule} />
            </Panel>
          )}
        </div>
        <Incidents incidents={own} rules={[rule]} params={params} session={session} show={show} reload={reload} />
      </div>
    </div>
  );
}

function Settings({ rule }: { rule: Rule }) {
  const ui = useUi();
  const { t, format } = ui;
  const { quiet, escalate, saved } = rule;
  const rows: [string, string | null][] = [
    [t("alerts.tells_when"), whenWords(rule, t, format)],
    [t("alerts.set_samples"), rule.samples > 1 ? String(rule.samples) : null],
    [t("alerts.set_for"), rule.for === "0s" ? t("alerts.at_once") : timeWords(rule.for, format)],
    [t("alerts.set_resolve"), rule.resolve === null ? t("alerts.not_told") : timeWords(rule.resolve, format)],
    [t("alerts.set_cooldown"), timeWords(rule.cooldown, format)],
    [t("alerts.set_quiet"), quiet === null ? null : `${quiet.from} – ${quiet.to} ${quiet.zone ?? ""}`],
    [t("alerts.set_needs"), rule.needs.length === 0 ? null : rule.needs.join(", ")],
    [t("alerts.set_notify"), rule.notify === null ? t("alerts.all_channels") : rule.notify.join(", ") || t("alerts.nobody")],
    [t("alerts.set_escalate"), escalate === null ? null : `${timeWords(escalate.after, format)} → ${escalate.notify.join(", ")}`],
    [t("alerts.runbook"), rule.runbook === null ? null : chineseWords(rule.runbook_said, rule.runbook, runbooksZh, ui)],
    [
      t("alerts.saved"),
      saved === null ? null : t("alerts.saved_by", { by: whoWords(saved.by, t), time: format.moment(Date.parse(saved.at)) }),
    ],
  ];
  return (
    <dl class="facts rule-facts">
      {rows.map(([words, shown]) =>
        shown === null ? null : (
          <div key={words}>
            <dt>{words}</dt>
            <dd>{shown}</dd>
          </div>
        ),
      )}
    </dl>
  );
}

function GroupTable({ rule }: { rule: Rule }) {
  const { t, format } = useUi();
  return (
    <div class="table-scroll">
      <table class="rows" data-testid="rule-groups">
        <thead>
          <tr>
            <th scope="col">{t("alerts.group")}</th>
            <th scope="col">{t("alerts.state")}</th>
            <th scope="col" class="num">
              {t("alerts.value")}
            </th>
            <th scope="col">{t("alerts.since")}</th>
          </tr>
        </thead>
        <tbody>
          {rule.groups.map((one) => {
            const known = STATES[one.state];
            return (
              <tr key={one.group} data-state={one.state}>
                <td class="wrap">{one.group === "" ? t("alerts.all_together") : one.group}</td>
                <td>
                  <Lamp colour={known?.colour ?? "grey"}>{known === undefined ? one.state : t(known.text)}</Lamp>
                </td>
                <td class="num" title={one.usual === null ? undefined : t("alerts.usual", { value: format.number(one.usual) })}>
                  {one.shown === null ? format.number(one.value) : shownWords(one.shown, t)}
                </td>
                <td class="nowrap">{format.moment(one.since === null ? null : Date.parse(one.since))}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
