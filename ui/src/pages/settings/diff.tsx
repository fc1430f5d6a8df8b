// What differs between two texts, line by line.

import type { DiffLine } from "../../api/settings";
import { useUi } from "../../ui/context";

const SIGNS: Record<DiffLine["what"], string> = { same: " ", out: "-", in: "+", gap: "⋯" };

export function Diff({ lines }: { lines: DiffLine[] }) {
  const { t } = useUi();
  if (lines.length === 0) return null;
  return (
    <div class="diff" tabIndex={0} role="group" aria-label={t("settings.diff")} data-testid="diff">
      {lines.map((line, at) => (
        <div key={at} class={`diff-line diff-${line.what}`} data-what={line.what}>
          <span class="diff-number" aria-hidden="true">
            {line.before ?? ""}
          </span>
          <span class="diff-number" aria-hidden="true">
            {line.after ?? ""}
          </span>
          <span class="diff-sign">{SIGNS[line.what]}</span>
          <code>{line.text}</code>
        </div>
      ))}
    </div>
  );
}
