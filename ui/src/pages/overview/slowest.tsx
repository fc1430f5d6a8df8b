// The slowest requests of the range.

import type { Row } from "../../api/requests";
import { type Changes, requestAddress } from "../../lib/route";
import { DurationBar, Model, StatusBadge } from "../../ui/cells";
import { useUi } from "../../ui/context";
import { Link } from "../../ui/link";

export function Slowest({ rows, range }: { rows: Row[]; range: Changes }) {
  const { t, format } = useUi();
  const longest = Math.max(1, ...rows.map((row) => row.durationMs ?? 0));
  return (
    <div class="table-scroll">
      <table class="rows slowest">
        <thead>
          <tr>
            <th scope="col">{t("column.time")}</th>
            <th scope="col">{t("column.status")}</th>
            <th scope="col">{t("column.model")}</th>
            <th scope="col" class="col-user">
              {t("column.user")}
            </th>
            <th scope="col" class="num col-tokens">
              {t("column.input")}
            </th>
            <th scope="col" class="num col-tokens">
              {t("column.output")}
            </th>
            <th scope="col" class="num col-ttft" title={t("column.ttft_long")}>
              {t("column.ttft")}
            </th>
            <th scope="col" class="num">
              {t("column.duration")}
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id}>
              <td class="nowrap">
                <Link
                  class="row-link"
                  href={requestAddress(row.requestId, range)}
                >
                  {format.dateTime(row.atMs)}
                </Link>
              </td>
              <td>
                <StatusBadge row={row} />
              </td>
              <td>
                <Model name={row.model} />
              </td>
              <td class="col-user">{row.user ?? ""}</td>
              <td class="num col-tokens">{format.count(row.inputTokens)}</td>
              <td class="num col-tokens">{format.count(row.outputTokens)}</td>
              <td class="num col-ttft">{format.duration(row.ttftMs)}</td>
              <td class="num">
                <DurationBar row={row} longest={longest} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
