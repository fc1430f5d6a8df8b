// The way from what is shown to the records behind it.

import { address, type Changes } from "../lib/route";
import { useUi } from "./context";
import { Icon } from "./icon";
import { Link } from "./link";

export function InDiscover({ records }: { records: Changes }) {
  const { t } = useUi();
  const words = t("common.in_discover");
  return (
    <Link class="icon-button" data-testid="in-discover" href={address("discover", records)} aria-label={words} title={words}>
      <Icon name="search" />
    </Link>
  );
}
