// A list that is kept fresh at its beginning and goes on page by page.

import { useState } from "preact/hooks";
import { useChange } from "./use-change";
import { useQuery } from "./use-query";

interface Paged {
  has_more: boolean;
}

export interface Listed<P, T> {
  /** The first page; null until it is there. */
  page: P | null;
  rows: T[];
  hasMore: boolean;
  more: () => void;
  busy: boolean;
  error: Error | null;
  moreError: Error | null;
  reload: () => void;
}

export function useListed<P extends Paged, T extends { id: string }>(
  key: string,
  load: (after: string | undefined, signal?: AbortSignal) => Promise<P>,
  rowsOf: (page: P) => T[],
  everyMs: number,
): Listed<P, T> {
  const [older, setOlder] = useState<{ rows: T[]; hasMore: boolean } | null>(null);
  const { data, error, reload } = useQuery<P>(key, (signal) => load(undefined, signal), everyMs);
  const first = data === null ? [] : rowsOf(data);
  const known = new Set(first.map(({ id }) => id));
  const rows = [...first, ...(older?.rows ?? []).filter(({ id }) => !known.has(id))];
  const next = useChange(
    () => load(rows.at(-1)?.id),
    (page) => setOlder({ rows: [...(older?.rows ?? []), ...rowsOf(page)], hasMore: page.has_more }),
  );
  const hasMore = older?.hasMore ?? data?.has_more ?? false;
  return { page: data, rows, hasMore, more: next.start, busy: next.busy, error, moreError: next.error, reload };
}
