// A time chart with its legend and what stands under the pointer; the drawing code comes when it is first needed.

import { useEffect, useRef, useState } from "preact/hooks";
import { address, changed, go, type Page } from "../lib/route";
import { useUi } from "../ui/context";
import type { Plot, PlotSeries, PlotSpec } from "./plot";

export interface ChartSeries extends PlotSeries {
  label: string;
  /** What the pointer shows instead of the drawn value (stacked curves draw sums). */
  shown?: (number | null)[];
  /** Not in the legend and not under the pointer. */
  quiet?: boolean;
  /** Stands in the legend beside the name. */
  total?: string;
}

export interface Mark {
  ms: number;
  text: string;
  fault: boolean;
}

const NO_MARKS: Mark[] = [];

interface Props {
  name: string;
  times: number[];
  widthMs: number;
  fromMs: number;
  toMs: number;
  series: ChartSeries[];
  height: number;
  axes?: boolean;
  value: (value: number) => string;
  /** Short form for the axis; `value` when absent. */
  axisValue?: (value: number) => string;
  page: Page;
  params: URLSearchParams;
  summary: string;
  legend?: boolean;
  /** What happened meanwhile. */
  marks?: Mark[];
}

const ZOOM_MS_MIN = 1_000;

export function Chart(props: Props) {
  const { t, format, language, theme, zone } = useUi();
  const { axes = true, legend = true, marks = NO_MARKS, series, times, widthMs } = props;
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot | null>(null);
  const [hover, setHover] = useState<{ index: number; left: number } | null>(null);

  const spec: PlotSpec = {
    times,
    widthMs,
    fromMs: props.fromMs,
    toMs: props.toMs,
    series,
    marks: marks.map(({ ms, fault }) => ({ ms, colour: fault ? "--fault" : "--ink-3" })),
    height: props.height,
    axes,
    utc: zone === "utc",
    value: props.axisValue ?? props.value,
    clock: format.clock,
    onHover: setHover,
    onSelect: (fromMs, toMs) => {
      if (toMs - fromMs < ZOOM_MS_MIN) return;
      const range = { from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() };
      go(address(props.page, changed(props.params, range)));
    },
  };
  const latest = useRef(spec);
  latest.current = spec;

  // Colours and the kinds of the curves are fixed when a plot is made; new ones need a new plot.
  const kinds = series.map((one) => `${one.kind}${one.colour}${one.bandTo ?? ""}${one.spans ?? ""}`);
  const shape = [theme, language, zone, props.height, axes, ...kinds].join();
  useEffect(() => {
    let gone = false;
    let sizes: ResizeObserver | null = null;
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const make = async () => {
      const { createPlot } = await import("./plot");
      const element = host.current;
      if (gone || element === null) return;
      const draw = () => {
        plot.current?.destroy();
        plot.current = createPlot(element, latest.current);
      };
      draw();
      scheme.onchange = draw;
      sizes = new ResizeObserver(() => plot.current?.setWidth(element.clientWidth));
      sizes.observe(element);
    };
    void make();
    return () => {
      gone = true;
      scheme.onchange = null;
      sizes?.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape]);

  // Only new data is drawn anew: uPlot tells the pointer's place after each drawing, and that renders this component.
  useEffect(() => plot.current?.setData(latest.current), [series, times, marks]);

  const told = series.filter((one) => one.quiet !== true);
  // Where nothing came the count is 0; a curve of samples has a value where it is 0, too.
  const empty = series.every((one) => one.values.every((value) => value === null || (value === 0 && !one.spans)));
  return (
    <figure class="chart" data-testid={`chart-${props.name}`}>
      {legend && <Legend series={told} />}
      <div class="chart-host" ref={host} title={axes ? undefined : t("chart.zoom")} data-height={props.height}>
        {hover !== null && times[hover.index] !== undefined && (
          <HoverCard hover={hover} series={told} time={times[hover.index] ?? 0} widthMs={widthMs} value={props.value} marks={marks} />
        )}
      </div>
      {empty && <p class="chart-empty">{t("chart.no_data")}</p>}
      <figcaption class="visually-hidden">{props.summary}</figcaption>
    </figure>
  );
}

export function Legend({ series }: { series: ChartSeries[] }) {
  return (
    <ul class="legend">
      {series.map((one) => (
        <li key={one.label}>
          <span class={`swatch swatch-${one.kind} ${colourClass(one.colour)}`} aria-hidden="true" />
          <span class="legend-name">{one.label}</span>
          {one.total !== undefined && <span class="legend-total">{one.total}</span>}
        </li>
      ))}
    </ul>
  );
}

interface HoverProps {
  hover: { index: number; left: number };
  series: ChartSeries[];
  time: number;
  widthMs: number;
  value: (value: number) => string;
  marks: Mark[];
}

/** Marks that are told under the pointer. */
const MARKS_TOLD_MAX = 4;

function HoverCard({ hover, series, time, widthMs, value, marks }: HoverProps) {
  const { format } = useUi();
  const rows = series.flatMap((one) => {
    const found = (one.shown ?? one.values)[hover.index];
    return found === null || found === undefined ? [] : [{ one, found }];
  });
  const here = marks.filter(({ ms }) => ms >= time && ms < time + widthMs).slice(0, MARKS_TOLD_MAX);
  if (rows.length === 0 && here.length === 0) return null;
  const half = hover.left > 260;
  return (
    <div class={half ? "hover hover-left" : "hover"} style={{ "--left": `${hover.left}px` }} aria-hidden="true">
      <div class="hover-time">
        {format.clock(time, widthMs)} – {format.clock(time + widthMs, widthMs)}
      </div>
      {rows.map(({ one, found }) => (
        <div class="hover-row" key={one.label}>
          <span class={`swatch swatch-${one.kind} ${colourClass(one.colour)}`} />
          <span class="hover-name">{one.label}</span>
          <span class="hover-value">{value(found)}</span>
        </div>
      ))}
      {here.map((mark) => (
        <div class={mark.fault ? "hover-mark hover-fault" : "hover-mark"} key={`${mark.ms} ${mark.text}`}>
          {mark.text}
        </div>
      ))}
    </div>
  );
}

/** `--series-2` is the class `series-2`. */
function colourClass(variable: string): string {
  return variable.slice(2);
}

export const MODEL_COLOURS = ["--series-1", "--series-2", "--series-3", "--series-4", "--series-5", "--series-6"];
