// Status by model: how many requests ended how, coloured by how long they took. Each cell leads to its requests.

import { type HeatCell, NO_MODEL } from "../../api/requests";
import { HEAT_STEPS, heatStep } from "../../lib/heat";
import { clause } from "../../lib/lucene";
import { address, type Changes } from "../../lib/route";
import { useUi } from "../../ui/context";
import { Link } from "../../ui/link";

export function HeatMap({ cells, range }: { cells: HeatCell[]; range: Changes }) {
  const { t, format } = useUi();
  const statuses = [...new Set(cells.map((cell) => cell.status))].sort((a, b) => a - b);
  const models = busiestFirst(cells);
  const means = cells.flatMap((cell) => (cell.meanMs === null ? [] : [cell.meanMs]));
  const largest = Math.max(0, ...means);
  const nameOf = (model: string) => (model === NO_MODEL ? t("common.no_model") : model);

  const cellOf = (status: number, model: string) => {
    const cell = cells.find((one) => one.status === status && one.model === model);
    if (cell === undefined) return <td key={model} class="heat-none" />;
    const step = cell.meanMs === null ? 0 : heatStep(cell.meanMs, largest);
    const words = { status, model: nameOf(model), count: format.count(cell.count), mean: format.duration(cell.meanMs) };
    return (
      <td key={model}>
        <Link
          class={`heat-cell heat-${step}`}
          href={address("discover", { ...range, q: cellQuery(status, model) })}
          data-testid="heatmap-cell"
          data-status={status}
          data-model={model}
          data-count={cell.count}
          data-mean={cell.meanMs ?? ""}
          title={t("chart.heat_cell", words)}
        >
          <span class="visually-hidden">{t("chart.heat_cell", words)}</span>
          <span class="heat-count" aria-hidden="true">
            {format.compact(cell.count)}
          </span>
          <span class="heat-mean" aria-hidden="true">
            {format.duration(cell.meanMs)}
          </span>
        </Link>
      </td>
    );
  };

  return (
    <div class="heat">
      <div class="heat-scroll">
        <table>
          <thead>
            <tr>
              <td />
              {models.map((model) => (
                <th key={model} scope="col" title={nameOf(model)}>
                  {nameOf(model)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {statuses.map((status) => (
              <tr key={status}>
                <th scope="row">
                  <span class={`status status-${Math.floor(status / 100)}`}>{status}</span>
                </th>
                {models.map((model) => cellOf(status, model))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <div class="heat-scale" aria-hidden="true">
        <span>{t("chart.heat_fast")}</span>
        <span class="heat-steps">
          {Array.from({ length: HEAT_STEPS }, (_, step) => (
            <i key={step} class={`heat-${step}`} />
          ))}
        </span>
        <span>
          {t("chart.heat_slow")} {format.duration(means.length > 0 ? largest : null)}
        </span>
      </div>
    </div>
  );
}

function busiestFirst(cells: HeatCell[]): string[] {
  const counts = new Map<string, number>();
  for (const cell of cells) counts.set(cell.model, (counts.get(cell.model) ?? 0) + cell.count);
  return [...counts].sort(([a, x], [b, y]) => y - x || a.localeCompare(b)).map(([model]) => model);
}

function cellQuery(status: number, model: string): string {
  return `${clause("http_status", status)} AND ${clause("model_name", model === NO_MODEL ? null : model)}`;
}
