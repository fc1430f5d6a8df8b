// A field of a form with its words above and a hint below.

import type { ComponentChildren } from "preact";

interface Props {
  words: string;
  hint?: string | undefined;
  children: ComponentChildren;
}

export function Field({ words, hint, children }: Props) {
  return (
    <label class="form-field">
      <span>{words}</span>
      {children}
      {hint !== undefined && <small class="quiet">{hint}</small>}
    </label>
  );
}
