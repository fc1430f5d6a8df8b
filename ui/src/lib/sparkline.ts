// The path of a small curve without axes.

export function sparkline(values: readonly number[], width: number, height: number): string {
  const largest = Math.max(1, ...values);
  const step = values.length > 1 ? width / (values.length - 1) : width;
  return values
    .map(
      (value, at) =>
        `${at === 0 ? "M" : "L"}${round(at * step)} ${round(height - 1 - (value / largest) * (height - 2))}`,
    )
    .join("");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
