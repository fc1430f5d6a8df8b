// The ways to what a figure is made of, where no panel's head has them: its question as a line for the shell, and Discover.

import type { SearchBody } from "../api/search";
import type { Session } from "../api/session";
import type { Changes } from "../lib/route";
import { CurlButton } from "./curl";
import { InDiscover } from "./in-discover";

interface Props {
  /** Null where the house did not say it. */
  question: SearchBody | null;
  records: Changes;
  session: Session;
}

export function Ways({ question, records, session }: Props) {
  return (
    <span class="ways">
      {question !== null && <CurlButton body={() => question} session={session} small />}
      <InDiscover records={records} />
    </span>
  );
}
