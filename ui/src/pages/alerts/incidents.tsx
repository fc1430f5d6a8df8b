// Incidents: the open ones first, each with its time line, and what can be done about it.

import { useState } from "preact/hooks";
import { acknowledge, earlierIncidents, type Incident, incident as loadIncident, type Rule } from "../../api/alerts";
import type { Session } from "../../api/session";
import { runbooksZh } from "../../i18n/runbooks-zh";
import { mayOperate } from "../../lib/rights";
import { sharedOf } from "../../lib/range";
import { address, type Changes } from "../../lib/route";
import { chineseWords, saidWords } from "../../lib/said";
import { useChange } from "../../lib/use-change";
import { useQuery } from "../../lib/use-query";
import { whoWords } from "../../lib/who";
import { useUi } from "../../ui/context";
import { Expandable } from "../../ui/expandable";
import { Icon } from "../../ui/icon";
import { Lamp } from "../../ui/lamp";
import { Link } from "../../ui/link";
import { ErrorNotice } from "../../ui/notice";
import { Panel } from "../../ui/panel";
import { figureWords, recordsOf, SEVERITIES, titleOf } from "./words";

interface Props {
  incidents: Incident[];
  rules: Rule[];
  params: URLSearchParams;
  session: Session;
  show: (changes: Changes) => void;
  reload: () => void;
}

const SHOWN_AT_FIRST = 12;

export function Incidents({ incidents, rules, params, session, show, reload }: Props) {
  const { t } = useUi();
  const [older, setOlder] = useState<Incident[]>([]);
  const [shown, setShown] = useState(SHOWN_AT_FIRST);
  const [ended, setEnded] = useState(false);
  const known = new Set(incidents.map(({ id }) => id));
  const all = [...incidents, ...older.filter(({ id }) => !known.has(id))];
  const opened = params.get("incident");
  const more = useChange(
    () => earlierIncidents(all.at(-1)?.began ?? new Date().toISOString()),
    (found) => {
      setOlder([...older, ...found.incidents]);
      setShown(Number.POSITIVE_INFINITY);
      setEnded(!found.more);
    },
  );
  const open = all.filter(({ state }) => state === "open").length;
  const rows = all.slice(0, shown);
  const elsewhere = opened !== null && !all.some(({ id }) => id === opened);
  const part = { params, session, show, reload };
  return (
    <Panel
      area="incidents"
      title={t("alerts.incidents")}
      note={open > 0 ? t("alerts.open_count", { count: open }) : t("alerts.none_open")}
      records={{ ...sharedOf(params), kind: "alert" }}
    >
      {all.length === 0 && <p class="quiet panel-empty">{t("alerts.no_incidents")}</p>}
      <ol class="incidents" data-testid="incidents" data-open={open}>
        {elsewhere && <Elsewhere id={opened} rules={rules} {...part} />}
        {rows.map((one) => (
          <Row key={one.id} incident={one} rule={ruleOf(one, rules)} opened={opened === one.id} {...part} />
        ))}
      </ol>
      {more.error !== null && <ErrorNotice error={more.error} />}
      {all.length > 0 && !(ended && rows.length === all.length) && (
        <p class="panel-more">
          <button
            type="button"
            class="button"
            data-testid="incidents-more"
            disabled={more.busy}
            onClick={() => (rows.length < all.length ? setShown(all.length) : more.start())}
          >
            {t("alerts.earlier")}
          </button>
        </p>
      )}
    </Panel>
  );
}

function ruleOf(incident: Incident, rules: Rule[]): Rule | undefined {
  return rules.find(({ name }) => name === incident.rule);
}

type Part = Pick<Props, "params" | "session" | "show" | "reload">;

/** One that the address names, but that is older than the list. */
function Elsewhere({ id, rules, ...part }: Part & { id: string; rules: Rule[] }) {
  const { data, error } = useQuery<Incident>(id, (signal) => loadIncident(id, signal));
  if (error !== null)
    return (
      <li>
        <ErrorNotice error={error} />
      </li>
    );
  return data === null ? null : <Row incident={data} rule={ruleOf(data, rules)} opened {...part} />;
}

interface RowProps extends Part {
  incident: Incident;
  rule: Rule | undefined;
  opened: boolean;
}

function Row({ incident, rule, opened, params, session, show, reload }: RowProps) {
  const ui = useUi();
  const { t, format } = ui;
  const began = Date.parse(incident.began);
  const over = incident.ended === null ? Date.now() : Date.parse(incident.ended);
  const isOpen = incident.state === "open";
  const severity = SEVERITIES[incident.severity ?? ""];
  const head = (
    <>
      <Lamp colour={isOpen ? (incident.severity === "info" ? "yellow" : "red") : "grey"}>
        {t(isOpen ? "alerts.state_open" : "alerts.state_ended")}
      </Lamp>
      <span class="incident-title">{titleOf(incident, ui)}</span>
      <span class={severity?.tag ?? "tag"}>{severity === undefined ? incident.severity : t(severity.text)}</span>
      {incident.acknowledged !== null && <span class="tag">{t("alerts.acknowledged")}</span>}
      {incident.escalated !== null && <span class="tag tag-fault">{t("alerts.escalated")}</span>}
      <span class="incident-time quiet">
        {format.moment(began)} · {format.duration(Math.max(over - began, 0))}
      </span>
    </>
  );
  return (
    <li data-testid="incident" data-incident={incident.id} data-state={incident.state}>
      <Expandable open={opened} turn={() => show({ incident: opened ? null : incident.id })} head={head}>
        <Details incident={incident} rule={rule} params={params} session={session} show={show} reload={reload} />
      </Expandable>
    </li>
  );
}

function Details({ incident, rule, session, show, reload }: Omit<RowProps, "opened">) {
  const ui = useUi();
  const { t, format } = ui;
  const taken = useChange(() => acknowledge(incident.id), reload);
  const records = recordsOf(incident, rule);
  const { acknowledged } = incident;
  const [figures, worst] = [incident.figures ?? [], incident.worst ?? []];
  return (
    <div class="incident-details">
      {incident.text !== null && incident.text !== "" && <p class="incident-text">{saidWords(incident.text_said, incident.text, ui)}</p>}
      {figures.length > 0 && (
        <dl class="incident-figures">
          {figures.map(({ name, value }) => (
            <div key={name}>
              <dt>{figureWords(name, ui)}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      )}
      <div class="incident-columns">
        <section>
          <h3>{t("alerts.timeline")}</h3>
          <ol class="timeline" data-testid="incident-timeline">
            {incident.timeline.map(({ at, text, said }, index) => (
              <li key={index}>
                <time class="quiet" dateTime={at}>
                  {format.moment(Date.parse(at))}
                </time>
                <span>{saidWords(said, text, ui)}</span>
              </li>
            ))}
          </ol>
        </section>
        {worst.length > 0 && (
          <section>
            <h3>{t("alerts.worst")}</h3>
            <ul class="incident-worst">
              {worst.map((line, index) => (
                <li key={index}>
                  <code>{line}</code>
                </li>
              ))}
            </ul>
          </section>
        )}
        {incident.runbook !== null && (
          <section>
            <h3>{t("alerts.runbook")}</h3>
            <p class="incident-text">{chineseWords(incident.runbook_said, incident.runbook, runbooksZh, ui)}</p>
          </section>
        )}
      </div>
      {taken.error !== null && <ErrorNotice error={taken.error} />}
      <p class="incident-actions">
        {acknowledged !== null && (
          <span class="quiet">
            {t("alerts.acknowledged_by", { by: whoWords(acknowledged.by, t), time: format.moment(Date.parse(acknowledged.at)) })}
          </span>
        )}
        {acknowledged === null && incident.state === "open" && mayOperate(session.role) && (
          <button type="button" class="button primary" data-testid="acknowledge" disabled={taken.busy} onClick={taken.start}>
            <Icon name="check" />
            {t("alerts.acknowledge")}
          </button>
        )}
        {records !== null && (
          <Link class="button" href={address("discover", records)}>
            <Icon name="search" />
            {t("common.in_discover")}
          </Link>
        )}
        {rule !== undefined && (
          <button type="button" class="button" onClick={() => show({ rule: incident.rule, incident: null })}>
            {t("alerts.rule")}: {incident.rule}
          </button>
        )}
      </p>
    </div>
  );
}
