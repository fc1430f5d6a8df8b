// Who did something, as the server writes it down, in the language of the page.

import type { TextKey } from "../i18n/en";
import type { Translate } from "../ui/context";

/** Those that are no persons, and the roles by which sessions without a user are known. */
const NAMED: Readonly<Record<string, TextKey>> = {
  schedule: "who.schedule",
  "command line": "who.command_line",
  expiry: "who.expiry",
  viewer: "users.viewer",
  operator: "users.operator",
  admin: "users.admin",
};

/** By what way a person came: `console: ann`, `link: ops`, `link of ops`. */
const WAYS: Readonly<Record<string, TextKey>> = { console: "who.console", link: "who.link" };

/** Names of people and of other programs stay as they are. */
export function whoWords(who: string, t: Translate): string {
  const [, way = "", name = ""] = /^([a-z]+)(?:: | of )(.+)$/.exec(who) ?? [];
  const known = Object.hasOwn(WAYS, way) ? WAYS[way] : undefined;
  return known === undefined ? nameWords(who, t) : t(known, { name: nameWords(name, t) });
}

function nameWords(name: string, t: Translate): string {
  const known = Object.hasOwn(NAMED, name) ? NAMED[name] : undefined;
  return known === undefined ? name : t(known);
}
