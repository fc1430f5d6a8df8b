// Loads data for a page, keeps the last answer while the next one is on its way, and refreshes while somebody looks.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

export interface Loaded<T> {
  data: T | null;
  error: Error | null;
  loading: boolean;
  /** `data` answers an earlier question; the answer to this one is on its way. */
  stale: boolean;
  /** When `data` arrived, in milliseconds since 1970. */
  at: number;
  reload: () => void;
}

interface State<T> {
  /** The question that `data` answers. */
  dataKey: string | null;
  data: T | null;
  error: Error | null;
  loading: boolean;
  at: number;
}

/**
 * Runs `load` when `key` changes and then every `everyMs` (0: never) while the tab is visible.
 * A new key cancels the load under way; data of another key is still shown until its own arrives.
 */
export function useQuery<T>(key: string, load: (signal: AbortSignal) => Promise<T>, everyMs = 0): Loaded<T> {
  const [state, setState] = useState<State<T>>({ dataKey: null, data: null, error: null, loading: true, at: 0 });
  const loadNow = useRef(load);
  loadNow.current = load;
  const running = useRef<AbortController | null>(null);

  const start = useCallback(async (forKey: string) => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    setState((old) => ({ ...old, loading: true }));
    try {
      const data = await loadNow.current(controller.signal);
      if (controller.signal.aborted) return;
      setState({ dataKey: forKey, data, error: null, loading: false, at: Date.now() });
    } catch (error) {
      if (controller.signal.aborted) return;
      const cause = error instanceof Error ? error : new Error(String(error));
      // What was asked first is still true enough to show beside the error; another question's answer is not.
      setState((old) => ({ ...old, error: cause, loading: false, data: old.dataKey === forKey ? old.data : null }));
    }
    if (running.current === controller) running.current = null;
  }, []);

  useEffect(() => {
    void start(key);
    return () => running.current?.abort();
  }, [key, start]);

  useEffect(() => {
    if (everyMs <= 0) return;
    let due = false;
    const tick = () => {
      if (document.hidden) due = true;
      else if (running.current === null) void start(key);
    };
    const show = () => {
      if (document.hidden || !due) return;
      due = false;
      tick();
    };
    const timer = setInterval(tick, everyMs);
    document.addEventListener("visibilitychange", show);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", show);
    };
  }, [key, everyMs, start]);

  const reload = useCallback(() => void start(key), [key, start]);
  const { data, error, loading, at } = state;
  return { data, error, loading, stale: state.dataKey !== key && error === null, at, reload };
}
