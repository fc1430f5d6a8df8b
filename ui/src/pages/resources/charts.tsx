// What is waited for memory, and what the stores take, over the range.

import { useMemo } from "preact/hooks";
import type { Resources } from "../../api/processes";
import { Chart, type ChartSeries, MODEL_COLOURS } from "../../charts/chart";
import { useUi } from "../../ui/context";
import { STORES } from "./words";

const CHART_HEIGHT = 212;

interface Props {
  past: Resources;
  params: URLSearchParams;
}

export function PressureChart({ past, params }: Props) {
  const { t, format } = useUi();
  const series = useMemo(
    (): ChartSeries[] => [
      { kind: "line", colour: "--series-1", label: t("resources.pressure"), values: past.pressure, spans: true },
    ],
    [past, t],
  );
  if (!past.pressure.some((value) => value !== null)) return <p class="quiet panel-empty">{t("resources.no_pressure")}</p>;
  const percent = (value: number) => format.percent(value / 100);
  return <Curves name="pressure" past={past} params={params} series={series} value={percent} summary={t("resources.pressure")} />;
}

export function StoresChart({ past, params }: Props) {
  const { t, format } = useUi();
  const series = useMemo(
    () =>
      past.stores.map(({ name, values }, at): ChartSeries => {
        const colour = MODEL_COLOURS[at % MODEL_COLOURS.length] ?? "--series-1";
        const words = STORES[name];
        return { kind: "line", colour, label: words === undefined ? name : t(words), values, spans: true };
      }),
    [past, t],
  );
  if (series.length === 0) return <p class="quiet panel-empty">{t("resources.no_samples")}</p>;
  return (
    <Curves
      name="stores"
      past={past}
      params={params}
      series={series}
      value={(value) => format.bytes(value)}
      summary={t("resources.over_time")}
    />
  );
}

interface CurvesProps extends Props {
  name: string;
  series: ChartSeries[];
  value: (value: number) => string;
  summary: string;
}

function Curves({ past, ...rest }: CurvesProps) {
  return (
    <Chart
      times={past.times}
      widthMs={past.widthMs}
      fromMs={past.span.fromMs}
      toMs={past.span.toMs}
      height={CHART_HEIGHT}
      page="resources"
      {...rest}
    />
  );
}
