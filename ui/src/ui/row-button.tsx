// A button at the end of a row: a picture, its words for those who do not see it.

import { Icon, type IconName } from "./icon";

interface Props {
  icon: IconName;
  words: string;
  /** Its name for tests. */
  name: string;
  /** What it leads to cannot be undone. */
  danger?: boolean;
  press: () => void;
}

export function RowButton({ icon, words, name, danger = false, press }: Props) {
  return (
    <button
      type="button"
      class={danger ? "icon-button danger" : "icon-button"}
      data-testid={name}
      aria-label={words}
      title={words}
      onClick={press}
    >
      <Icon name={icon} />
    </button>
  );
}
