// Each probe: what it found last, when it runs next, and a button that runs it now.

import { useState } from "preact/hooks";
import { type Layer, type Probe, runProbe } from "../../api/probes";
import type { Session } from "../../api/session";
import { mayOperate } from "../../lib/rights";
import { sharedOf } from "../../lib/range";
import { address, type Changes, changed } from "../../lib/route";
import { saidWords } from "../../lib/said";
import { useChange } from "../../lib/use-change";
import { ActionsHead } from "../../ui/actions-head";
import { useUi } from "../../ui/context";
import { Icon } from "../../ui/icon";
import { Lamp } from "../../ui/lamp";
import { Link } from "../../ui/link";
import { Panel } from "../../ui/panel";
import { KINDS, LAYERS, OUTCOMES } from "./words";

const ORDER: Layer[] = ["process", "answer", "quality", "resource"];

interface Props {
  probes: Probe[];
  params: URLSearchParams;
  session: Session;
  show: (changes: Changes) => void;
  reload: () => void;
}

export function ProbeList({ probes, params, session, reload }: Props) {
  const { t } = useUi();
  return (
    <Panel
      area="list"
      title={t("probes.list")}
      note={t("probes.list_note")}
      records={{ ...sharedOf(params), kind: "probe" }}
    >
      <div class="table-scroll">
        <table class="rows probes-table" data-testid="probes-table">
          <thead>
            <tr>
              <th scope="col">{t("probes.outcome")}</th>
              <th scope="col">{t("probes.probe")}</th>
              <th scope="col">{t("probes.found")}</th>
              <th scope="col">{t("probes.last")}</th>
              <th scope="col" class="num col-wide">
                {t("column.duration")}
              </th>
              <th scope="col" class="col-wide">
                {t("probes.next")}
              </th>
              <ActionsHead />
            </tr>
          </thead>
          {ORDER.filter((layer) => probes.some((probe) => probe.layer === layer)).map((layer) => (
            <tbody key={layer}>
              <tr>
                <th scope="rowgroup" colSpan={7}>
                  {t(LAYERS[layer])}
                </th>
              </tr>
              {probes
                .filter((probe) => probe.layer === layer)
                .map((probe) => (
                  <Row key={probe.id} probe={probe} params={params} session={session} reload={reload} />
                ))}
            </tbody>
          ))}
        </table>
      </div>
    </Panel>
  );
}

interface RowProps {
  probe: Probe;
  params: URLSearchParams;
  session: Session;
  reload: () => void;
}

function Row({ probe, params, session, reload }: RowProps) {
  const ui = useUi();
  const { t, format } = ui;
  const about = saidWords(probe.looks, probe.about, ui);
  const now = Date.now();
  const { last } = probe;
  const outcome = last === null ? undefined : OUTCOMES[last.outcome];
  const kind = KINDS[probe.kind];
  const opened = params.get("probe") === probe.id;
  const moment = (text: string | null) => (text === null ? null : Date.parse(text));
  return (
    <tr data-testid="probe-row" data-probe={probe.id} data-outcome={last?.outcome ?? ""} class={opened ? "row-open" : undefined}>
      <td>
        <Lamp colour={outcome?.colour ?? "grey"}>
          {last === null ? t("probes.never") : outcome === undefined ? last.outcome : t(outcome.text)}
        </Lamp>
      </td>
      <td>
        <Link
          class="row-link"
          href={address("probes", changed(params, { probe: opened ? null : probe.id }))}
          data-testid="probe-open"
          title={about}
        >
          <strong>{probe.name}</strong>
        </Link>{" "}
        <span class="tag">{kind === undefined ? probe.kind : t(kind)}</span>
        <span class="probe-about">{about}</span>
      </td>
      <td class="probe-found">{last === null ? "" : saidWords(last.said, last.found, ui)}</td>
      <td class="nowrap" title={format.moment(moment(last?.at ?? null))}>
        {last === null ? "" : format.relative(moment(last.at), now)}
      </td>
      <td class="num col-wide">{last === null ? "" : format.duration(last.duration_ms)}</td>
      <td class="nowrap col-wide" title={format.moment(moment(probe.next))}>
        {probe.running ? t("probes.running") : format.relative(moment(probe.next), now)}
        <span class="probe-about">{t("probes.every", { time: format.width(probe.every_s * 1000) })}</span>
      </td>
      <td class="row-actions">{mayOperate(session.role) && <Run probe={probe} reload={reload} />}</td>
    </tr>
  );
}

function Run({ probe, reload }: { probe: Probe; reload: () => void }) {
  const { t } = useUi();
  const [ran, setRan] = useState("");
  const change = useChange(
    () => runProbe(probe.id),
    (found) => {
      const outcome = OUTCOMES[found.last?.outcome ?? ""];
      setRan(found.running ? t("probes.running") : outcome === undefined ? "" : t(outcome.text));
      reload();
    },
  );
  const words = t("probes.run_name", { name: probe.name });
  const busy = change.busy || probe.running;
  return (
    <>
      <button
        type="button"
        class={busy ? "icon-button turning" : "icon-button"}
        data-testid="probe-run"
        aria-label={words}
        title={change.error?.message ?? words}
        disabled={busy}
        onClick={change.start}
      >
        <Icon name={change.error === null ? "again" : "warning"} />
      </button>
      <span class="visually-hidden" role="status">
        {change.error?.message ?? ran}
      </span>
    </>
  );
}
