// A browser's own name, shortened to what people know it by.

const BROWSERS: [RegExp, string][] = [
  [/\bEdg\/(\d+)/, "Edge"],
  [/\bOPR\/(\d+)/, "Opera"],
  [/\bFirefox\/(\d+)/, "Firefox"],
  [/\b(?:Headless)?Chrome\/(\d+)/, "Chrome"],
  [/\bVersion\/(\d+).*\bSafari\//, "Safari"],
];
const SYSTEMS: [RegExp, string][] = [
  [/Android/, "Android"],
  [/iPhone|iPad/, "iOS"],
  [/Windows/, "Windows"],
  [/Mac OS X/, "macOS"],
  [/Linux/, "Linux"],
];
const OTHER_CHARS_MAX = 40;

/** `Chrome 131 · Linux`; what is no browser is shown by its own words. */
export function agentName(agent: string): string {
  const browser = BROWSERS.map(([pattern, name]) => ({ name, version: pattern.exec(agent)?.[1] })).find(
    ({ version }) => version !== undefined,
  );
  if (browser === undefined) return agent.slice(0, OTHER_CHARS_MAX);
  const system = SYSTEMS.find(([pattern]) => pattern.test(agent))?.[1];
  const name = `${browser.name} ${browser.version}`;
  return system === undefined ? name : `${name} · ${system}`;
}
