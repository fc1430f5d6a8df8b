// Finds the points of a curve that stand out.

/**
 * Positions whose value lies above the mean plus two standard deviations; when none does, the largest one.
 * A curve without ups and downs has no peak.
 */
export function peaks(values: readonly number[]): number[] {
  const largest = Math.max(0, ...values);
  const smallest = Math.min(...values);
  if (values.length < 3 || largest === smallest) return [];
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  const limit = mean + 2 * Math.sqrt(variance);
  const above = positions(values, (value) => value > limit);
  return above.length > 0 ? above : positions(values, (value) => value === largest).slice(0, 1);
}

function positions(values: readonly number[], test: (value: number) => boolean): number[] {
  return values.flatMap((value, at) => (test(value) ? [at] : []));
}
