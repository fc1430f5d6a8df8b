// Parts of a row that several tables show.

import type { Row } from "../api/requests";
import { NONE } from "../lib/format";
import { useUi } from "./context";

export function StatusBadge({ row }: { row: Row }) {
  const { t } = useUi();
  const kind = row.status === null ? 0 : Math.floor(row.status / 100);
  const words = row.cancelled ? t("record.cancelled") : (row.error ?? undefined);
  return (
    <span class={`status status-${kind}`} title={words}>
      {row.status ?? NONE}
    </span>
  );
}

export function Model({ name }: { name: string | null }) {
  const { t } = useUi();
  if (name === null) return <span class="quiet">{t("common.no_model")}</span>;
  return (
    <span class="model" title={name} translate={false}>
      {name}
    </span>
  );
}

/** The duration with a bar of its length; the pale part of the bar is the wait for the first token. */
export function DurationBar({ row, longest }: { row: Row; longest: number }) {
  const { format } = useUi();
  const whole = row.durationMs ?? 0;
  const wait = Math.min(row.ttftMs ?? 0, whole);
  return (
    <span class="duration">
      <span
        class="duration-bar"
        style={{ "--wait": `${(wait / longest) * 100}%`, "--whole": `${(whole / longest) * 100}%` }}
        aria-hidden="true"
      />
      <span class="duration-text">{format.duration(row.durationMs)}</span>
    </span>
  );
}

export function Tags({ tags }: { tags: string[] }) {
  if (tags.length === 0) return null;
  return (
    <span class="tags" translate={false}>
      {tags.map((tag) => (
        <span
          key={tag}
          class={tag === "error_request" ? "tag tag-fault" : tag === "slow_request" ? "tag tag-warn" : "tag"}
        >
          {tag}
        </span>
      ))}
    </span>
  );
}

export function Level({ level }: { level: string | null }) {
  if (level === null) return null;
  const tone = ["error", "fatal", "critical"].includes(level) ? "fault" : level.startsWith("warn") ? "warn" : "plain";
  return (
    <span class={`level level-${tone}`} translate={false}>
      {level}
    </span>
  );
}
