// How panels stand on the grid of twelve columns: in their order, each with its size.

import { HEIGHT_MAX, type Panel, WIDTH_MAX } from "../api/dashboards";

/** The same things with one of them in another place. */
export function moved<T>(things: readonly T[], from: number, to: number): T[] {
  const thing = things[from];
  if (thing === undefined) return [...things];
  const rest = things.filter((_, at) => at !== from);
  return [...rest.slice(0, to), thing, ...rest.slice(to)];
}

export function resized(panel: Panel, wide: number, high: number): Panel {
  const within = (size: number, max: number) => Math.max(1, Math.min(max, size));
  return { ...panel, width: within(panel.width + wide, WIDTH_MAX), height: within(panel.height + high, HEIGHT_MAX) };
}
