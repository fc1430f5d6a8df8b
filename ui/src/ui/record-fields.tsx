// All fields of a record as a table, and the record as coloured JSON.

import type { Source } from "../api/search";
import { jsonTokens } from "../lib/json";
import { addCondition, condition, type QueryLanguage } from "../lib/query";
import { useUi } from "./context";
import { Icon } from "./icon";

interface Props {
  source: Source;
  query: string;
  language: QueryLanguage;
  find: (query: string) => void;
  columns: string[];
  /** Null where there is no table to put a column in. */
  toggleColumn: ((name: string) => void) | null;
}

export function Fields({ source, query, language, find, columns, toggleColumn }: Props) {
  const { t } = useUi();
  const fields = Object.entries(source).sort(([a], [b]) => a.localeCompare(b, "en"));
  return (
    <table class="fields" translate={false}>
      <tbody>
        {fields.map(([name, value]) => {
          const shown = textOf(value);
          const plain = typeof value !== "object";
          const words = { field: name, value: shown };
          const column = t(columns.includes(name) ? "fields.remove" : "fields.add", { field: name });
          return (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td class={typeof value === "number" ? "num-text" : undefined}>{shown}</td>
              <td class="field-tools">
                {plain && value !== "" && (
                  <>
                    <button
                      type="button"
                      class="icon-button"
                      aria-label={t("record.include", words)}
                      title={t("record.include", words)}
                      onClick={() => find(addCondition(language, query, condition(language, name, value)))}
                    >
                      <Icon name="plus" />
                    </button>
                    <button
                      type="button"
                      class="icon-button"
                      aria-label={t("record.exclude", words)}
                      title={t("record.exclude", words)}
                      onClick={() => find(addCondition(language, query, condition(language, name, value, true)))}
                    >
                      <Icon name="minus" />
                    </button>
                  </>
                )}
                {toggleColumn !== null && (
                  <button
                    type="button"
                    class="icon-button"
                    aria-label={column}
                    aria-pressed={columns.includes(name)}
                    title={column}
                    onClick={() => toggleColumn(name)}
                  >
                    <Icon name="columns" />
                  </button>
                )}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function textOf(value: unknown): string {
  if (Array.isArray(value) && value.every((one) => typeof one !== "object")) return value.join(", ");
  return typeof value === "string" ? value : JSON.stringify(value);
}

export function Json({ text }: { text: string }) {
  return (
    // It may be wider than its place: the keyboard scrolls it, too.
    <pre class="json" data-testid="request-json-text" tabIndex={0}>
      {jsonTokens(text).map((token, at) => (
        <span key={at} class={`json-${token.kind}`}>
          {token.text}
        </span>
      ))}
    </pre>
  );
}
