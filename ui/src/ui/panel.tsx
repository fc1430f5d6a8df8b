// A titled part of a page.

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import type { Changes } from "../lib/route";
import { InDiscover } from "./in-discover";

interface Props {
  title: string;
  note?: string | undefined;
  actions?: ComponentChildren;
  children: ComponentChildren;
  area?: string;
  /** The records that its figures are made of, as an address of Discover says them. */
  records?: Changes | undefined;
}

export function Panel({ title, note, actions, children, area, records }: Props) {
  const id = useId();
  return (
    <section class={area === undefined ? "panel" : `panel area-${area}`} aria-labelledby={id}>
      <header class="panel-head">
        <h2 id={id}>{title}</h2>
        {note !== undefined && <span class="panel-note">{note}</span>}
        {(actions !== undefined || records !== undefined) && (
          <div class="panel-actions">
            {actions}
            {records !== undefined && <InDiscover records={records} />}
          </div>
        )}
      </header>
      {children}
    </section>
  );
}
