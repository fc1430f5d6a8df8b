// Draws time charts with uPlot. Loaded when the first chart is shown.

import uPlot from "uplot";

/** An `edge` has no line of its own: it bounds a band. */
export type SeriesKind = "area" | "line" | "bars" | "points" | "dashes" | "edge";

export interface PlotSeries {
  kind: SeriesKind;
  /** Name of the CSS variable that holds the colour. */
  colour: string;
  values: (number | null)[];
  /** Whether the line goes on over buckets without a value: of what is measured now and then. */
  spans?: boolean;
  /** Position, among the series, of the one down to which the room below this one is filled. */
  bandTo?: number;
}

/** Something that happened at a moment. */
export interface PlotMark {
  ms: number;
  /** Name of the CSS variable that holds the colour. */
  colour: string;
}

export interface PlotSpec {
  /** Begin of each bucket, milliseconds since 1970. */
  times: number[];
  widthMs: number;
  fromMs: number;
  toMs: number;
  series: PlotSeries[];
  marks: PlotMark[];
  height: number;
  axes: boolean;
  utc: boolean;
  value: (value: number) => string;
  clock: (ms: number, stepMs: number) => string;
  /** The bucket under the pointer and its place in CSS pixels; null when the pointer leaves. */
  onHover: (hover: { index: number; left: number } | null) => void;
  onSelect: (fromMs: number, toMs: number) => void;
}

export interface Plot {
  setData: (spec: PlotSpec) => void;
  setWidth: (width: number) => void;
  destroy: () => void;
}

const AXIS_WIDTH = 54;
const ROOM_AT_RIGHT = 18;
/** Between the last label of an axis and the chart's edge. */
const LABEL_GAP = 2;
const DRAG_PX_MIN = 6;
/** How much of its colour a band has. */
const BAND_SHARE = 0.14;

/** Two ticks of the time axis are at least so many pixels apart. */
const LABEL_ROOM_MIN = 76;

/** The pointer's place in one chart is shown in all of them. */
const SYNC_KEY = "time";

export function createPlot(host: HTMLElement, first: PlotSpec): Plot {
  let spec = first;
  const colour = (name: string) => resolveColour(host, name);
  const line = colour("--line");
  const ink = colour("--ink-3");
  const font = `11px ${getComputedStyle(host).fontFamily}`;

  let lastLabel = { ms: 0, text: "" };
  /** The last label of the time axis stands around its tick: what of it is beyond the end of the axis needs room too. */
  const roomAtRight = (plot: uPlot) => {
    plot.ctx.font = font;
    const half = plot.ctx.measureText(lastLabel.text).width / 2;
    const [start, end] = [axisStart(spec), axisEnd(spec)];
    const toEnd = ((end - lastLabel.ms) / Math.max(end - start, 1)) * (plot.width - AXIS_WIDTH - ROOM_AT_RIGHT);
    return Math.max(ROOM_AT_RIGHT, Math.ceil(half - toEnd) + LABEL_GAP);
  };

  /** Pixels between two ticks of the time axis: labels with day and time are wider, more so in Chinese. */
  const roomForLabel = (plot: uPlot, _axis: number, min: number, max: number, width: number) => {
    const stepMs = ((max - min) * 1000 * LABEL_ROOM_MIN) / Math.max(width, 1);
    plot.ctx.save();
    plot.ctx.font = font;
    // The ticks then stand up to twice as far apart, at a round time.
    const widths = [stepMs, 2 * stepMs].map((step) => plot.ctx.measureText(spec.clock(max * 1000, step)).width);
    plot.ctx.restore();
    return Math.max(LABEL_ROOM_MIN, Math.ceil(Math.max(...widths)) + 4 * LABEL_GAP);
  };

  const options: uPlot.Options = {
    width: Math.max(host.clientWidth, 120),
    height: spec.height,
    padding: [8, spec.axes ? roomAtRight : 0, spec.axes ? 0 : 2, 0],
    legend: { show: false },
    ...(spec.utc ? { tzDate: (at: number) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC") } : {}),
    cursor: {
      sync: { key: SYNC_KEY, setSeries: false },
      drag: { x: true, y: false, setScale: false, dist: DRAG_PX_MIN },
      points: { show: spec.series.some((one) => one.kind === "line" || one.kind === "area"), size: 7 },
      y: false,
    },
    scales: {
      x: { time: true, range: () => [axisStart(spec) / 1000, axisEnd(spec) / 1000] },
      y: { range: (_plot, _low, high) => [0, Math.max(high, 1) * 1.08] },
    },
    axes: [
      {
        show: spec.axes,
        stroke: ink,
        font,
        size: 26,
        gap: 6,
        space: roomForLabel,
        grid: { show: false },
        ticks: { stroke: line, size: 4, width: 1 },
        values: (_plot, splits, _axis, _space, step) => {
          const labels = splits.map((at) => spec.clock(at * 1000, step * 1000));
          lastLabel = { ms: (splits.at(-1) ?? 0) * 1000, text: labels.at(-1) ?? "" };
          return labels;
        },
      },
      {
        show: spec.axes,
        stroke: ink,
        font,
        size: AXIS_WIDTH,
        gap: 6,
        space: 34,
        grid: { stroke: line, width: 1 },
        ticks: { show: false },
        values: (_plot, splits) => splits.map((at) => spec.value(at)),
      },
    ],
    series: [{}, ...spec.series.map((one) => seriesOptions(one, colour(one.colour)))],
    // The first series of uPlot is the time.
    bands: spec.series.flatMap((one, at) =>
      one.bandTo === undefined ? [] : [{ series: [at + 1, one.bandTo + 1], fill: faded(colour(one.colour), BAND_SHARE) }],
    ),
    hooks: {
      setCursor: [
        (plot) => {
          const { idx, left } = plot.cursor;
          const inside = idx !== null && idx !== undefined && left !== undefined && left >= 0;
          // Only the chart under the pointer tells its values.
          const own = plot.over.matches(":hover");
          spec.onHover(inside && own ? { index: idx, left: left + plot.over.offsetLeft } : null);
        },
      ],
      draw: [(plot) => drawMarks(plot, spec.marks, colour)],
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width < DRAG_PX_MIN) return;
          const from = plot.posToVal(left, "x") * 1000;
          const to = plot.posToVal(left + width, "x") * 1000;
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          if (plot.over.matches(":hover")) spec.onSelect(Math.round(from), Math.round(to));
        },
      ],
    },
  };
  const plot = new uPlot(options, aligned(spec), host);
  plot.over.addEventListener("mouseleave", () => spec.onHover(null));

  return {
    setData(next) {
      spec = next;
      plot.setData(aligned(next));
    },
    setWidth(width) {
      plot.setSize({ width: Math.max(width, 120), height: spec.height });
    },
    destroy() {
      plot.destroy();
    },
  };
}

/** A dashed line at each moment, with a small flag at its foot that also shows over bars. */
function drawMarks(plot: uPlot, marks: PlotMark[], colour: (name: string) => string): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio || 1;
  ctx.save();
  ctx.lineWidth = ratio;
  for (const mark of marks) {
    const x = Math.round(plot.valToPos(mark.ms / 1000, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = colour(mark.colour);
    ctx.fillStyle = ctx.strokeStyle;
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.beginPath();
    ctx.moveTo(x - 4 * ratio, bbox.top);
    ctx.lineTo(x + 4 * ratio, bbox.top);
    ctx.lineTo(x, bbox.top + 6 * ratio);
    ctx.fill();
  }
  ctx.restore();
}

function seriesOptions(one: PlotSeries, stroke: string): uPlot.Series {
  switch (one.kind) {
    case "area":
      return { stroke, width: 1.5, fill: faded(stroke, 0.16), points: lonePoints(stroke) };
    case "line":
      return { stroke, width: 1.5, points: lonePoints(stroke), spanGaps: one.spans === true };
    case "dashes":
      return { stroke, width: 1.5, dash: [3, 3], points: { show: false } };
    case "edge":
      return { stroke, width: 0, points: { show: false } };
    case "bars":
      return { stroke, width: 0, fill: stroke, points: { show: false }, paths: bars() };
    case "points":
      return { stroke, width: 0, paths: () => null, points: { show: true, size: 7, fill: stroke, width: 0 } };
  }
}

function bars(): uPlot.Series.PathBuilder {
  const build = uPlot.paths.bars;
  if (build === undefined) throw new Error("uPlot came without bars");
  // A bucket begins at its time: the bar stands to the right of it.
  return build({ size: [0.86, 40], align: 1 });
}

/** A value without neighbours has no line: it gets a point, or it would not be seen. */
function lonePoints(stroke: string): uPlot.Series.Points {
  return {
    show: true,
    size: 6,
    fill: stroke,
    width: 0,
    filter: (plot, at) => {
      const values = Array.from(plot.data[at] ?? []);
      const known = (index: number) => values[index] !== null && values[index] !== undefined;
      return values.flatMap((_, index) => (known(index) && !known(index - 1) && !known(index + 1) ? [index] : []));
    },
  };
}

function aligned(spec: PlotSpec): uPlot.AlignedData {
  const whole = (values: (number | null)[]) => [...values, ...Array.from({ length: spec.times.length - values.length }, () => null)];
  return [spec.times.map((time) => time / 1000), ...spec.series.map((one) => whole(one.values))];
}

function axisStart(spec: PlotSpec): number {
  return spec.times[0] ?? spec.fromMs;
}

function axisEnd(spec: PlotSpec): number {
  const last = spec.times.at(-1);
  if (last === undefined) return spec.toMs;
  const hasBars = spec.series.some((one) => one.kind === "bars");
  return hasBars ? last + spec.widthMs : Math.max(last, axisStart(spec) + spec.widthMs);
}

/** The colour that a CSS variable means here and now (themes change it). */
function resolveColour(host: HTMLElement, name: string): string {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  host.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function faded(colour: string, share: number): string {
  return colour.replace(/^rgb\((.+)\)$/, (_, parts: string) => `rgba(${parts}, ${share})`);
}
