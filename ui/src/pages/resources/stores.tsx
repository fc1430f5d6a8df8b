// All stores of the house together: what each takes of its budget, and whether the budgets fit on their disk.

import type { Store, StoreDisk, Stores } from "../../api/processes";
import type { Changes } from "../../lib/route";
import { useUi } from "../../ui/context";
import { Lamp } from "../../ui/lamp";
import { Panel } from "../../ui/panel";
import { STORES } from "./words";

/** Beyond this, the day is far enough off not to be told in colour. */
const SOON_DAYS = 30;
const DAY_MS = 86_400_000;
const NEAR = 0.9;

export function StoreList({ stores, records }: { stores: Stores; records: Changes }) {
  const { t, format } = useUi();
  const at = stores.at == null ? null : Date.parse(stores.at);
  return (
    <Panel title={t("resources.stores")} note={t("resources.stores_note")} records={records}>
      {stores.stores.length === 0 && <p class="quiet panel-empty">{t("resources.not_measured")}</p>}
      {stores.disks.map((disk) => (
        <section key={disk.id} class="store-disk" data-testid="store-disk" data-fits={disk.fits}>
          <DiskHead disk={disk} atMs={at} />
          <ul class="rooms">
            {stores.stores
              .filter((store) => store.disk === disk.id)
              .map((store) => (
                <StoreRow key={store.name} store={store} atMs={at} />
              ))}
          </ul>
        </section>
      ))}
      {at !== null && <p class="room-note store-measured">{t("resources.measured", { time: format.moment(at) })}</p>}
    </Panel>
  );
}

function DiskHead({ disk, atMs }: { disk: StoreDisk; atMs: number | null }) {
  const { t, format } = useUi();
  const sizes = {
    taken: format.bytes(disk.store_bytes),
    more: format.bytes(disk.may_grow_bytes),
    free: format.bytes(disk.free_bytes),
    total: format.bytes(disk.total_bytes),
  };
  return (
    <div class="store-verdict">
      <Lamp colour={disk.fits ? "green" : "yellow"}>{t(disk.fits ? "resources.fits" : "resources.fits_not", sizes)}</Lamp>
      <span class="room-note">{t("resources.disk", sizes)}</span>
      <Full days={disk.full_in_days} atMs={atMs} words="resources.disk_full" none="probes.not_filling" />
    </div>
  );
}

function StoreRow({ store, atMs }: { store: Store; atMs: number | null }) {
  const { t, format } = useUi();
  const words = STORES[store.name];
  const share = store.limit_bytes === null ? null : store.bytes / Math.max(store.limit_bytes, 1);
  return (
    <li data-testid="store" data-store={store.name} data-bytes={store.bytes}>
      <span class="room-name" title={store.path}>
        {words === undefined ? store.name : t(words)}
      </span>
      <span>
        {format.bytes(store.bytes)}
        {store.limit_bytes !== null && (
          <span class="room-note"> {t("processes.of", { size: format.bytes(store.limit_bytes) })}</span>
        )}
      </span>
      {share !== null && (
        <span
          class={`room-bar ${share > NEAR ? "room-warning" : "room-ok"}`}
          style={{ "--whole": `${Math.min(share, 1) * 100}%` }}
          aria-hidden="true"
        />
      )}
      {store.limit_bytes === null ? (
        <span class="room-note">{t("resources.no_budget")}</span>
      ) : (
        <Full days={store.limit_in_days} atMs={atMs} words="resources.budget_full" none="resources.budget_rests" />
      )}
      {store.cut && <span class="room-warn">{t("resources.cut")}</span>}
    </li>
  );
}

interface FullProps {
  days: number | null;
  atMs: number | null;
  words: "resources.disk_full" | "resources.budget_full";
  none: "probes.not_filling" | "resources.budget_rests";
}

function Full({ days, atMs, words, none }: FullProps) {
  const { t, format } = useUi();
  if (days === null || atMs === null) return <span class="room-note">{t(none)}</span>;
  const soon = words === "resources.disk_full" && days <= SOON_DAYS;
  return (
    <span class={soon ? "room-warn" : "room-note"}>
      {t(words, { day: format.day(atMs + days * DAY_MS), days: format.count(days) })}
    </span>
  );
}
