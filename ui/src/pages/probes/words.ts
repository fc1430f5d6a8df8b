// Words for layers, outcomes and kinds of probes.

import type { Colour, Layer } from "../../api/probes";
import type { TextKey } from "../../i18n/en";
import type { LampColour } from "../../ui/lamp";

export const LAYERS: Record<Layer, TextKey> = {
  process: "probes.process",
  answer: "probes.answer",
  quality: "probes.quality",
  resource: "probes.resource",
};

export const COLOURS: Record<Colour, TextKey> = {
  green: "probes.green",
  yellow: "probes.yellow",
  red: "probes.red",
  grey: "probes.grey",
};

export const OUTCOMES: Record<string, { text: TextKey; colour: LampColour }> = {
  ok: { text: "probes.ok", colour: "green" },
  warn: { text: "probes.warn", colour: "yellow" },
  fault: { text: "probes.fault", colour: "red" },
  skipped: { text: "probes.skipped", colour: "grey" },
};

export const KINDS: Record<string, TextKey> = {
  process: "probes.kind_process",
  model: "probes.kind_model",
  quality: "probes.kind_quality",
  disk: "probes.kind_disk",
  certificate: "probes.kind_certificate",
  http: "probes.kind_http",
  gpu: "probes.kind_gpu",
  memory: "probes.kind_memory",
  clock: "probes.kind_clock",
};

export const CURVE_WORDS: Record<string, TextKey> = {
  ttft_ms: "column.ttft",
  duration_ms: "column.duration",
  score: "probes.score",
  used_percent: "probes.used",
  days_left: "probes.days_left",
  gpu_memory_used_percent: "probes.gpu_memory",
  gpu_utilisation: "probes.gpu_busy",
  memory_used_percent: "probes.memory",
  skew_ms: "probes.skew",
};
