// Batches and answers that come later: how far they are, whose they are, and a way to give up on one.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import {
  type Batch,
  batches as loadBatches,
  type BatchUse,
  cancelBatch,
  cancelLater,
  type Later,
  later as loadLater,
} from "../../api/batches";
import { clause } from "../../lib/lucene";
import type { Changes } from "../../lib/route";
import { useChange } from "../../lib/use-change";
import { useListed } from "../../lib/use-listed";
import { ActionsHead } from "../../ui/actions-head";
import { useUi } from "../../ui/context";
import { FormDialog } from "../../ui/dialog";
import { InDiscover } from "../../ui/in-discover";
import { Lamp } from "../../ui/lamp";
import { EmptyExample, ErrorNotice, Skeleton } from "../../ui/notice";
import { Panel } from "../../ui/panel";
import { BATCH_STATUSES, LATER_STATUSES } from "./words";

const REFRESH_MS = 3_000;
const EXAMPLE = "batches: {}";

export function Batches({ may }: { may: boolean }) {
  const { t } = useUi();
  const listed = useListed("batches", loadBatches, (page) => page.batches, REFRESH_MS);
  if (listed.page === null)
    return listed.error === null ? <Skeleton lines={8} /> : <ErrorNotice error={listed.error} retry={listed.reload} />;
  if (!listed.page.on) return <EmptyExample title={t("batches.none_title")} text={t("batches.none_text")} example={EXAMPLE} />;
  return (
    <div class="tasks-grid" data-testid="batches">
      {listed.error !== null && <ErrorNotice error={listed.error} retry={listed.reload} />}
      {listed.page.use != null && <Use use={listed.page.use} />}
      <Panel area="batches" title={t("batches.batches")} records={{ kind: "batch" }}>
        {listed.rows.length === 0 && <p class="quiet panel-empty">{t("batches.no_batches")}</p>}
        {listed.rows.length > 0 && (
          <Table columns={[t("tasks.status"), t("batches.owner"), t("batches.progress"), t("batches.times")]}>
            {listed.rows.map((batch) => (
              <BatchRow key={batch.id} batch={batch} may={may} reload={listed.reload} />
            ))}
          </Table>
        )}
        <More listed={listed} />
      </Panel>
      <LaterPanel may={may} />
    </div>
  );
}

function LaterPanel({ may }: { may: boolean }) {
  const { t } = useUi();
  const listed = useListed("later", loadLater, (page) => page.later, REFRESH_MS);
  return (
    <Panel area="later" title={t("batches.later")} records={{ kind: "request", q: "origin:later" }}>
      {listed.error !== null && <ErrorNotice error={listed.error} retry={listed.reload} />}
      {listed.page !== null && listed.rows.length === 0 && <p class="quiet panel-empty">{t("batches.no_later")}</p>}
      {listed.rows.length > 0 && (
        <Table columns={[t("tasks.status"), t("batches.owner"), t("column.model"), t("batches.times")]}>
          {listed.rows.map((one) => (
            <LaterRow key={one.id} later={one} may={may} reload={listed.reload} />
          ))}
        </Table>
      )}
      <More listed={listed} />
    </Panel>
  );
}

/** What all of them take of their room. */
function Use({ use }: { use: BatchUse }) {
  const { t, format } = useUi();
  const facts: [string, string][] = [
    [t("batches.open"), format.count(use.open)],
    [t("batches.later_open"), format.count(use.later_open)],
    [t("batches.files"), format.count(use.files)],
    [t("batches.room"), t("batches.room_of", { bytes: format.bytes(use.bytes), most: format.bytes(use.bytes_max) })],
  ];
  return (
    <Panel area="use" title={t("batches.use")} records={{ kind: "batch" }}>
      <dl class="run-facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}

function Table({ columns, children }: { columns: string[]; children: ComponentChildren }) {
  return (
    <div class="table-scroll">
      <table class="rows batch-table">
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col">
                {column}
              </th>
            ))}
            <ActionsHead />
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

interface RowProps {
  may: boolean;
  reload: () => void;
}

function BatchRow({ batch, may, reload }: RowProps & { batch: Batch }) {
  const { t, format } = useUi();
  const status = BATCH_STATUSES[batch.status];
  const waiting = Math.max(batch.total - batch.completed - batch.failed, 0);
  const done = batch.completed + batch.failed;
  const facts = [
    t("batches.completed", { count: format.count(batch.completed) }),
    batch.failed > 0 ? t("batches.failed_count", { count: format.count(batch.failed) }) : null,
    waiting > 0 && !batch.is_over ? t("batches.waiting", { count: format.count(waiting) }) : null,
  ].filter((fact) => fact !== null);
  return (
    <tr data-testid="batch-row" data-batch={batch.id} data-status={batch.status}>
      <td data-label={t("tasks.status")}>
        <Lamp colour={status.colour}>{t(status.text)}</Lamp>
        <code class="process-note batch-id">{batch.id}</code>
        {batch.errors.map((error, at) => (
          <span key={at} class="process-note tone-fault" lang="en">
            {error.line != null && `${t("settings.from_file", { line: error.line })}: `}
            {error.message}
          </span>
        ))}
      </td>
      <td data-label={t("batches.owner")}>
        {batch.user ?? batch.key_id ?? <span class="quiet">{t("batches.nobody")}</span>}
        <code class="process-note">{batch.endpoint}</code>
      </td>
      <td data-label={t("batches.progress")}>
        <progress class="batch-progress" max={Math.max(batch.total, 1)} value={done} aria-label={t("batches.progress")} />
        <strong>{t("batches.done_of", { done: format.count(done), total: format.count(batch.total) })}</strong>
        <span class="process-note">{facts.join(" · ")}</span>
      </td>
      <td data-label={t("batches.times")}>
        <Times createdMs={batch.created_ms} endedMs={batch.ended_ms ?? null} endsByMs={batch.is_over ? null : batch.expires_ms} />
      </td>
      <Actions
        records={{ kind: "batch", q: clause("batch", batch.id), from: new Date(batch.created_ms).toISOString(), to: null }}
        cancel={may && !batch.is_over && batch.status !== "cancelling" ? () => cancelBatch(batch.id) : null}
        name={batch.id}
        reload={reload}
      />
    </tr>
  );
}

function LaterRow({ later, may, reload }: RowProps & { later: Later }) {
  const { t } = useUi();
  const status = LATER_STATUSES[later.status];
  return (
    <tr data-testid="later-row" data-later={later.id} data-status={later.status}>
      <td data-label={t("tasks.status")}>
        <Lamp colour={status.colour}>{t(status.text)}</Lamp>
        {later.http_status != null && <span class="tag">{later.http_status}</span>}
        <code class="process-note batch-id">{later.id}</code>
      </td>
      <td data-label={t("batches.owner")}>
        {later.user ?? later.key_id ?? <span class="quiet">{t("batches.nobody")}</span>}
        {later.has_webhook && <span class="tag">{t("batches.webhook")}</span>}
      </td>
      <td data-label={t("column.model")}>{later.model}</td>
      <td data-label={t("batches.times")}>
        <Times createdMs={later.created_ms} endedMs={later.ended_ms ?? null} keptUntilMs={later.is_over ? later.expires_ms : null} />
      </td>
      <Actions
        records={{ kind: "batch", q: clause("batch", later.id), from: new Date(later.created_ms).toISOString(), to: null }}
        cancel={may && !later.is_over ? () => cancelLater(later.id) : null}
        name={later.id}
        reload={reload}
      />
    </tr>
  );
}

interface TimesProps {
  createdMs: number;
  endedMs: number | null;
  /** It is given up then. */
  endsByMs?: number | null | undefined;
  /** Its answer is erased then. */
  keptUntilMs?: number | null | undefined;
}

function Times({ createdMs, endedMs, endsByMs, keptUntilMs }: TimesProps) {
  const { t, format } = useUi();
  return (
    <>
      <span class="nowrap">{format.moment(createdMs)}</span>
      {endedMs !== null && (
        <span class="process-note">{t("batches.took", { time: format.duration(Math.max(endedMs - createdMs, 0)) })}</span>
      )}
      {endsByMs != null && <span class="process-note">{t("batches.until", { time: format.moment(endsByMs) })}</span>}
      {keptUntilMs != null && <span class="process-note">{t("batches.kept_until", { time: format.moment(keptUntilMs) })}</span>}
    </>
  );
}

interface ActionsProps {
  records: Changes;
  /** Gives up on it; null where one may not, or where it is over. */
  cancel: (() => Promise<unknown>) | null;
  name: string;
  reload: () => void;
}

function Actions({ records, cancel, name, reload }: ActionsProps) {
  const { t } = useUi();
  const [asks, setAsks] = useState(false);
  return (
    <td class="row-actions">
      <span class="row-buttons">
        <InDiscover records={records} />
        {cancel !== null && (
          <button
            type="button"
            class="button"
            data-testid="batch-cancel"
            aria-label={t("batches.cancel_name", { name })}
            onClick={() => setAsks(true)}
          >
            {t("batches.cancel")}
          </button>
        )}
      </span>
      {asks && cancel !== null && <CancelDialog name={name} cancel={cancel} close={() => setAsks(false)} reload={reload} />}
    </td>
  );
}

interface CancelProps {
  name: string;
  cancel: () => Promise<unknown>;
  close: () => void;
  reload: () => void;
}

function CancelDialog({ name, cancel, close, reload }: CancelProps) {
  const { t } = useUi();
  const change = useChange(cancel, () => {
    close();
    reload();
  });
  return (
    <FormDialog
      name="batch-dialog"
      title={t("batches.cancel_title")}
      close={close}
      change={change}
      send={t("batches.cancel_it")}
      sendName="batch-cancel-it"
      danger
    >
      <p>
        <code class="batch-id">{name}</code>
      </p>
      <p>{t("batches.cancel_text")}</p>
    </FormDialog>
  );
}

function More({ listed }: { listed: { hasMore: boolean; busy: boolean; more: () => void; moreError: Error | null } }) {
  const { t } = useUi();
  return (
    <>
      {listed.moreError !== null && <ErrorNotice error={listed.moreError} />}
      {listed.hasMore && (
        <p class="panel-more">
          <button type="button" class="button" disabled={listed.busy} onClick={listed.more}>
            {t("alerts.earlier")}
          </button>
        </p>
      )}
    </>
  );
}
