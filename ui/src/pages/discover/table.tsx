// The table of records: any fields as columns, sorted by the one that is clicked.

import type { ComponentChildren } from "preact";
import { type FieldInfo, isNumber, type List, nameOf, type SortOrder } from "../../api/discover";
import { type Row, readRow } from "../../api/requests";
import { field, type Hit, numberField, textField } from "../../api/search";
import type { TextKey } from "../../i18n/en";
import type { Format } from "../../lib/format";
import { go } from "../../lib/route";
import { DurationBar, Level, Model, StatusBadge, Tags } from "../../ui/cells";
import { useUi } from "../../ui/context";
import { Icon } from "../../ui/icon";
import { Link } from "../../ui/link";

interface Known {
  /** Short name for classes. */
  name: string;
  text: TextKey;
  long?: TextKey;
  number?: boolean;
  cell: (row: Row, format: Format, longest: number) => ComponentChildren;
}

/** Fields that are shown better than as plain text. */
const KNOWN: Record<string, Known> = {
  "@timestamp": { name: "time", text: "column.time", cell: (row, format) => format.dateTime(row.atMs) },
  http_status: { name: "status", text: "column.status", cell: (row) => <StatusBadge row={row} /> },
  model_name: { name: "model", text: "column.model", cell: (row) => <Model name={row.model} /> },
  user_id: { name: "user", text: "column.user", cell: (row) => row.user ?? "" },
  key_id: { name: "key", text: "column.key", cell: (row) => row.key ?? "" },
  input_tokens: {
    name: "input",
    text: "column.input",
    long: "column.input_long",
    number: true,
    cell: (row, format) => format.count(row.inputTokens),
  },
  output_tokens: {
    name: "output",
    text: "column.output",
    long: "column.output_long",
    number: true,
    cell: (row, format) => format.count(row.outputTokens),
  },
  token_efficiency: {
    name: "efficiency",
    text: "column.efficiency",
    long: "column.efficiency_long",
    number: true,
    cell: (row, format) => format.decimal(row.efficiency, 2),
  },
  duration_ms: {
    name: "duration",
    text: "column.duration",
    number: true,
    cell: (row, _format, longest) => (row.durationMs === null ? "" : <DurationBar row={row} longest={longest} />),
  },
  ttft_ms: {
    name: "ttft",
    text: "column.ttft",
    long: "column.ttft_long",
    number: true,
    cell: (row, format) => format.duration(row.ttftMs),
  },
  tags: { name: "tags", text: "column.tags", cell: (row) => <Tags tags={row.tags} /> },
};

/** Names of fields that are shown as they are. */
const LABELS: Record<string, TextKey> = { level: "column.level", source: "column.source", msg: "column.msg", kind: "column.kind" };

/** What may not be dropped by a click in the head: it has its place by nature. */
const PLAIN_NAMES = new Set(["msg", "level", "source", "kind"]);

interface Column {
  field: string;
  name: string;
  label: string;
  long: string;
  number: boolean;
  sortable: boolean;
}

interface Props {
  list: List;
  columns: string[];
  fields: FieldInfo[];
  sort: SortOrder;
  open: string | null;
  /** Records with a higher number have just come. */
  freshAfter: number;
  rowAddress: (name: string) => string;
  sortBy: (sort: SortOrder) => void;
  remove: (name: string) => void;
}

export function RecordTable({ list, columns: names, fields, sort, open, freshAfter, rowAddress, sortBy, remove }: Props) {
  const { t, format } = useUi();
  const types = new Map(fields.map((info) => [info.name, info.type]));
  const columns = names.map((name): Column => {
    const known = Object.hasOwn(KNOWN, name) ? KNOWN[name] : undefined;
    const type = types.get(name) ?? "keyword";
    const text = known?.text ?? LABELS[name];
    const label = text === undefined ? name : t(text);
    return {
      field: name,
      name: known?.name ?? (PLAIN_NAMES.has(name) ? name : "other"),
      label,
      long: known?.long === undefined ? label : t(known.long),
      number: known?.number ?? isNumber(type),
      // Texts are searched by their words and have no order; a list of tags has none either.
      sortable: type !== "text" && name !== "tags" && name !== "msg",
    };
  });
  const rows = list.hits.map(readRow);
  const longest = Math.max(1, ...rows.map((row) => row.durationMs ?? 0));
  const isUsual = columns.some(({ name }) => name === "duration") && columns.every(({ name }) => name !== "other");
  const first = columns[0];
  return (
    <>
      <SortChoice columns={columns} sort={sort} sortBy={sortBy} />
      <div class="table-scroll">
        <table class={isUsual ? "rows requests-table" : "rows requests-table any-table"}>
          <thead>
            <tr>
              {columns.map((column) => (
                <Head key={column.field} column={column} sort={sort} sortBy={sortBy} remove={remove} />
              ))}
            </tr>
          </thead>
          <tbody translate={false}>
            {list.hits.map((hit, index) => {
              const row = rows[index] ?? readRow(hit);
              const name = nameOf(hit);
              const to = rowAddress(name);
              const selected = name === open;
              const fresh = (numberField(hit._source, "seq") ?? 0) > freshAfter;
              return (
                // The link in the first cell is the keyboard's way; a click anywhere is the pointer's.
                <tr
                  key={name}
                  class={selected ? "selected" : fresh ? "fresh" : undefined}
                  data-testid="requests-row"
                  data-request-id={name}
                  onClick={() => {
                    // Marking text in a row is not opening it.
                    if (getSelection()?.isCollapsed !== false) go(to);
                  }}
                >
                  {columns.map((column) => {
                    const known = Object.hasOwn(KNOWN, column.field) ? KNOWN[column.field] : undefined;
                    const content =
                      known === undefined ? <Plain hit={hit} name={column.field} /> : known.cell(row, format, longest);
                    return (
                      <td
                        key={column.field}
                        data-label={column.label}
                        class={`col-${column.name}${column.number ? " num" : ""}`}
                      >
                        {column === first ? (
                          <Link class="row-link" href={to} aria-current={selected ? "page" : undefined}>
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

/** Any field as text; the message of a record with its error. */
function Plain({ hit, name }: { hit: Hit; name: string }) {
  const { format } = useUi();
  const source = hit._source;
  if (name === "level") return <Level level={textField(source, "level")} />;
  const value = field(source, name) ?? byPath(source, name);
  if (value === undefined || value === null) return <span class="quiet">–</span>;
  const number = numberField(source, name);
  if (number !== null) return format.number(number);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const error = name === "msg" ? textField(source, "error") : null;
  return (
    <span class="cell-text" title={text.slice(0, 2_000)}>
      {text}
      {error !== null && <span class="cell-error"> {error}</span>}
    </span>
  );
}

/** `a.b` inside of objects. */
function byPath(source: unknown, path: string): unknown {
  return path.split(".").reduce((value, name) => field(value, name), source);
}

interface HeadProps {
  column: Column;
  sort: SortOrder;
  sortBy: (sort: SortOrder) => void;
  remove: (name: string) => void;
}

function Head({ column, sort, sortBy, remove }: HeadProps) {
  const { t } = useUi();
  const { field: name } = column;
  const number = column.number ? " num" : "";
  const sorted = sort.field === name;
  const order = sort.descending ? "descending" : "ascending";
  const drop = t("fields.remove", { field: column.label });
  const extra = column.name === "other" && (
    <button type="button" class="drop-column" aria-label={drop} title={drop} onClick={() => remove(name)}>
      <Icon name="close" />
    </button>
  );
  if (!column.sortable) {
    return (
      <th scope="col" class={`col-${column.name}${number}`}>
        {column.label}
        {extra}
      </th>
    );
  }
  return (
    <th scope="col" class={`col-${column.name}${number}`} aria-sort={sorted ? order : "none"} title={column.long}>
      <button
        type="button"
        class="sort"
        data-field={name}
        onClick={() => sortBy({ field: name, descending: sorted ? !sort.descending : true })}
      >
        {column.label}
        <span class={sorted ? "sort-sign" : "sort-sign sort-off"}>
          <Icon name={sorted && !sort.descending ? "up" : "down"} />
        </span>
      </button>
      {extra}
    </th>
  );
}

interface ChoiceProps {
  columns: Column[];
  sort: SortOrder;
  sortBy: (sort: SortOrder) => void;
}

/** On a phone the rows are cards without a head: the order is chosen here. */
function SortChoice({ columns, sort, sortBy }: ChoiceProps) {
  const { t } = useUi();
  return (
    <div class="sort-choice">
      <label>
        <span>{t("requests.sort_by")}</span>
        <select
          value={sort.field}
          onChange={(event) => sortBy({ field: event.currentTarget.value, descending: sort.descending })}
        >
          {columns
            .filter(({ sortable }) => sortable)
            .map((column) => (
              <option key={column.field} value={column.field}>
                {column.long}
              </option>
            ))}
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

