// A line that opens to more below it.

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { Icon } from "./icon";

interface Props {
  open: boolean;
  turn: () => void;
  head: ComponentChildren;
  children: ComponentChildren;
}

export function Expandable({ open, turn, head, children }: Props) {
  const id = useId();
  return (
    <>
      <button type="button" class="expand-head" aria-expanded={open} aria-controls={open ? id : undefined} onClick={turn}>
        <Icon name={open ? "down" : "right"} />
        <span class="expand-words">{head}</span>
      </button>
      {open && (
        <div id={id} class="expand-body">
          {children}
        </div>
      )}
    </>
  );
}
