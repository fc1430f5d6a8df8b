// The heading of a table's last column, in which each row has its buttons.

import { useUi } from "./context";

export function ActionsHead() {
  const { t } = useUi();
  return (
    <th scope="col">
      <span class="visually-hidden">{t("common.actions")}</span>
    </th>
  );
}
