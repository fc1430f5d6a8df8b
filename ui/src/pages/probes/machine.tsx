// GPU and memory over the range, on the same time axis as the requests.

import { useMemo } from "preact/hooks";
import type { Machine } from "../../api/probes";
import { Chart, type ChartSeries, type Mark, MODEL_COLOURS } from "../../charts/chart";
import type { TextKey } from "../../i18n/en";
import type { Page } from "../../lib/route";
import { useUi } from "../../ui/context";

const CHART_HEIGHT = 212;

const WORDS: Record<Machine["curves"][number]["what"], TextKey> = {
  memory: "probes.memory",
  gpu_memory: "probes.gpu_memory",
  gpu_busy: "probes.gpu_busy",
};

interface Props {
  machine: Machine;
  page: Page;
  params: URLSearchParams;
  marks?: Mark[];
  height?: number;
}

export function MachineChart({ machine, page, params, marks, height = CHART_HEIGHT }: Props) {
  const { t, format } = useUi();
  const { curves, times } = machine;
  const several = new Set(curves.map(({ gpu }) => gpu).filter((gpu) => gpu !== "")).size > 1;
  const series = useMemo(
    () =>
      curves.map(({ what, gpu, values }, at): ChartSeries => {
        const colour = MODEL_COLOURS[at % MODEL_COLOURS.length] ?? "--series-1";
        const label = several && gpu !== "" ? `${t(WORDS[what])} ${gpu}` : t(WORDS[what]);
        return { kind: "line", colour, label, values };
      }),
    [curves, several, t],
  );
  const percent = (value: number) => format.percent(value / 100);
  const summary = curves.map(({ values }, at) => `${series[at]?.label ?? ""}: ${lastOf(values, percent)}`).join(", ");
  return (
    <Chart
      name="machine"
      times={times}
      widthMs={machine.widthMs}
      fromMs={machine.span.fromMs}
      toMs={machine.span.toMs}
      series={series}
      {...(marks === undefined ? {} : { marks })}
      height={height}
      value={percent}
      page={page}
      params={params}
      summary={summary}
    />
  );
}

function lastOf(values: (number | null)[], percent: (value: number) => string): string {
  const last = values.findLast((value) => value !== null);
  return last === undefined || last === null ? "" : percent(last);
}
