// Fields of a form: words above, a hint below.

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

interface ChoiceProps<T extends string> extends Omit<Props, "children"> {
  name?: string;
  value: T;
  /** What can be chosen: the value, and its words. */
  options: readonly (readonly [T, string])[];
  change: (value: T) => void;
}

export function Choice<T extends string>({ words, hint, name, value, options, change }: ChoiceProps<T>) {
  return (
    <Field words={words} hint={hint}>
      <select name={name} value={value} onChange={(event) => change(event.currentTarget.value as T)}>
        {options.map(([each, shown]) => (
          <option key={each} value={each}>
            {shown}
          </option>
        ))}
      </select>
    </Field>
  );
}
