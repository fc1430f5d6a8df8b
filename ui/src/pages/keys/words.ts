// What the roles and priorities of keys are called.

import type { TextKey } from "../../i18n/en";
import type { Translate } from "../../ui/context";

export const ROLES = ["user", "logs:read", "logs:write", "metrics:read", "admin"];
export const PRIORITIES = ["low", "normal", "high"];

const WORDS: Readonly<Record<string, TextKey>> = {
  user: "keys.role_user",
  "logs:read": "keys.role_logs_read",
  "logs:write": "keys.role_logs_write",
  "metrics:read": "keys.role_metrics_read",
  admin: "keys.role_admin",
  low: "keys.priority_low",
  normal: "keys.priority_normal",
  high: "keys.priority_high",
};

/** A role or a priority, in the language of the page. */
export function keyWords(word: string, t: Translate): string {
  const known = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
  return known === undefined ? word : t(known);
}
