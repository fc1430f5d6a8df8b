// Chooses the time range of a page; the address keeps it.

import { useEffect, useRef, useState } from "preact/hooks";
import { fromLocalInput, PRESETS, presetOf, presetRange, rangeOf, resolve, type TimeRange, toLocalInput } from "../lib/range";
import { address, changed, go, type Page } from "../lib/route";
import type { Zone } from "../lib/format";
import { useUi } from "./context";
import { Icon } from "./icon";

interface Props {
  page: Page;
  params: URLSearchParams;
}

export function RangePicker({ page, params }: Props) {
  const { t, format } = useUi();
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const range = rangeOf(params);
  const preset = presetOf(range);

  useEffect(() => {
    if (!open) return;
    const leave = (event: Event) => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) setOpen(false);
    };
    const escapeKey = (event: KeyboardEvent) => {
      if (event.key === "Escape") setOpen(false);
    };
    addEventListener("keydown", escapeKey);
    addEventListener("pointerdown", leave);
    addEventListener("focusin", leave);
    return () => {
      removeEventListener("keydown", escapeKey);
      removeEventListener("pointerdown", leave);
      removeEventListener("focusin", leave);
    };
  }, [open]);

  const choose = (next: TimeRange) => {
    setOpen(false);
    go(address(page, changed(params, { from: next.from, to: next.to })));
  };
  const span = resolve(range, Date.now());
  const custom =
    preset === null
      ? `${format.clock(span.fromMs, 3_600_000)} – ${span.live ? "…" : format.clock(span.toMs, 3_600_000)}`
      : t("range.custom");

  return (
    <div class="range" ref={root} data-testid="range-picker" data-from={range.from} data-to={range.to}>
      <div class="segments" role="group" aria-label={t("range.label")}>
        {PRESETS.map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={name === preset}
            data-range={name}
            onClick={() => choose(presetRange(name))}
          >
            {name}
          </button>
        ))}
        <button
          type="button"
          aria-pressed={preset === null}
          aria-expanded={open}
          data-range="custom"
          title={t("range.custom")}
          onClick={() => setOpen(!open)}
        >
          <Icon name="calendar" />
          <span class="range-custom">{custom}</span>
        </button>
      </div>
      {open && <CustomRange fromMs={span.fromMs} toMs={span.toMs} choose={choose} page={page} params={params} />}
    </div>
  );
}

interface CustomProps extends Props {
  fromMs: number;
  toMs: number;
  choose: (range: TimeRange) => void;
}

const ZONES: Zone[] = ["local", "utc"];

function CustomRange({ fromMs, toMs, choose, page, params }: CustomProps) {
  const { t, zone } = useUi();
  const [from, setFrom] = useState(toLocalInput(fromMs, zone));
  const [to, setTo] = useState(toLocalInput(toMs, zone));
  const [wrong, setWrong] = useState(false);
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zoneWords = { local: t("range.local", { zone: here }), utc: "UTC" };

  const chooseZone = (next: Zone) => {
    setFrom(toLocalInput(fromLocalInput(from, zone), next));
    setTo(toLocalInput(fromLocalInput(to, zone), next));
    go(address(page, changed(params, { tz: next === "utc" ? "utc" : null })), true);
  };

  const apply = (event: Event) => {
    event.preventDefault();
    const start = fromLocalInput(from, zone);
    const end = fromLocalInput(to, zone);
    // Written so that an unreadable date is wrong too.
    if (!(start < end)) return setWrong(true);
    choose({ from: new Date(start).toISOString(), to: new Date(end).toISOString() });
  };

  return (
    <form class="popover range-form" onSubmit={apply}>
      <label>
        <span>{t("range.from")}</span>
        <input type="datetime-local" value={from} onInput={(event) => setFrom(event.currentTarget.value)} />
      </label>
      <label>
        <span>{t("range.to")}</span>
        <input type="datetime-local" value={to} onInput={(event) => setTo(event.currentTarget.value)} />
      </label>
      <div class="segments range-zone" role="group" aria-label={t("range.zone")}>
        {ZONES.map((name) => (
          <button
            key={name}
            type="button"
            data-zone={name}
            aria-pressed={zone === name}
            onClick={() => chooseZone(name)}
          >
            {zoneWords[name]}
          </button>
        ))}
      </div>
      {wrong && (
        <p class="field-error" role="alert">
          {t("range.order")}
        </p>
      )}
      <button type="submit" class="button primary">
        {t("range.apply")}
      </button>
    </form>
  );
}

/** Pauses and resumes the refresh of a page. */
export function LiveSwitch({ page, params }: Props) {
  const { t } = useUi();
  const live = isLive(params);
  return (
    <button
      type="button"
      class={live ? "live live-on" : "live"}
      data-testid="live-switch"
      aria-pressed={live}
      title={t(live ? "range.live_on" : "range.live_off")}
      onClick={() => go(address(page, changed(params, { live: live ? "off" : null })), true)}
    >
      <span class="live-dot" aria-hidden="true" />
      {t(live ? "range.live" : "range.paused")}
    </button>
  );
}

export function isLive(params: URLSearchParams): boolean {
  return params.get("live") !== "off" && rangeOf(params).to === "now";
}
