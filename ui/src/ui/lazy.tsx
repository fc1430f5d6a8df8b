// What is loaded when it is shown first.

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ErrorNotice } from "./notice";

/** `isPage` says that it brings its own `main`, in whose place nothing else may stand. */
export function lazy<Props extends object>(
  load: () => Promise<{ default: ComponentType<Props> }>,
  isPage = true,
): ComponentType<Props> {
  return function Lazy(props: Props) {
    const [Loaded, setLoaded] = useState<ComponentType<Props> | null>(null);
    const [failed, setFailed] = useState<Error | null>(null);
    useEffect(() => {
      load().then(
        (part) => setLoaded(() => part.default),
        (cause: unknown) => setFailed(cause instanceof Error ? cause : new Error(String(cause))),
      );
    }, []);
    if (Loaded !== null) return <Loaded {...props} />;
    const instead = failed === null ? null : <ErrorNotice error={failed} />;
    return isPage ? <main>{instead}</main> : instead;
  };
}
