// A heat table: each cell says how many, coloured by how much, and leads to its records.

import type { ComponentChildren } from "preact";
import { HEAT_STEPS, heatStep } from "../lib/heat";
import { useUi } from "./context";
import { Link } from "./link";

export interface HeatCell {
  row: string;
  column: string;
  count: number;
  /** What colours it; null stays the calmest. */
  value: number | null;
  /** The value in words. */
  figure: string;
  /** The whole cell in words. */
  words: string;
  href: string;
  /** What tests read. */
  data: Record<`data-${string}`, string | number>;
}

interface Props {
  rows: string[];
  columns: string[];
  cells: HeatCell[];
  nameOf: (key: string) => string;
  rowHead?: (row: string) => ComponentChildren;
  low: string;
  high: string;
}

export function largestOf(values: (number | null)[]): number {
  return Math.max(0, ...values.map((value) => value ?? 0));
}

export function HeatTable({ rows, columns, cells, nameOf, rowHead = nameOf, low, high }: Props) {
  const { format } = useUi();
  const largest = largestOf(cells.map((cell) => cell.value));
  const cellOf = (row: string, column: string) => {
    const cell = cells.find((one) => one.row === row && one.column === column);
    if (cell === undefined) return <td key={column} class="heat-none" />;
    return (
      <td key={column}>
        <Link
          class={`heat-cell heat-${cell.value === null ? 0 : heatStep(cell.value, largest)}`}
          href={cell.href}
          title={cell.words}
          {...cell.data}
        >
          <span class="visually-hidden">{cell.words}</span>
          <span class="heat-count" aria-hidden="true">
            {format.compact(cell.count)}
          </span>
          <span class="heat-mean" aria-hidden="true">
            {cell.figure}
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
              {columns.map((column) => (
                <th key={column} scope="col" title={nameOf(column)} translate={false}>
                  {nameOf(column)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row}>
                <th scope="row" title={nameOf(row)} translate={false}>
                  {rowHead(row)}
                </th>
                {columns.map((column) => cellOf(row, column))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <div class="heat-scale" aria-hidden="true">
        <span>{low}</span>
        <span class="heat-steps">
          {Array.from({ length: HEAT_STEPS }, (_, step) => (
            <i key={step} class={`heat-${step}`} />
          ))}
        </span>
        <span>{high}</span>
      </div>
    </div>
  );
}
