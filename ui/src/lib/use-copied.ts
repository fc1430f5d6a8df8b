// Copies a text, and remembers for a moment that it was copied.

import { useEffect, useState } from "preact/hooks";
import { copyText } from "./clipboard";

const SHOWN_MS = 1_600;

/** Whether something was copied just now, and what copies a text. */
export function useCopied(): [boolean, (text: string) => Promise<void>] {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  return [copied, async (text) => setCopied(await copyText(text))];
}
