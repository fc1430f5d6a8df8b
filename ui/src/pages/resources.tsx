// Resources: GPU, memory and pressure over the range, disks, and what the house's own stores take beside their budgets.

import { machineBody, type Machine, type Probe, probes as loadProbes, readMachine } from "../api/probes";
import { readResources, type Resources, resourcesBody, type Stores, stores as loadStores } from "../api/processes";
import { search } from "../api/search";
import type { Session } from "../api/session";
import { bucketWidth, rangeOf, resolve, sharedOf } from "../lib/range";
import { useQuery } from "../lib/use-query";
import { useUi } from "../ui/context";
import { CurlButton } from "../ui/curl";
import { ErrorNotice, Skeleton } from "../ui/notice";
import { Panel } from "../ui/panel";
import { isLive, LiveSwitch, RangePicker } from "../ui/range-picker";
import { MachineChart } from "./probes/machine";
import { Rooms } from "./probes/rooms";
import { PressureChart, StoresChart } from "./resources/charts";
import { StoreList } from "./resources/stores";

const REFRESH_MS = 10_000;

interface Answer {
  machine: Machine;
  past: Resources;
  stores: Stores;
  probes: Probe[];
}

interface Props {
  params: URLSearchParams;
  session: Session;
}

export function ResourcesPage({ params, session }: Props) {
  const { t } = useUi();
  const range = rangeOf(params);
  const { data, error, stale, reload } = useQuery<Answer>(
    `${range.from} ${range.to}`,
    async (signal) => {
      const span = resolve(range, Date.now());
      const widthMs = bucketWidth(span);
      const [machine, past, stores, probes] = await Promise.all([
        search(machineBody(span, widthMs), signal),
        search(resourcesBody(span, widthMs), signal),
        loadStores(signal),
        loadProbes(signal),
      ]);
      return {
        machine: readMachine(machine, span, widthMs),
        past: readResources(past, span, widthMs),
        stores,
        probes: probes.probes,
      };
    },
    isLive(params) ? REFRESH_MS : 0,
  );
  const records = { ...sharedOf(params), kind: "resource" };
  const body = () => {
    const span = resolve(range, Date.now());
    return resourcesBody(span, bucketWidth(span));
  };
  return (
    <main class="resources" aria-busy={stale} data-testid="resources-page">
      <div class="toolbar">
        <h1 class="page-title">{t("nav.resources")}</h1>
        <div class="toolbar-tools">
          <CurlButton body={body} session={session} />
          <LiveSwitch page="resources" params={params} />
          <RangePicker page="resources" params={params} />
        </div>
      </div>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {data === null && error === null && <Skeleton lines={12} />}
      {data !== null && (
        <div class="resources-grid">
          <StoreList stores={data.stores} records={records} />
          <Panel title={t("resources.over_time")} note={t("resources.over_time_note")} records={records}>
            <StoresChart past={data.past} params={params} />
          </Panel>
          <Panel title={t("probes.machine")} note={t("probes.machine_note")} records={records}>
            {data.machine.curves.length === 0 ? (
              <p class="quiet panel-empty">{t("resources.no_samples")}</p>
            ) : (
              <MachineChart machine={data.machine} page="resources" params={params} />
            )}
          </Panel>
          <Panel title={t("resources.pressure")} note={t("resources.pressure_note")} records={records}>
            <PressureChart past={data.past} params={params} />
          </Panel>
          <Rooms probes={data.probes} />
        </div>
      )}
    </main>
  );
}
