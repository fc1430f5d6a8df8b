// What the roles are called, and what each may do.

import type { Role } from "../../api/session";
import type { TextKey } from "../../i18n/en";

export const ROLE_TEXTS: Record<Role, { name: TextKey; note: TextKey }> = {
  viewer: { name: "users.viewer", note: "users.viewer_note" },
  operator: { name: "users.operator", note: "users.operator_note" },
  admin: { name: "users.admin", note: "users.admin_note" },
};
