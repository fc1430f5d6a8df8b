// What changed lately: the same that stands as marks on the time axes, in words.

import type { Change } from "../../api/changes";
import { address, type Changes } from "../../lib/route";
import { Level } from "../../ui/cells";
import { useUi } from "../../ui/context";
import { Link } from "../../ui/link";

const SHOWN_MAX = 6;

export function ChangeList({ changes, range }: { changes: Change[]; range: Changes }) {
  const { format } = useUi();
  return (
    <ol class="changes" data-testid="changes" data-count={changes.length}>
      {changes.slice(0, SHOWN_MAX).map((change) => (
        <li key={change.seq}>
          <span class="around-time">{format.dateTime(change.atMs)}</span>
          {change.level === "info" ? <span class="quiet">{change.kind}</span> : <Level level={change.level} />}
          <Link class="row-link" href={address("discover", { ...range, kind: change.kind, open: `seq:${change.seq}` })}>
            {change.text}
          </Link>
        </li>
      ))}
    </ol>
  );
}
