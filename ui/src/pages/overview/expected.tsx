// What is said of the forecast below the chart: its interval, why there is none, and a peak that will be too much.

import type { Ahead, Forecast, ForecastSeries } from "../../api/forecast";
import { readSaid, saidWords } from "../../lib/said";
import { useUi } from "../../ui/context";
import { Lamp } from "../../ui/lamp";

interface Props {
  forecast: Forecast;
  requests: ForecastSeries;
  ahead: Ahead;
}

const HOUR_MS = 3_600_000;

export function Expected({ forecast, requests, ahead }: Props) {
  const ui = useUi();
  const { t, format } = ui;
  const { slots } = forecast;
  // A forecast that an older house has kept has no codes.
  const why = saidWords(readSaid(requests.said), requests.why, ui);
  const isDrawn = ahead.times.length > 0;
  return (
    <p class="expected" data-testid="forecast" data-told={requests.told} data-points={ahead.times.length}>
      {slots !== null && slots.share > 1 && (
        <Lamp colour="yellow">
          {t("overview.forecast_slots", {
            time: format.clock(Date.parse(slots.peak_at), HOUR_MS / 2),
            share: format.percent(slots.share - 1),
          })}
        </Lamp>
      )}
      {requests.told && isDrawn && (
        <span class="quiet" title={why}>
          {t("overview.forecast_range", { share: format.percent(forecast.interval) })}
        </span>
      )}
      {!requests.told && <span class="quiet">{t("overview.forecast_none", { why })}</span>}
    </p>
  );
}
