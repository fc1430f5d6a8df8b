// Disks with the day on which they will be full, and certificates by the days they have left.

import { certificates, type Probe, rooms } from "../../api/probes";
import { address } from "../../lib/route";
import { useUi } from "../../ui/context";
import { Link } from "../../ui/link";
import { Panel } from "../../ui/panel";

const TONES: Record<string, string> = { ok: "room-ok", warn: "room-warning", fault: "room-fault" };
/** A certificate is shown against so many days: the longest that authorities give. */
const LIFE_DAYS = 90;
/** Beyond this, the day is far enough off not to be told in colour. */
const SOON_DAYS = 30;

export function Rooms({ probes, always = false }: { probes: Probe[]; always?: boolean }) {
  const { t, format } = useUi();
  const list = rooms(probes);
  if (list.length === 0 && !always) return null;
  return (
    <Panel
      area="room"
      title={t("probes.disks")}
      note={t("probes.disks_note")}
      records={{ kind: "probe", q: "probe_kind:disk" }}
    >
      <ul class="rooms" data-testid="rooms">
        {list.map((room) => {
          const soon = room.fullInDays !== null && room.fullInDays <= SOON_DAYS;
          return (
            <li key={room.id} data-disk={room.name} data-full-in={room.fullInDays ?? ""}>
              <Link class="row-link room-name" href={address("probes", { probe: room.id })}>
                {room.name}
              </Link>
              <span>
                {room.usedPercent === null ? "" : format.percent(room.usedPercent / 100)}
                <span class="room-note"> {t("probes.free", { size: format.bytes(room.freeBytes) })}</span>
              </span>
              <span
                class={`room-bar ${TONES[room.outcome] ?? "room-ok"}`}
                style={{ "--whole": `${room.usedPercent ?? 0}%` }}
                aria-hidden="true"
              />
              <span class={soon ? "room-warn" : "room-note"}>
                {room.fullAtMs === null
                  ? t("probes.not_filling")
                  : t("probes.full_on", { day: format.day(room.fullAtMs), days: format.count(room.fullInDays) })}
              </span>
            </li>
          );
        })}
      </ul>
    </Panel>
  );
}

export function Certificates({ probes }: { probes: Probe[] }) {
  const { t, format } = useUi();
  const list = certificates(probes);
  if (list.length === 0) return null;
  return (
    <Panel
      area="certificates"
      title={t("probes.certificates")}
      note={t("probes.certificates_note")}
      records={{ kind: "probe", q: "probe_kind:certificate" }}
    >
      <ul class="rooms" data-testid="certificates">
        {list.map((one) => (
          <li key={one.id} data-days={one.daysLeft}>
            <Link class="row-link room-name" href={address("probes", { probe: one.id })}>
              {one.name}
            </Link>
            <span class={one.outcome === "ok" ? "" : "room-warn"}>
              {t("probes.days", { count: format.count(Math.floor(one.daysLeft)) })}
            </span>
            <span
              class={`room-bar ${TONES[one.outcome] ?? "room-ok"}`}
              style={{ "--whole": `${Math.min(Math.max(one.daysLeft / LIFE_DAYS, 0), 1) * 100}%` }}
              aria-hidden="true"
            />
          </li>
        ))}
      </ul>
    </Panel>
  );
}
