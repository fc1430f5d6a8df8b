// Saved searches: open one, keep this one, replace or remove one.

import { useState } from "preact/hooks";
import { ALL_KINDS, REQUEST_KIND } from "../../api/discover";
import { changeSaved, removeSaved, type Saved, type SavedSearch, savedSearches, saveSearch } from "../../api/saved";
import { languageOf } from "../../lib/query";
import { rangeOf } from "../../lib/range";
import { address, type Changes } from "../../lib/route";
import { useQuery } from "../../lib/use-query";
import { useUi } from "../../ui/context";
import { Link } from "../../ui/link";
import { Menu } from "../../ui/menu";
import { ErrorNotice, Skeleton } from "../../ui/notice";
import { RowButton } from "../../ui/row-button";

/** `may` says whether searches may be kept, replaced and removed by whoever looks. */
export function SavedMenu({ params, may }: { params: URLSearchParams; may: boolean }) {
  const { t } = useUi();
  return (
    <Menu name="saved" icon="bookmark" label={t("saved.title")}>
      {(close) => <SavedList params={params} may={may} close={close} />}
    </Menu>
  );
}

function SavedList({ params, may, close }: { params: URLSearchParams; may: boolean; close: () => void }) {
  const { t } = useUi();
  const { data, error, reload } = useQuery<Saved[]>("saved", savedSearches);
  const [name, setName] = useState("");
  const [failed, setFailed] = useState<Error | null>(null);

  const attempt = async (action: () => Promise<unknown>) => {
    setFailed(null);
    try {
      await action();
      setName("");
      reload();
    } catch (cause) {
      setFailed(cause instanceof Error ? cause : new Error(String(cause)));
    }
  };
  const save = (event: Event) => {
    event.preventDefault();
    const wanted = name.trim();
    if (wanted === "") return;
    const search = searchOf(params, wanted);
    const known = data?.find((one) => one.name === wanted);
    void attempt(() => (known === undefined ? saveSearch(search) : changeSaved(known.id, search)));
  };
  const replaces = data?.some((one) => one.name === name.trim()) === true;

  return (
    <div class="saved">
      {!may && <p class="quiet">{t("saved.may_not")}</p>}
      {may && (
        <form class="saved-form" onSubmit={save}>
          <input
            type="text"
            data-testid="saved-name"
            aria-label={t("saved.name")}
            placeholder={t("saved.name")}
            maxLength={200}
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
          <button type="submit" class="button primary" data-testid="saved-save" disabled={name.trim() === ""}>
            {t(replaces ? "saved.replace" : "saved.save")}
          </button>
        </form>
      )}
      {(failed ?? error) !== null && <ErrorNotice error={failed ?? error ?? new Error()} />}
      {data === null && error === null && <Skeleton lines={3} />}
      {data !== null && data.length === 0 && <p class="quiet">{t("saved.none")}</p>}
      <ul>
        {(data ?? []).map((saved) => (
          <li key={saved.id}>
            <Link
              class="saved-link"
              href={address("discover", paramsOf(saved))}
              followed={close}
              data-testid="saved-open"
            >
              <strong>{saved.name}</strong>
              <code>{saved.query === "" ? "*" : saved.query}</code>
            </Link>
            {may && (
              <RowButton
                icon="trash"
                name="saved-remove"
                words={t("saved.remove", { name: saved.name })}
                press={() => void attempt(() => removeSaved(saved.id))}
              />
            )}
          </li>
        ))}
      </ul>
    </div>
  );
}

function searchOf(params: URLSearchParams, name: string): SavedSearch {
  const { from, to } = rangeOf(params);
  const kind = params.get("kind") ?? REQUEST_KIND;
  return {
    name,
    query: params.get("q") ?? "",
    language: languageOf(params),
    scope: kind === ALL_KINDS ? "" : kind,
    from,
    to,
    columns: (params.get("cols") ?? "").split(",").filter((one) => one !== ""),
    sort: params.get("sort") ?? "",
  };
}

export function paramsOf(saved: SavedSearch): Changes {
  const kind = saved.scope === "" ? ALL_KINDS : saved.scope;
  return {
    q: saved.query,
    lang: saved.language === "kql" ? "kql" : null,
    kind: kind === REQUEST_KIND ? null : kind,
    from: saved.from,
    to: saved.to,
    cols: saved.columns.join(),
    sort: saved.sort,
  };
}
