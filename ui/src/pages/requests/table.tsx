// The table of requests, one row each, sorted by the column that is clicked.

import type { ComponentChildren } from "preact";
import type { Requests, Row, SortOrder } from "../../api/requests";
import type { TextKey } from "../../i18n/en";
import type { Format } from "../../lib/format";
import { go } from "../../lib/route";
import { DurationBar, Model, StatusBadge, Tags } from "../../ui/cells";
import { useUi } from "../../ui/context";
import { Icon } from "../../ui/icon";
import { Link } from "../../ui/link";

interface Column {
  name: string;
  field: string | null;
  text: TextKey;
  long?: TextKey;
  number?: boolean;
  cell: (row: Row, format: Format, longest: number) => ComponentChildren;
}

const COLUMNS: Column[] = [
  { name: "time", field: "@timestamp", text: "column.time", cell: (row, format) => format.dateTime(row.atMs) },
  { name: "status", field: "http_status", text: "column.status", cell: (row) => <StatusBadge row={row} /> },
  { name: "model", field: "model_name", text: "column.model", cell: (row) => <Model name={row.model} /> },
  { name: "user", field: "user_id", text: "column.user", cell: (row) => row.user ?? "" },
  { name: "key", field: "key_id", text: "column.key", cell: (row) => row.key ?? "" },
  {
    name: "input",
    field: "input_tokens",
    text: "column.input",
    long: "column.input_long",
    number: true,
    cell: (row, format) => format.count(row.inputTokens),
  },
  {
    name: "output",
    field: "output_tokens",
    text: "column.output",
    long: "column.output_long",
    number: true,
    cell: (row, format) => format.count(row.outputTokens),
  },
  {
    name: "efficiency",
    field: "token_efficiency",
    text: "column.efficiency",
    long: "column.efficiency_long",
    number: true,
    cell: (row, format) => format.decimal(row.efficiency, 2),
  },
  {
    name: "duration",
    field: "duration_ms",
    text: "column.duration",
    number: true,
    cell: (row, _format, longest) => <DurationBar row={row} longest={longest} />,
  },
  {
    name: "ttft",
    field: "ttft_ms",
    text: "column.ttft",
    long: "column.ttft_long",
    number: true,
    cell: (row, format) => format.duration(row.ttftMs),
  },
  { name: "tags", field: null, text: "column.tags", cell: (row) => <Tags tags={row.tags} /> },
];

interface Props {
  data: Requests;
  sort: SortOrder;
  open: string | null;
  rowAddress: (requestId: string) => string;
  sortBy: (sort: SortOrder) => void;
}

export function RequestTable({ data, sort, open, rowAddress, sortBy }: Props) {
  const { t, format } = useUi();
  const longest = Math.max(1, ...data.rows.map((row) => row.durationMs ?? 0));
  return (
    <>
      <SortChoice sort={sort} sortBy={sortBy} />
      <div class="table-scroll">
        <table class="rows requests-table">
          <thead>
            <tr>
              {COLUMNS.map((column) => (
                <Head key={column.name} column={column} sort={sort} sortBy={sortBy} />
              ))}
            </tr>
          </thead>
          <tbody>
            {data.rows.map((row) => {
              const selected = row.requestId === open;
              const to = rowAddress(row.requestId);
              return (
                // The link in the first cell is the keyboard's way; a click anywhere is the pointer's.
                <tr
                  key={row.id}
                  class={selected ? "selected" : undefined}
                  data-testid="requests-row"
                  data-request-id={row.requestId}
                  aria-selected={selected}
                  onClick={() => {
                    // Marking text in a row is not opening it.
                    if (getSelection()?.isCollapsed !== false) go(to);
                  }}
                >
                  {COLUMNS.map((column) => {
                    const content = column.cell(row, format, longest);
                    return (
                      <td
                        key={column.name}
                        data-label={t(column.text)}
                        class={`col-${column.name}${column.number === true ? " num" : ""}`}
                      >
                        {column.name === "time" ? (
                          <Link class="row-link" href={to}>
                            {content}
                          </Link>
                        ) : (
                          content
                        )}
                      </td>
                    );
                  })}
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </>
  );
}

function Head({ column, sort, sortBy }: { column: Column; sort: SortOrder; sortBy: (sort: SortOrder) => void }) {
  const { t } = useUi();
  const { field } = column;
  const number = column.number === true ? " num" : "";
  const title = column.long === undefined ? undefined : t(column.long);
  if (field === null) {
    return (
      <th scope="col" class={`col-${column.name}${number}`}>
        {t(column.text)}
      </th>
    );
  }
  const sorted = sort.field === field;
  const order = sort.descending ? "descending" : "ascending";
  return (
    <th scope="col" class={`col-${column.name}${number}`} aria-sort={sorted ? order : "none"} title={title}>
      <button
        type="button"
        class="sort"
        data-field={field}
        onClick={() => sortBy({ field, descending: sorted ? !sort.descending : true })}
      >
        {t(column.text)}
        <span class={sorted ? "sort-sign" : "sort-sign sort-off"}>
          <Icon name={sorted && !sort.descending ? "up" : "down"} />
        </span>
      </button>
    </th>
  );
}

/** On a phone the rows are cards without a head: the order is chosen here. */
function SortChoice({ sort, sortBy }: { sort: SortOrder; sortBy: (sort: SortOrder) => void }) {
  const { t } = useUi();
  return (
    <div class="sort-choice">
      <label>
        <span>{t("requests.sort_by")}</span>
        <select
          value={sort.field}
          onChange={(event) => sortBy({ field: event.currentTarget.value, descending: sort.descending })}
        >
          {COLUMNS.flatMap((column) =>
            column.field === null
              ? []
              : [
                  <option key={column.field} value={column.field}>
                    {t(column.long ?? column.text)}
                  </option>,
                ],
          )}
        </select>
      </label>
      <button
        type="button"
        class="icon-button"
        aria-label={t("requests.sort_turn")}
        title={t("requests.sort_turn")}
        onClick={() => sortBy({ field: sort.field, descending: !sort.descending })}
      >
        <Icon name={sort.descending ? "down" : "up"} />
      </button>
    </div>
  );
}
