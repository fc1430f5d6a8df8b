// Writes what was found into a file: CSV with the shown columns, or whole records as NDJSON.

import { useEffect, useRef, useState } from "preact/hooks";
import { exportBody, type Question } from "../../api/discover";
import { type Hit, type Source, search } from "../../api/search";
import { csv, ndjson, saveFile } from "../../lib/files";
import { useUi } from "../../ui/context";
import { Menu } from "../../ui/menu";
import { ErrorNotice } from "../../ui/notice";

/** Records in one file; whoever needs more takes `tollhouse journal export`. */
const RECORDS_MAX = 10_000;
const PART = 1_000;

type Form = "csv" | "ndjson";

interface Props {
  ask: () => Question;
  total: number;
  service: string;
}

export function ExportMenu({ ask, total, service }: Props) {
  const { t, format } = useUi();
  const [done, setDone] = useState<number | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);

  const write = async (form: Form, close: () => void) => {
    const controller = new AbortController();
    running.current = controller;
    setError(null);
    setDone(0);
    try {
      const question = ask();
      const records = await collect(question, controller.signal, setDone);
      const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "");
      const name = `${service}-${stamp}.${form}`;
      if (form === "csv") saveFile(name, "text/csv", csv(question.columns, records));
      else saveFile(name, "application/x-ndjson", ndjson(records));
      close();
    } catch (cause) {
      if (!controller.signal.aborted) setError(cause instanceof Error ? cause : new Error(String(cause)));
    }
    setDone(null);
  };

  const limited = total > RECORDS_MAX;
  const shown = { count: format.count(Math.min(total, RECORDS_MAX)), total: format.count(total) };
  return (
    <Menu name="export" icon="download" label={t("export.title")}>
      {(close) => (
        <div class="export">
          <p class="quiet">{t(limited ? "export.limited" : "export.all", shown)}</p>
          {error !== null && <ErrorNotice error={error} />}
          {done === null ? (
            <>
              <button type="button" class="button" data-testid="export-csv" onClick={() => void write("csv", close)}>
                {t("export.csv")}
              </button>
              <button type="button" class="button" data-testid="export-ndjson" onClick={() => void write("ndjson", close)}>
                {t("export.ndjson")}
              </button>
            </>
          ) : (
            <>
              <p role="status">{t("export.busy", { count: format.count(done) })}</p>
              <button type="button" class="button" onClick={() => running.current?.abort()}>
                {t("export.stop")}
              </button>
            </>
          )}
        </div>
      )}
    </Menu>
  );
}

/** The records in the order of the page, part by part. */
async function collect(question: Question, signal: AbortSignal, tell: (count: number) => void): Promise<Source[]> {
  const records: Source[] = [];
  let last: Hit | undefined;
  while (records.length < RECORDS_MAX) {
    const size = Math.min(PART, RECORDS_MAX - records.length);
    const answer = await search(exportBody(question, size, last?.sort ?? null), signal);
    const hits = answer.hits.hits;
    records.push(...hits.map((hit) => hit._source));
    tell(records.length);
    last = hits.at(-1);
    if (hits.length < size || last?.sort === undefined) break;
  }
  return records;
}
