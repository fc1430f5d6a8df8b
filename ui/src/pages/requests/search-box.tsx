// The query box, the quick chips, and what is wrong with a query.

import { useEffect, useRef, useState } from "preact/hooks";
import type { ApiError } from "../../api/base";
import { hasClause, toggleClause } from "../../lib/lucene";
import { useUi } from "../../ui/context";
import { Icon } from "../../ui/icon";

const SLOW = 'tag:"slow_request"';
const ERRORS = 'tag:"error_request"';

interface Props {
  query: string;
  fault: ApiError | null;
  search: (query: string) => void;
}

export function SearchBox({ query, fault, search }: Props) {
  const { t } = useUi();
  const [text, setText] = useState(query);
  const input = useRef<HTMLInputElement>(null);

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

  const submit = (event: Event) => {
    event.preventDefault();
    search(text.trim());
  };
  const chips = [
    { part: SLOW, words: t("requests.slow"), tone: "warn" },
    { part: ERRORS, words: t("requests.errors"), tone: "fault" },
  ];

  return (
    <div class="search-area">
      <form class={fault === null ? "search" : "search search-wrong"} role="search" onSubmit={submit}>
        <Icon name="search" />
        <input
          ref={input}
          type="text"
          data-testid="requests-search"
          aria-label={t("requests.search")}
          aria-invalid={fault !== null}
          aria-describedby="search-fault"
          placeholder={t("requests.placeholder")}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
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
        <Help />
      </form>
      <div class="chips">
        {chips.map(({ part, words, tone }) => (
          <button
            key={part}
            type="button"
            class={`chip chip-${tone}`}
            aria-pressed={hasClause(query, part)}
            title={part}
            onClick={() => search(toggleClause(query, part))}
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

function Help() {
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
        <Examples />
      </div>
    </details>
  );
}

/** One line of each kind of question. */
export function Examples() {
  const { t } = useUi();
  const examples: [string, string][] = [
    ['model_name:"qwen3:32b"', t("requests.help_field")],
    ["duration_ms:>3000   input_tokens:[100 TO 500]", t("requests.help_range")],
    ["NOT http_status:200 AND (user_id:amy OR user_id:bob)", t("requests.help_not")],
    ["path:\\/v1\\/*", t("requests.help_wild")],
    ["error:*", t("requests.help_exists")],
  ];
  return (
    <dl class="examples">
      {examples.map(([example, words]) => (
        <div key={example}>
          <dt>
            <code>{example}</code>
          </dt>
          <dd>{words}</dd>
        </div>
      ))}
    </dl>
  );
}
