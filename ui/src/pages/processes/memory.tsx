// What a process uses, beside what it may.

import type { Process } from "../../api/processes";
import { useUi } from "../../ui/context";

export function Memory({ process }: { process: Process }) {
  const { t, format } = useUi();
  const { memory_bytes: used, memory_soft_bytes: soft, memory_hard_bytes: hard, pressure, pressure_limit: most } = process;
  if (used === null) return null;
  const limit = hard ?? soft;
  const above = (bound: number | null) => bound !== null && used > bound;
  const tone = above(hard) ? "room-fault" : above(soft) ? "room-warning" : "room-ok";
  return (
    <div class="process-memory">
      <span>
        {format.bytes(used)}
        {limit !== null && <span class="room-note"> {t("processes.of", { size: format.bytes(limit) })}</span>}
      </span>
      {limit !== null && (
        <span
          class={`room-bar ${tone}`}
          style={{ "--whole": `${Math.min(used / Math.max(limit, 1), 1) * 100}%` }}
          aria-hidden="true"
        />
      )}
      {pressure !== null && most !== null && (
        <span class={pressure > most ? "room-warn" : "room-note"}>
          {t("processes.pressure", { share: format.percent(pressure / 100), limit: format.percent(most / 100) })}
        </span>
      )}
    </div>
  );
}
