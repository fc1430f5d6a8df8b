// A titled part of a page.

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface Props {
  title: string;
  note?: string | undefined;
  actions?: ComponentChildren;
  children: ComponentChildren;
  area?: string;
}

export function Panel({ title, note, actions, children, area }: Props) {
  const id = useId();
  return (
    <section class={area === undefined ? "panel" : `panel area-${area}`} aria-labelledby={id}>
      <header class="panel-head">
        <h2 id={id}>{title}</h2>
        {note !== undefined && <span class="panel-note">{note}</span>}
        {actions !== undefined && <div class="panel-actions">{actions}</div>}
      </header>
      {children}
    </section>
  );
}
