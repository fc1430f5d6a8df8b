// Cuts the time of one request into the phases that it went through.

export type PhaseName =
  | "gateway"
  | "queue"
  | "connect"
  | "server"
  | "load"
  | "prefill"
  | "wait"
  | "decode"
  | "rest";

export interface Phase {
  name: PhaseName;
  startMs: number;
  durationMs: number;
}

/** The measured times of a request, in milliseconds; null where nothing was measured. */
export interface PhaseTimes {
  duration: number | null;
  queue: number | null;
  connect: number | null;
  load: number | null;
  prefill: number | null;
  ttft: number | null;
  decode: number | null;
}

/** Shorter gaps between the measured phases are not worth a bar of their own. */
const GAP_SHARE_MIN = 0.01;

/**
 * The phases one after another, from the arrival of the request to the end of its answer.
 * Time until the first token that no phase explains is `wait`, time after the last one `rest`;
 * rounding never makes a phase reach beyond the whole.
 */
export function phases(times: PhaseTimes): Phase[] {
  const measured = [times.queue, times.connect, times.load, times.prefill, times.decode];
  const total = times.duration ?? measured.reduce<number>((sum, part) => sum + (part ?? 0), 0);
  if (total <= 0) return [];
  const gapMin = total * GAP_SHARE_MIN;
  const list: Phase[] = [];
  let at = 0;
  const put = (name: PhaseName, duration: number | null) => {
    const length = Math.min(Math.max(duration ?? 0, 0), total - at);
    if (length <= 0) return;
    list.push({ name, startMs: at, durationMs: length });
    at += length;
  };

  put("queue", times.queue);
  put("connect", times.connect);
  put("load", times.load);
  put("prefill", times.prefill);
  if (times.ttft !== null && times.ttft - at > gapMin) put("wait", times.ttft - at);
  if (times.decode !== null) put("decode", times.decode);
  else if (times.ttft !== null) put("decode", total - at);
  if (total - at > gapMin) put("rest", total - at);
  return list;
}
