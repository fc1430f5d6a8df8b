// Runs one change that the server makes, and keeps what went wrong with it.

import { useState } from "preact/hooks";

export interface Change {
  error: Error | null;
  busy: boolean;
  start: () => void;
}

export function useChange<T>(run: () => Promise<T>, done: (result: T) => void): Change {
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const start = async () => {
    setBusy(true);
    setError(null);
    try {
      done(await run());
    } catch (cause) {
      setError(cause instanceof Error ? cause : new Error(String(cause)));
    }
    setBusy(false);
  };
  return { error, busy, start: () => void start() };
}
