// Probes: whether the process lives, the model answers and its answers are good, and what the machine has left.

import { machineBody, type Machine, type Probes, probes as loadProbes, readMachine } from "../api/probes";
import { search } from "../api/search";
import type { Session } from "../api/session";
import { bucketWidth, rangeOf, resolve, sharedOf } from "../lib/range";
import { address, type Changes, changed, go } from "../lib/route";
import { useQuery } from "../lib/use-query";
import { useUi } from "../ui/context";
import { CurlButton } from "../ui/curl";
import { EmptyExample, ErrorNotice, Skeleton } from "../ui/notice";
import { Panel } from "../ui/panel";
import { isLive, LiveSwitch, RangePicker } from "../ui/range-picker";
import { History } from "./probes/history";
import { Layers } from "./probes/layers";
import { ProbeList } from "./probes/list";
import { MachineChart } from "./probes/machine";
import { Certificates, Rooms } from "./probes/rooms";

const REFRESH_MS = 5_000;

const EXAMPLE = [
  "probes:",
  "  every: 15m",
  "  processes: [{name: ollama, port: 11434}]",
  '  models: [{model: "qwen3:32b", prompt: "1+1=", expect: ["2"]}]',
  "  disks: [{path: /, above: 90%}]",
].join("\n");

interface Answer {
  probes: Probes;
  machine: Machine;
}

interface Props {
  params: URLSearchParams;
  session: Session;
}

export function ProbesPage({ params, session }: Props) {
  const { t } = useUi();
  const range = rangeOf(params);
  const body = () => {
    const span = resolve(range, Date.now());
    return machineBody(span, bucketWidth(span));
  };
  const { data, error, stale, reload } = useQuery<Answer>(
    `${range.from} ${range.to}`,
    async (signal) => {
      const span = resolve(range, Date.now());
      const widthMs = bucketWidth(span);
      const [probes, found] = await Promise.all([loadProbes(signal), search(machineBody(span, widthMs), signal)]);
      return { probes, machine: readMachine(found, span, widthMs) };
    },
    isLive(params) ? REFRESH_MS : 0,
  );
  const show = (changes: Changes) => go(address("probes", changed(params, changes)));
  const opened = data?.probes.probes.find(({ id }) => id === params.get("probe"));
  return (
    <main class="probes" aria-busy={stale} data-testid="probes-page">
      <div class="toolbar">
        <h1 class="page-title">{t("nav.probes")}</h1>
        <div class="toolbar-tools">
          <CurlButton body={body} session={session} />
          <LiveSwitch page="probes" params={params} />
          <RangePicker page="probes" params={params} />
        </div>
      </div>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {data === null && error === null && <Skeleton lines={12} />}
      {data !== null && (
        <div class="probes-grid">
          {data.probes.probes.length === 0 ? (
            <div class="area-list">
              <EmptyExample title={t("probes.none_title")} text={t("probes.none_text")} example={EXAMPLE} />
            </div>
          ) : (
            <>
              {data.probes.light !== null && <Layers light={data.probes.light} />}
              <ProbeList probes={data.probes.probes} params={params} session={session} show={show} reload={reload} />
              {opened !== undefined && <History probe={opened} params={params} session={session} show={show} />}
            </>
          )}
          {data.machine.curves.length > 0 && (
            <Panel
              area="machine"
              title={t("probes.machine")}
              note={t("probes.machine_note")}
              records={{ ...sharedOf(params), kind: "resource" }}
            >
              <MachineChart machine={data.machine} page="probes" params={params} />
            </Panel>
          )}
          <Rooms probes={data.probes.probes} />
          <Certificates probes={data.probes.probes} />
        </div>
      )}
    </main>
  );
}
