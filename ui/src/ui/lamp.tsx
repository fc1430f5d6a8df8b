// A lamp that says how something is; its word stands beside it, so that nobody depends on the colour.

import type { ComponentChildren } from "preact";

export type LampColour = "green" | "yellow" | "red" | "grey";

export function Lamp({ colour, children }: { colour: LampColour; children?: ComponentChildren }) {
  return (
    <span class={`lamp lamp-${colour}`}>
      <span class="lamp-glass" aria-hidden="true" />
      {children !== undefined && <span class="lamp-word">{children}</span>}
    </span>
  );
}
