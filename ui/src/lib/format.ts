// Numbers, durations and times as people of one language read them.

export type Language = "en" | "zh";

/** In which zone times are shown: that of the browser, or UTC. */
export type Zone = "local" | "utc";

const LOCALES: Record<Language, string> = { en: "en-GB", zh: "zh-CN" };

/** Short units are the same everywhere; of the long ones each language has its own. */
interface Units {
  minute: string;
  second: string;
  hour: string;
  day: string;
}

const UNITS: Record<Language, Units> = {
  en: { second: "s", minute: "min", hour: "h", day: "d" },
  zh: { second: "秒", minute: "分钟", hour: "小时", day: "天" },
};

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** What is shown where a value is not known. */
export const NONE = "–";

export interface Format {
  count(value: number | null): string;
  compact(value: number | null): string;
  percent(share: number | null): string;
  decimal(value: number | null, digits: number): string;
  /** Any number with as many digits as tell something. */
  number(value: number | null): string;
  duration(ms: number | null): string;
  /** A duration for an axis: no more digits than it needs. */
  tick(ms: number): string;
  clock(ms: number, widthMs: number): string;
  dateTime(ms: number | null): string;
  /** Day and time to the second. */
  moment(ms: number | null): string;
  day(ms: number | null): string;
  width(ms: number): string;
  bytes(value: number | null): string;
  /** How long ago or ahead of `nowMs` a moment is, in its largest unit. */
  relative(ms: number | null, nowMs: number): string;
}

export function formatFor(language: Language, zone: Zone = "local"): Format {
  const locale = LOCALES[language];
  const at: Intl.DateTimeFormatOptions = zone === "utc" ? { timeZone: "UTC" } : {};
  const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
  const short = new Intl.NumberFormat(locale, { notation: "compact", maximumSignificantDigits: 3 });
  const plain = new Intl.NumberFormat(locale, { maximumFractionDigits: 2 });
  const units = UNITS[language];
  const share = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 });
  const decimals = [0, 1, 2, 3].map(
    (digits) => new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits }),
  );
  const hour = new Intl.DateTimeFormat(locale, { ...at, hour: "2-digit", minute: "2-digit" });
  const second = new Intl.DateTimeFormat(locale, { ...at, hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const day = new Intl.DateTimeFormat(locale, { ...at, month: "short", day: "numeric" });
  const dayHour = new Intl.DateTimeFormat(locale, {
    ...at,
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
  });
  const full = new Intl.DateTimeFormat(locale, {
    ...at,
    month: "short",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
  });
  const moment = new Intl.DateTimeFormat(locale, {
    ...at,
    month: "short",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
  const date = new Intl.DateTimeFormat(locale, { ...at, year: "numeric", month: "short", day: "numeric" });
  const relation = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" });
  const known = (value: number | null): value is number => value !== null && Number.isFinite(value);
  const decimal = (value: number, digits: number) => (decimals[digits] ?? whole).format(value);

  return {
    count: (value) => (known(value) ? whole.format(value) : NONE),
    compact: (value) => (known(value) ? (Math.abs(value) < 10_000 ? whole : short).format(value) : NONE),
    percent: (value) => (known(value) ? share.format(value) : NONE),
    decimal: (value, digits) => (known(value) ? decimal(value, digits) : NONE),
    number: (value) => (known(value) ? plain.format(value) : NONE),
    duration: (ms) => (known(ms) ? duration(ms, decimal, units) : NONE),
    tick: (ms) => tick(ms, plain, units),
    clock: (ms, widthMs) => {
      if (widthMs < MINUTE) return second.format(ms);
      if (widthMs < 60 * MINUTE) return hour.format(ms);
      return widthMs < DAY ? dayHour.format(ms) : day.format(ms);
    },
    moment: (ms) => (known(ms) ? moment.format(ms) : NONE),
    day: (ms) => (known(ms) ? date.format(ms) : NONE),
    dateTime: (ms) => (known(ms) ? full.format(ms) : NONE),
    width: (ms) => width(ms, units),
    bytes: (value) => (known(value) ? bytes(value, plain) : NONE),
    relative: (ms, nowMs) => (known(ms) ? relative(ms - nowMs, relation) : NONE),
  };
}

function duration(ms: number, decimal: (value: number, digits: number) => string, units: Units): string {
  if (ms < 1) return ms === 0 ? "0 ms" : `${decimal(ms, 2)} ms`;
  if (ms < 999.5) return `${decimal(ms, ms < 10 ? 1 : 0)} ms`;
  if (ms < 9_995) return `${decimal(ms / 1000, 2)} s`;
  if (ms < 59_950) return `${decimal(ms / 1000, 1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} ${units.minute} ${seconds % 60} ${units.second}`;
  if (seconds < 86_400)
    return `${Math.floor(seconds / 3600)} ${units.hour} ${Math.floor((seconds % 3600) / 60)} ${units.minute}`;
  return `${Math.floor(seconds / 86_400)} ${units.day} ${Math.floor((seconds % 86_400) / 3600)} ${units.hour}`;
}

function tick(ms: number, plain: Intl.NumberFormat, units: Units): string {
  if (ms === 0) return "0";
  if (ms < 1000) return `${plain.format(ms)} ms`;
  if (ms < 2 * MINUTE) return `${plain.format(ms / 1000)} s`;
  return `${plain.format(ms / MINUTE)} ${units.minute}`;
}

function width(ms: number, units: Units): string {
  if (ms < MINUTE) return `${ms / 1000} ${units.second}`;
  if (ms < 60 * MINUTE) return `${ms / MINUTE} ${units.minute}`;
  if (ms < DAY) return `${ms / (60 * MINUTE)} ${units.hour}`;
  return `${ms / DAY} ${units.day}`;
}

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

function bytes(value: number, plain: Intl.NumberFormat): string {
  let left = value;
  let unit = 0;
  while (Math.abs(left) >= 999.5 && unit < BYTE_UNITS.length - 1) {
    left /= 1000;
    unit++;
  }
  const rounded = Math.abs(left) < 10 ? Math.round(left * 10) / 10 : Math.round(left);
  return `${plain.format(rounded)} ${BYTE_UNITS[unit] ?? "B"}`;
}

function relative(ms: number, relation: Intl.RelativeTimeFormat): string {
  const size = Math.abs(ms);
  if (size < MINUTE) return relation.format(Math.round(ms / 1000), "second");
  if (size < 60 * MINUTE) return relation.format(Math.round(ms / MINUTE), "minute");
  if (size < 2 * DAY) return relation.format(Math.round(ms / (60 * MINUTE)), "hour");
  return relation.format(Math.round(ms / DAY), "day");
}
