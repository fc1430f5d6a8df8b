// What changed in the house during a range, as marks for its time axis.

import { useMemo } from "preact/hooks";
import { type Change, changesBody, readChanges } from "../api/changes";
import { search } from "../api/search";
import { resolve, type TimeRange } from "../lib/range";
import { useQuery } from "../lib/use-query";
import type { Mark } from "./chart";

const REFRESH_MS = 10_000;

export function marksOf(changes: Change[]): Mark[] {
  return changes.map(({ atMs, text, level }) => ({ ms: atMs, text, fault: level === "error" || level === "fatal" }));
}

/** None until they are known; a chart without marks is still a chart. */
export function useMarks(range: TimeRange, live: boolean): Mark[] {
  const { data } = useQuery<Change[]>(
    `changes ${range.from} ${range.to}`,
    async (signal) => readChanges(await search(changesBody(resolve(range, Date.now())), signal)),
    live ? REFRESH_MS : 0,
  );
  return useMemo(() => marksOf(data ?? []), [data]);
}
