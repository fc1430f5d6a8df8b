// The query box: language, completion of fields and values, quick chips, and what is wrong with a query.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { ApiError } from "../../api/base";
import { type FieldInfo, type FieldValues, hasValues, readValues, valuesBody } from "../../api/discover";
import { type Clause, search as runSearch } from "../../api/search";
import { type Suggestion, suggestFields, suggestValues, typedAt } from "../../lib/complete";
import { condition, hasCondition, type QueryLanguage, toggleCondition } from "../../lib/query";
import { useUi } from "../../ui/context";
import { Icon } from "../../ui/icon";

const VALUES_ASKED = 50;
/** Values of so many fields are remembered while the page is open. */
const KNOWN_FIELDS_MAX = 100;

interface Props {
  query: string;
  language: QueryLanguage;
  fault: ApiError | null;
  fields: FieldInfo[];
  /** The records of which values are suggested. */
  context: () => Clause;
  search: (query: string) => void;
  chooseLanguage: (language: QueryLanguage) => void;
}

export function SearchBox({ query, language, fault, fields, context, search, chooseLanguage }: Props) {
  const { t, format } = useUi();
  const [text, setText] = useState(query);
  const [caret, setCaret] = useState<number | null>(null);
  const [active, setActive] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  const values = useValues(fields, context);

  // A click on a chip, a heat map cell or the back button changes the query from outside.
  useEffect(() => setText(query), [query]);
  useEffect(() => {
    const focus = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      input.current?.focus();
    };
    addEventListener("keydown", focus);
    return () => removeEventListener("keydown", focus);
  }, []);

  const typed = caret === null ? null : typedAt(text, caret);
  const valuesOf = typed?.kind === "value" ? typed.field : null;
  useEffect(() => {
    if (valuesOf !== null) values.want(valuesOf);
  }, [valuesOf]);
  const suggestions = useMemo((): Suggestion[] => {
    if (typed === null) return [];
    if (typed.kind === "field") return suggestFields(typed.prefix, fields, language);
    return suggestValues(typed.prefix, values.known.get(typed.field)?.values ?? [], format.count);
  }, [text, caret, fields, language, values.known, format]);
  const shown = caret !== null && suggestions.length > 0;

  const take = (suggestion: Suggestion) => {
    if (typed === null) return;
    const head = text.slice(0, typed.start) + suggestion.insert;
    const next = head + text.slice(caret ?? text.length);
    setText(next);
    setActive(-1);
    const place = head.length;
    const fieldTaken = typed.kind === "field" && suggestion.note !== "";
    setCaret(fieldTaken ? place : null);
    requestAnimationFrame(() => {
      input.current?.focus();
      input.current?.setSelectionRange(place, place);
    });
  };
  const close = () => {
    setCaret(null);
    setActive(-1);
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!shown) return setCaret(input.current?.selectionStart ?? text.length);
      const step = event.key === "ArrowDown" ? 1 : -1;
      const count = suggestions.length;
      setActive((active + step + count + (active < 0 && step < 0 ? 1 : 0)) % count);
    } else if (event.key === "Escape" && shown) {
      event.preventDefault();
      event.stopPropagation();
      close();
    } else if ((event.key === "Enter" || event.key === "Tab") && shown && active >= 0) {
      event.preventDefault();
      const suggestion = suggestions[active];
      if (suggestion !== undefined) take(suggestion);
    }
  };
  const submit = (event: Event) => {
    event.preventDefault();
    close();
    search(text.trim());
  };
  const chips = [
    { part: condition(language, "tag", "slow_request"), words: t("requests.slow"), tone: "warn" },
    { part: condition(language, "tag", "error_request"), words: t("requests.errors"), tone: "fault" },
  ];

  return (
    <div class="search-area">
      <form class={fault === null ? "search" : "search search-wrong"} role="search" onSubmit={submit}>
        <select
          class="search-language"
          data-testid="query-language"
          aria-label={t("discover.language")}
          value={language}
          onChange={(event) => chooseLanguage(event.currentTarget.value === "kql" ? "kql" : "lucene")}
        >
          <option value="lucene">Lucene</option>
          <option value="kql">KQL</option>
        </select>
        <input
          ref={input}
          type="text"
          data-testid="requests-search"
          role="combobox"
          aria-label={t("discover.search")}
          aria-autocomplete="list"
          aria-expanded={shown}
          aria-controls="suggestions"
          aria-activedescendant={shown && active >= 0 ? `suggestion-${active}` : undefined}
          aria-invalid={fault !== null}
          aria-describedby="search-fault"
          placeholder={PLACEHOLDERS[language]}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setCaret(event.currentTarget.selectionStart);
            setActive(-1);
          }}
          onKeyDown={press}
          onBlur={close}
        />
        {text !== "" && (
          <button
            type="button"
            class="icon-button"
            aria-label={t("requests.clear")}
            title={t("requests.clear")}
            onClick={() => search("")}
          >
            <Icon name="close" />
          </button>
        )}
        <Help language={language} />
        <button type="submit" class="icon-button" aria-label={t("discover.search")} title={t("discover.search")}>
          <Icon name="search" />
        </button>
        <ul id="suggestions" class="popover suggestions" role="listbox" aria-label={t("discover.suggestions")} hidden={!shown}>
          {shown &&
            suggestions.map((suggestion, at) => (
              <li
                key={suggestion.label}
                id={`suggestion-${at}`}
                role="option"
                aria-selected={at === active}
                data-testid="suggestion"
                // The input keeps the focus.
                onMouseDown={(event) => event.preventDefault()}
                onClick={() => take(suggestion)}
              >
                <code>{suggestion.label}</code>
                <span class="quiet">{suggestion.note}</span>
              </li>
            ))}
        </ul>
      </form>
      <div class="chips">
        {chips.map(({ part, words, tone }) => (
          <button
            key={part}
            type="button"
            class={`chip chip-${tone}`}
            aria-pressed={hasCondition(language, query, part)}
            title={part}
            onClick={() => search(toggleCondition(language, query, part))}
          >
            {words}
          </button>
        ))}
      </div>
      <div id="search-fault" role="alert" class="search-fault" data-testid="search-error" hidden={fault === null}>
        {fault !== null && <Fault fault={fault} query={query} />}
      </div>
    </div>
  );
}

const PLACEHOLDERS: Record<QueryLanguage, string> = {
  lucene: "http_status:500 AND duration_ms:>3000",
  kql: "http_status: 500 and duration_ms > 3000",
};

/** The most frequent values of the fields whose values were being typed. */
function useValues(fields: FieldInfo[], context: () => Clause) {
  const [known, setKnown] = useState<ReadonlyMap<string, FieldValues>>(new Map());
  const asked = useRef(new Set<string>());
  const want = (name: string) => {
    // Other names of a field have values, too.
    const info = fields.find((one) => one.name === name) ?? { name, type: "keyword" };
    if (asked.current.has(name) || asked.current.size >= KNOWN_FIELDS_MAX || !hasValues(info.type)) return;
    asked.current.add(name);
    const load = async () => {
      const found = readValues(await runSearch(valuesBody(context(), info, VALUES_ASKED)));
      setKnown((old) => new Map(old).set(name, found));
    };
    // Without suggestions the box goes on to work.
    load().catch(() => asked.current.delete(name));
  };
  return { known, want };
}

/** The message, and the query with a caret under the place where it went wrong. */
function Fault({ fault, query }: { fault: ApiError; query: string }) {
  const { t } = useUi();
  const { message, position } = fault;
  if (position === null || query === "") return <p>{message}</p>;
  // The server counts characters, JavaScript counts halves of some of them.
  const signs = Array.from(query);
  const at = Math.min(Math.max(position, 0), signs.length);
  const told = message.includes(String(position));
  return (
    <>
      <p>
        {message}
        {!told && <span class="quiet"> {t("requests.error_at", { position: at + 1 })}</span>}
      </p>
      <pre>
        {signs.slice(0, at).join("")}
        <mark>{signs[at] ?? " "}</mark>
        {signs.slice(at + 1).join("")}
      </pre>
    </>
  );
}

function Help({ language }: { language: QueryLanguage }) {
  const { t } = useUi();
  return (
    <details
      class="help"
      onFocusOut={(event) => {
        const inside = event.relatedTarget instanceof Node && event.currentTarget.contains(event.relatedTarget);
        if (!inside) event.currentTarget.open = false;
      }}
    >
      <summary class="icon-button" aria-label={t("requests.help")} title={t("requests.help")}>
        ?
      </summary>
      <div class="popover">
        <Examples language={language} />
      </div>
    </details>
  );
}

/** One line of each kind of question. */
export function Examples({ language }: { language: QueryLanguage }) {
  const { t } = useUi();
  const lines: Record<QueryLanguage, string[]> = {
    lucene: [
      'model_name:"qwen3:32b"',
      "duration_ms:>3000   input_tokens:[100 TO 500]",
      "NOT http_status:200 AND (user_id:amy OR user_id:bob)",
      "path:\\/v1\\/*",
      "error:*",
    ],
    kql: [
      'model_name: "qwen3:32b"',
      "duration_ms > 3000 and input_tokens >= 100",
      "not http_status: 200 and user_id: (amy or bob)",
      "path: /v1/*",
      "error: *",
    ],
  };
  const words = [
    t("requests.help_field"),
    t("requests.help_range"),
    t("requests.help_not"),
    t("requests.help_wild"),
    t("requests.help_exists"),
  ];
  return (
    <dl class="examples">
      {lines[language].map((example, at) => (
        <div key={example}>
          <dt>
            <code>{example}</code>
          </dt>
          <dd>{words[at]}</dd>
        </div>
      ))}
    </dl>
  );
}
