// The few icons of the console, drawn on a 16 × 16 grid.

const PATHS = {
  overview: "M2.5 13.5V8.5m3.7 5V3.5m3.7 10V6.5m3.6 7V5",
  requests: "M2.5 4h11m-11 4h11m-11 4h7",
  chat: "M2.5 3.5h11v7.5H8l-3 2.5V11H2.5z",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zm3.3-1.2 3.2 3.2",
  close: "m4 4 8 8m0-8-8 8",
  copy: "M5.5 5.5v-3h8v8h-3m-8-5h8v8h-8z",
  check: "m3 8.5 3.2 3.2L13 4.5",
  sun: "M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6zM8 1.5v1.3m0 10.4v1.3M1.5 8h1.3m10.4 0h1.3M3.4 3.4l.9.9m7.4 7.4.9.9m0-9.2-.9.9m-7.4 7.4-.9.9",
  moon: "M13.5 9.5A5.8 5.8 0 0 1 6.5 2.5a5.8 5.8 0 1 0 7 7z",
  auto: "M8 13.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11zm0-11v11m2-10.4v9.8m2-8v6.2",
  out: "M9.5 2.5h-6v11h6M7 8h7m-2.5-2.5L14 8l-2.5 2.5",
  pause: "M5.5 3.5v9m5-9v9",
  play: "M4.5 3v10l8-5z",
  send: "M8 13.5v-11m-4.5 4.5L8 2.5 12.5 7",
  stop: "M4.5 4.5h7v7h-7z",
  again: "M13 8a5 5 0 1 1-1.6-3.7L13 5.8M13 2.5v3.3H9.7",
  plus: "M8 3.5v9M3.5 8h9",
  minus: "M3.5 8h9",
  up: "m4 10 4-4 4 4",
  down: "m4 6 4 4 4-4",
  right: "m6 4 4 4-4 4",
  calendar: "M2.5 4h11v9.5h-11zm0 3h11M5.5 2.2v3m5-3v3",
  language: "M1.8 3.5h7M5.3 1.8v1.7m2.3 0c-.5 2.6-2.5 5-5.5 6.2m.9-4.3c.9 1.7 2.3 3 4.2 3.9m1 4.9 3-7.7 3 7.7m-5-2.5h4",
  efficiency: "M2.5 13.5h11M4 11l3-4 2.5 2L13 3.5m-3 0h3v3",
  key: "M10.5 9a3.5 3.5 0 1 0-3.3-2.4L2.5 11.3v2.2h2.2v-1.6h1.6v-1.6L7.6 9c.6.3 1.7 0 2.9 0zm.7-3.9v.2",
  sources: "M2.5 3.5h8m-8 3.5h5m-5 3.5h8m-8 3.5h5m6.5-7.5v4m-2-2 2 2 2-2",
  bookmark: "M4.5 2.5h7v11L8 10.8l-3.5 2.7z",
  download: "M8 2.5v8m-3.2-3L8 10.7l3.2-3.2M2.5 13.5h11",
  columns: "M2.5 3h11v10h-11zm3.7 0v10m3.6-10v10",
  compare: "M2.5 5h8m-2.6-2.6L10.5 5 7.9 7.6M13.5 11h-8m2.6-2.6L5.5 11l2.6 2.6",
  fields: "M2.5 3.5h5m-5 4.5h5m-5 4.5h5m3-9h3m-3 4.5h3m-3 4.5h3",
  terminal: "M2.5 3h11v10h-11zm2.3 3 2 2-2 2M8.5 10.5H11",
  trash: "M3 4.5h10m-6.5 0v-2h3v2m-5 0 .6 9h5.8l.6-9",
  around: "M8 4.5v7M4.5 8h7M2.5 2.5h3m5 0h3v3m0 5v3h-3m-5 0h-3v-3m0-5v-3",
  link: "M6.8 9.2a2.5 2.5 0 0 0 3.6 0l2.3-2.3a2.5 2.5 0 0 0-3.6-3.6L8 4.4m1.2 2.4a2.5 2.5 0 0 0-3.6 0L3.3 9.1a2.5 2.5 0 0 0 3.6 3.6L8 11.6",
  bell: "M4 11.5V7a4 4 0 0 1 8 0v4.5l1.5 1h-11zm2.7 2.2h2.6",
  quiet: "M4 11.5V7c0-.7.2-1.4.5-2m1.8-1.6A4 4 0 0 1 12 7v3.6M10 12.5H2.5l1.5-1m2.7 2.2h2.6M2.5 2.5l11 11",
  pulse: "M1.8 8.5h3l1.7-5 3 9 1.7-4h3",
  person: "M8 8a2.7 2.7 0 1 0 0-5.4A2.7 2.7 0 0 0 8 8zm-5 5.5c.4-2.6 2.4-4 5-4s4.6 1.4 5 4",
  users: "M6 7.6a2.4 2.4 0 1 0 0-4.8 2.4 2.4 0 0 0 0 4.8zm-4.3 5.6c.3-2.3 2-3.5 4.3-3.5s4 1.2 4.3 3.5M10.4 3a2.3 2.3 0 0 1 0 4.4m1.6 2.5c1.4.5 2.2 1.6 2.4 3.3",
  pencil: "M3 13l.7-3L10.5 3.2l2.3 2.3L6 12.3zM9 4.7 11.3 7",
  clip: "M12.5 7.5 8 12a2.8 2.8 0 0 1-4-4l5-5a1.9 1.9 0 0 1 2.7 2.7l-4.8 4.8a.9.9 0 0 1-1.4-1.3L9.8 5",
  sliders: "M2.5 4.5h6m3 0h2m-11 7h2m3 0h6M8.5 3v3m-4 4v3",
  board: "M2.5 2.5h5v7h-5zm7 0h4v3.5h-4zm0 5.5h4v5.5h-4zm-7 3.5h5v2h-5z",
  grip: "M6 4v.1M10 4v.1M6 8v.1M10 8v.1M6 12v.1M10 12v.1",
  upload: "M8 10.5v-8m-3.2 3L8 2.3l3.2 3.2M2.5 13.5h11",
  warning: "M8 2.5 14 13H2zM8 6.5v3m0 1.8v.2",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
