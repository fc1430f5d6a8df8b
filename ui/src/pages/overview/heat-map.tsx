// Status by model: how many requests ended how, coloured by how long they took. Each cell leads to its requests.

import { type HeatCell as StatusCell, NO_MODEL } from "../../api/requests";
import { clause } from "../../lib/lucene";
import { address, type Changes } from "../../lib/route";
import { useUi } from "../../ui/context";
import { type HeatCell, HeatTable, largestOf } from "../../ui/heat";

export function HeatMap({ cells, range }: { cells: StatusCell[]; range: Changes }) {
  const { t, format } = useUi();
  const statuses = [...new Set(cells.map((cell) => cell.status))].sort((a, b) => a - b).map(String);
  const means = cells.map((cell) => cell.meanMs);
  const nameOf = (name: string) => (name === NO_MODEL ? t("common.no_model") : name);
  const shown = cells.map(({ status, model, count, meanMs }): HeatCell => {
    const mean = format.duration(meanMs);
    return {
      row: String(status),
      column: model,
      count,
      value: meanMs,
      figure: mean,
      words: t("chart.heat_cell", { status, model: nameOf(model), count: format.count(count), mean }),
      href: address("discover", { ...range, q: cellQuery(status, model) }),
      data: {
        "data-testid": "heatmap-cell",
        "data-status": status,
        "data-model": model,
        "data-count": count,
        "data-mean": meanMs ?? "",
      },
    };
  });
  const slowest = means.some((mean) => mean !== null) ? largestOf(means) : null;
  return (
    <HeatTable
      rows={statuses}
      columns={busiestFirst(cells)}
      cells={shown}
      nameOf={nameOf}
      rowHead={(status) => <span class={`status status-${status.charAt(0)}`}>{status}</span>}
      low={t("chart.heat_fast")}
      high={`${t("chart.heat_slow")} ${format.duration(slowest)}`}
    />
  );
}

function busiestFirst(cells: StatusCell[]): string[] {
  const counts = new Map<string, number>();
  for (const cell of cells) counts.set(cell.model, (counts.get(cell.model) ?? 0) + cell.count);
  return [...counts].sort(([a, x], [b, y]) => y - x || a.localeCompare(b)).map(([model]) => model);
}

function cellQuery(status: number, model: string): string {
  return `${clause("http_status", status)} AND ${clause("model_name", model === NO_MODEL ? null : model)}`;
}
