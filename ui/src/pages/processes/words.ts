// Words for states, orders and reasons of processes.

import type { Order, Process, Why } from "../../api/processes";
import type { TextKey } from "../../i18n/en";
import type { Format } from "../../lib/format";
import type { Translate } from "../../ui/context";
import type { IconName } from "../../ui/icon";
import type { LampColour } from "../../ui/lamp";

export { ordersFor } from "../../api/processes";

export const STATES: Record<string, { text: TextKey; colour: LampColour }> = {
  stopped: { text: "processes.stopped", colour: "grey" },
  waiting: { text: "processes.waits", colour: "yellow" },
  starting: { text: "processes.starting", colour: "yellow" },
  ready: { text: "processes.ready", colour: "green" },
  draining: { text: "processes.draining", colour: "yellow" },
  stopping: { text: "processes.stopping", colour: "yellow" },
  backoff: { text: "processes.backoff", colour: "yellow" },
  paused: { text: "processes.paused", colour: "red" },
  failed: { text: "processes.failed", colour: "red" },
};

export const ORDER_WORDS: Record<Order, { words: TextKey; icon: IconName }> = {
  start: { words: "processes.start_name", icon: "play" },
  stop: { words: "processes.stop_name", icon: "stop" },
  restart: { words: "processes.restart_name", icon: "again" },
  confirm: { words: "processes.confirm_name", icon: "check" },
};

const REASONS: Record<string, TextKey> = {
  exit: "why.exit",
  signal: "why.signal",
  ended: "why.ended",
  final: "why.final",
  not_started: "why.not_started",
  not_ready: "why.not_ready",
  occupied: "why.occupied",
  silent: "why.silent",
  stalled: "why.stalled",
  memory: "why.memory",
  pressure: "why.pressure",
  pressure_group: "why.pressure_group",
  ordered_restart: "why.ordered_restart",
  ordered_stop: "why.ordered_stop",
  drained: "why.drained",
  undrained: "why.undrained",
  critical: "why.critical",
  often: "why.often",
};

/** States in which the last reason says something about now. */
const TELLING = new Set(["waiting", "backoff", "paused", "failed", "draining", "stopping", "starting"]);

/** Why it is where it is. */
export function reasonOf(process: Process, t: Translate, format: Format): string {
  if (process.state === "waiting" && process.why?.code !== "occupied") return t("processes.needs", { names: process.needs.join(", ") });
  if (process.why === null || !TELLING.has(process.state)) return "";
  const why = said(process.why, t, format);
  if (why === null) return process.reason ?? "";
  const asked = process.asked === null ? null : said(process.asked, t, format);
  // Full stops of Chinese have their space already.
  return asked === null ? why : `${why}${why.endsWith("。") ? "" : " "}${asked}`;
}

function said(why: Why, t: Translate, format: Format): string | null {
  const key = REASONS[why.code];
  if (key === undefined) return null;
  return t(key, {
    exit: why.exit ?? why.signal ?? "",
    signal: why.signal ?? "",
    times: why.times ?? "",
    error: why.error ?? "",
    place: why.place ?? "",
    time: why.ms == null ? "" : format.width(why.ms),
    bytes: format.bytes(why.bytes ?? null),
    limit: why.limit_bytes == null ? format.percent((why.limit_percent ?? 0) / 100) : format.bytes(why.limit_bytes),
    percent: format.percent((why.percent ?? 0) / 100),
  });
}
