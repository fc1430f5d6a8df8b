// Sorts durations into the colour steps of the heat map.

export const HEAT_STEPS = 6;

/**
 * The step of a value between 0 and the largest: 0 is the calmest.
 * The root spreads the short ones apart without letting refusals of half a millisecond stretch the scale, as a logarithm would.
 */
export function heatStep(value: number, largest: number): number {
  if (largest <= 0) return 0;
  const share = Math.sqrt(Math.min(Math.max(value, 0), largest) / largest);
  return Math.min(HEAT_STEPS - 1, Math.floor(share * HEAT_STEPS));
}
