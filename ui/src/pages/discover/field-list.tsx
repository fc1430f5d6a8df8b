// The fields of the records: each opens its most frequent values, and can be made a column.

import { useState } from "preact/hooks";
import { type FieldInfo, type FieldValues, isNumber, readValues, valuesBody } from "../../api/discover";
import { type Clause, search as runSearch } from "../../api/search";
import { addCondition, condition as written, type QueryLanguage } from "../../lib/query";
import { useQuery } from "../../lib/use-query";
import { useUi } from "../../ui/context";
import { Icon } from "../../ui/icon";
import { ErrorNotice, Skeleton } from "../../ui/notice";

interface Props {
  fields: FieldInfo[];
  error: Error | null;
  columns: string[];
  condition: Clause | null;
  language: QueryLanguage;
  query: string;
  search: (query: string) => void;
  toggle: (name: string) => void;
  usual: () => void;
}

export function FieldList(props: Props) {
  const { t } = useUi();
  const { fields, columns, error } = props;
  const [wanted, setWanted] = useState("");
  const [opened, setOpened] = useState<string | null>(null);
  const fits = ({ name }: FieldInfo) => name.toLowerCase().includes(wanted.trim().toLowerCase());
  const known = new Map(fields.map((info) => [info.name, info]));
  const chosen = columns.map((name) => known.get(name) ?? { name, type: "keyword" });
  const others = fields.filter(({ name }) => !columns.includes(name));
  const group = (title: string, list: FieldInfo[]) => (
    <>
      <h2>
        {title} <span class="quiet">{list.length}</span>
      </h2>
      <ul>
        {list.map((info) => (
          <FieldRow
            key={info.name}
            {...props}
            info={info}
            open={opened === info.name}
            setOpen={(open) => setOpened(open ? info.name : null)}
          />
        ))}
      </ul>
    </>
  );
  return (
    <section class="panel field-list" aria-label={t("fields.title")} data-testid="field-list">
      <div class="field-search">
        <input
          type="text"
          aria-label={t("fields.find")}
          placeholder={t("fields.find")}
          value={wanted}
          onInput={(event) => setWanted(event.currentTarget.value)}
        />
        <button type="button" class="icon-button" aria-label={t("fields.usual")} title={t("fields.usual")} onClick={props.usual}>
          <Icon name="again" />
        </button>
      </div>
      {error !== null && <ErrorNotice error={error} />}
      {group(t("fields.columns"), chosen.filter(fits))}
      {group(t("fields.available"), others.filter(fits))}
    </section>
  );
}

interface RowProps extends Props {
  info: FieldInfo;
  open: boolean;
  setOpen: (open: boolean) => void;
}

function FieldRow({ info, open, setOpen, ...props }: RowProps) {
  const { t } = useUi();
  const isColumn = props.columns.includes(info.name);
  const words = t(isColumn ? "fields.remove" : "fields.add", { field: info.name });
  return (
    <li class={open ? "field-item open" : "field-item"} data-field={info.name}>
      <div class="field-line">
        <button type="button" class="field-name" aria-expanded={open} onClick={() => setOpen(!open)}>
          <span class={`field-type type-${typeGroup(info.type)}`} aria-hidden="true">
            {SIGNS[typeGroup(info.type)]}
          </span>
          <span class="field-text" translate={false} title={`${info.name} · ${info.type}`}>
            {info.name}
          </span>
        </button>
        <button type="button" class="icon-button" aria-label={words} title={words} onClick={() => props.toggle(info.name)}>
          <Icon name={isColumn ? "minus" : "plus"} />
        </button>
      </div>
      {open && props.condition !== null && <Values info={info} {...props} condition={props.condition} />}
    </li>
  );
}

type TypeGroup = "number" | "text" | "date" | "boolean" | "keyword";

const SIGNS: Record<TypeGroup, string> = { number: "#", text: "¶", date: "◷", boolean: "◐", keyword: "t" };

function typeGroup(type: string): TypeGroup {
  if (isNumber(type)) return "number";
  return type === "text" || type === "date" || type === "boolean" ? type : "keyword";
}

interface ValuesProps extends Props {
  info: FieldInfo;
  condition: Clause;
}

function Values({ info, condition, language, query, search }: ValuesProps) {
  const { t, format } = useUi();
  const { data, error } = useQuery<FieldValues>(`${info.name} ${JSON.stringify(condition)}`, async (signal) =>
    readValues(await runSearch(valuesBody(condition, info), signal)),
  );
  if (error !== null) return <ErrorNotice error={error} />;
  if (data === null) return <Skeleton lines={3} />;
  const share = data.total > 0 ? data.having / data.total : 0;
  const largest = Math.max(1, ...data.values.map(({ count }) => count));
  const find = (value: string | number | boolean, not: boolean) =>
    search(addCondition(language, query, written(language, info.name, value, not)));
  return (
    <div class="field-values" data-testid="field-values">
      <p class="quiet">{t("fields.share", { share: format.percent(share) })}</p>
      {data.spread !== null && (
        <p class="quiet field-spread">
          {t("fields.spread", {
            min: format.number(data.spread.min),
            median: format.number(data.spread.median),
            p95: format.number(data.spread.p95),
            max: format.number(data.spread.max),
          })}
        </p>
      )}
      <ol>
        {data.values.map(({ value, count }) => {
          const told = { field: info.name, value: String(value) };
          return (
            <li key={String(value)} data-value={String(value)} data-count={count}>
              <span class="value-text" translate={false} title={String(value)}>
                {String(value)}
              </span>
              <span class="value-share">{format.percent(data.having > 0 ? count / data.having : 0)}</span>
              <span class="value-tools">
                <button
                  type="button"
                  class="icon-button"
                  aria-label={t("record.include", told)}
                  title={t("record.include", told)}
                  onClick={() => find(value, false)}
                >
                  <Icon name="plus" />
                </button>
                <button
                  type="button"
                  class="icon-button"
                  aria-label={t("record.exclude", told)}
                  title={t("record.exclude", told)}
                  onClick={() => find(value, true)}
                >
                  <Icon name="minus" />
                </button>
              </span>
              <span class="value-bar" style={{ "--whole": `${(count / largest) * 100}%` }} aria-hidden="true" />
            </li>
          );
        })}
      </ol>
      <button type="button" class="quiet-link" onClick={() => search(addCondition(language, query, exists(language, info)))}>
        {t("fields.exists")}
      </button>
    </div>
  );
}

function exists(language: QueryLanguage, info: FieldInfo): string {
  return language === "kql" ? `${info.name}: *` : `${info.name}:*`;
}
