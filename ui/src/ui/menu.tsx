// A button that opens a small window below it; Escape, a click elsewhere and leaving it by keyboard close it.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon, type IconName } from "./icon";

interface Props {
  name: string;
  icon: IconName;
  label: string;
  /** Gets a function that closes the window. */
  children: (close: () => void) => ComponentChildren;
}

export function Menu({ name, icon, label, children }: Props) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);

  useEffect(() => {
    if (!open) return;
    const leave = (event: Event) => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) setOpen(false);
    };
    const escapeKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      setOpen(false);
      button.current?.focus();
    };
    addEventListener("keydown", escapeKey, true);
    addEventListener("pointerdown", leave);
    addEventListener("focusin", leave);
    return () => {
      removeEventListener("keydown", escapeKey, true);
      removeEventListener("pointerdown", leave);
      removeEventListener("focusin", leave);
    };
  }, [open]);

  return (
    <div class="menu" ref={root}>
      <button
        ref={button}
        type="button"
        class="button"
        data-testid={`${name}-menu`}
        aria-expanded={open}
        aria-label={label}
        title={label}
        onClick={() => setOpen(!open)}
      >
        <Icon name={icon} />
        <span class="button-words">{label}</span>
      </button>
      {open && <div class="popover menu-popover">{children(() => setOpen(false))}</div>}
    </div>
  );
}
