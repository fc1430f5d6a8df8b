// What is different here: values that are more frequent among the records found than among the others.

import { useMemo } from "preact/hooks";
import { conditionOf, type Difference, differenceBody, type Question, readDifferences } from "../../api/discover";
import { search as runSearch } from "../../api/search";
import { addCondition, condition, type QueryLanguage } from "../../lib/query";
import { useQuery } from "../../lib/use-query";
import { useUi } from "../../ui/context";
import { Icon } from "../../ui/icon";
import { ErrorNotice, Skeleton } from "../../ui/notice";
import { Panel } from "../../ui/panel";

const SHOWN_MAX = 10;
const DAY_MS = 24 * 3_600_000;

/** Times that a value must be more frequent here. */
const TIMES_MIN = 1.2;

/** What the query asks for is no news. */
function isTold(row: Difference, query: string): boolean {
  const asked = row.here > 0.999 && query.includes(row.value);
  return !asked && row.here >= row.there * TIMES_MIN;
}

interface Props {
  question: Question;
  language: QueryLanguage;
  search: (query: string) => void;
  close: () => void;
}

export function Different({ question, language, search, close }: Props) {
  const { t, format } = useUi();
  const { query, scope, span } = question;
  const hasQuery = query.trim() !== "";
  const key = `${scope} ${query} ${language} ${Math.floor(span.fromMs / 60_000)} ${Math.floor(span.toMs / 60_000)}`;
  const { data, error, loading } = useQuery<Difference[]>(key, async (signal) => {
    // A search is compared with its range, a range with the day before it.
    const before = { fromMs: span.fromMs - DAY_MS, toMs: span.toMs, live: span.live };
    const background = conditionOf({ ...question, query: "", span: hasQuery ? span : before });
    return readDifferences(await runSearch(differenceBody(conditionOf(question), background), signal));
  });
  const rows = useMemo(() => (data ?? []).filter((row) => isTold(row, query)).slice(0, SHOWN_MAX), [data, query]);
  return (
    <Panel
      title={t("different.title")}
      note={t(hasQuery ? "different.against_range" : "different.against_day")}
      actions={
        <button type="button" class="icon-button" aria-label={t("common.close")} title={t("common.close")} onClick={close}>
          <Icon name="close" />
        </button>
      }
    >
      <div class="different" data-testid="different" data-rows={data === null ? "" : rows.length}>
        {error !== null && <ErrorNotice error={error} />}
        {data === null && loading && <Skeleton lines={4} />}
        {data !== null && rows.length === 0 && <p class="quiet different-none">{t("different.none")}</p>}
        {rows.length > 0 && (
          <table class="rows">
            <thead>
              <tr>
                <th scope="col">{t("different.value")}</th>
                <th scope="col" class="num">
                  {t("different.here")}
                </th>
                <th scope="col" class="num">
                  {t("different.there")}
                </th>
                <th scope="col" class="different-bars">
                  <span class="visually-hidden">{t("different.shares")}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={`${row.field} ${row.value}`} data-field={row.field} data-value={row.value}>
                  <td class="different-value" translate={false}>
                    <button
                      type="button"
                      class="text-button"
                      title={t("record.include", { field: row.field, value: row.value })}
                      onClick={() => search(addCondition(language, query, condition(language, row.field, row.value)))}
                    >
                      <span class="quiet">{row.field}</span> {row.value}
                    </button>
                  </td>
                  <td class="num">{format.percent(row.here)}</td>
                  <td class="num quiet">{format.percent(row.there)}</td>
                  <td class="different-bars" aria-hidden="true">
                    <span class="share-bar" style={{ "--whole": `${row.here * 100}%` }} />
                    <span class="share-bar share-there" style={{ "--whole": `${row.there * 100}%` }} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </div>
    </Panel>
  );
}
