// The way to the dashboards: their code is loaded when the first one is shown.

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Session } from "../api/session";
import { ErrorNotice } from "../ui/notice";

interface Props {
  params: URLSearchParams;
  session: Session;
}

export function Dashboards(props: Props) {
  const [Loaded, setLoaded] = useState<ComponentType<Props> | null>(null);
  const [failed, setFailed] = useState<Error | null>(null);
  useEffect(() => {
    import("./dashboards/page").then(
      (page) => setLoaded(() => page.default),
      (cause: unknown) => setFailed(cause instanceof Error ? cause : new Error(String(cause))),
    );
  }, []);
  if (failed !== null) {
    return (
      <main>
        <ErrorNotice error={failed} />
      </main>
    );
  }
  return Loaded === null ? <main /> : <Loaded {...props} />;
}
