// What changed lately: the same that stands as marks on the time axes, in words.

import type { Change } from "../../api/changes";
import type { TextKey } from "../../i18n/en";
import { address, type Changes } from "../../lib/route";
import { Level } from "../../ui/cells";
import { type Translate, useUi } from "../../ui/context";
import { Link } from "../../ui/link";

const SHOWN_MAX = 6;

/** What the change is of, by the kind of its record. */
const KINDS: Readonly<Record<string, TextKey>> = {
  process: "changes.process",
  config: "changes.config",
  alert: "changes.alert",
  certificate: "changes.certificate",
  resource: "changes.resource",
  audit: "changes.audit",
};

export function ChangeList({ changes, range }: { changes: Change[]; range: Changes }) {
  const { t, format } = useUi();
  return (
    <ol class="changes" data-testid="changes" data-count={changes.length}>
      {changes.slice(0, SHOWN_MAX).map((change) => (
        <li key={change.seq}>
          <span class="around-time">{format.dateTime(change.atMs)}</span>
          {change.level === "info" ? <span class="quiet">{kindWords(change.kind, t)}</span> : <Level level={change.level} />}
          <Link
            class="row-link"
            lang="en"
            href={address("discover", { ...range, kind: change.kind, open: `seq:${change.seq}` })}
          >
            {change.text}
          </Link>
        </li>
      ))}
    </ol>
  );
}

function kindWords(kind: string, t: Translate): string {
  const known = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined;
  return known === undefined ? kind : t(known);
}
