// The row of figures: what the range comes to.

import type { ComponentChildren } from "preact";
import type { Overview } from "../../api/requests";
import { sharedOf } from "../../lib/range";
import { address } from "../../lib/route";
import { sparkline } from "../../lib/sparkline";
import { useUi } from "../../ui/context";
import { InDiscover } from "../../ui/in-discover";
import { Link } from "../../ui/link";

const MINUTE_MS = 60_000;
const SPARK_WIDTH = 120;
const SPARK_HEIGHT = 26;

interface Props {
  overview: Overview;
  params: URLSearchParams;
  /** The question that they are made of, to be copied. */
  curl: ComponentChildren;
}

export function Figures({ overview, params, curl }: Props) {
  const { t, format } = useUi();
  const { total, errors, durations, ttft, span, series } = overview;
  const perMinute = total / ((span.toMs - span.fromMs) / MINUTE_MS);
  const share = total > 0 ? errors / total : null;
  const failed = address("discover", {
    q: "NOT http_status:[200 TO 299]",
    from: params.get("from"),
    to: params.get("to"),
  });

  return (
    <section class="panel figures" aria-label={t("figure.label")}>
      <Group
        title={t("figure.requests")}
        note={t("figure.per_minute", { rate: format.decimal(perMinute, perMinute < 10 ? 1 : 0) })}
      >
        <Figure name="requests" value={total} text={format.compact(total)} />
        <Spark values={series.map((bucket) => bucket.count)} colour="series-1" />
      </Group>
      <Group
        title={t("figure.errors")}
        note={
          <Link class="quiet-link" href={failed}>
            {t("figure.errors_note", { count: format.count(errors), total: format.count(total) })}
          </Link>
        }
      >
        <Figure name="errors" value={share} text={format.percent(share)} tone={errors > 0 ? "fault" : undefined} />
        <Spark values={series.map((bucket) => bucket.errors)} colour="fault" />
      </Group>
      <Group title={t("figure.duration")} wide>
        <Figure name="p50" label="p50" value={durations.p50} text={format.duration(durations.p50)} />
        <Figure name="p95" label="p95" value={durations.p95} text={format.duration(durations.p95)} />
        <Figure name="p99" label="p99" value={durations.p99} text={format.duration(durations.p99)} />
      </Group>
      <Group title={t("figure.ttft")}>
        <Figure name="ttft-p50" label="p50" value={ttft.p50} text={format.duration(ttft.p50)} />
        <Figure name="ttft-p95" label="p95" value={ttft.p95} text={format.duration(ttft.p95)} />
      </Group>
      <Group title={t("figure.tokens")}>
        <Figure
          name="tokens-in"
          label={t("figure.tokens_in")}
          value={overview.inputTokens}
          text={format.compact(overview.inputTokens)}
        />
        <Figure
          name="tokens-out"
          label={t("figure.tokens_out")}
          value={overview.outputTokens}
          text={format.compact(overview.outputTokens)}
        />
      </Group>
      <Group title={t("figure.speed")} note={t("figure.speed_note")}>
        <Figure name="speed" value={overview.tokensPerSecond} text={format.decimal(overview.tokensPerSecond, 1)} />
      </Group>
      <div class="figure-tools">
        {curl}
        <InDiscover records={sharedOf(params)} />
      </div>
    </section>
  );
}

function Group(props: { title: string; note?: ComponentChildren; wide?: boolean; children: ComponentChildren }) {
  return (
    <div class={props.wide === true ? "figure-group figure-wide" : "figure-group"}>
      <h2>{props.title}</h2>
      <div class="figure-values">{props.children}</div>
      {props.note !== undefined && <div class="figure-note">{props.note}</div>}
    </div>
  );
}

interface FigureProps {
  name: string;
  value: number | null;
  text: string;
  label?: string;
  tone?: "fault" | undefined;
}

function Figure({ name, value, text, label, tone }: FigureProps) {
  // The unit is smaller than the number, so that the numbers can be compared at a glance.
  const [number, unit] = splitUnit(text);
  return (
    <div class="figure" data-testid={`figure-${name}`} data-value={value ?? ""}>
      <span class={tone === undefined ? "figure-number" : `figure-number tone-${tone}`}>
        {number}
        {unit !== "" && <span class="figure-unit">{unit}</span>}
      </span>
      {label !== undefined && <span class="figure-label">{label}</span>}
    </div>
  );
}

function splitUnit(text: string): [string, string] {
  const match = /^([\d.,]+)(\s?[^\d.,\s]+)$/.exec(text);
  return match ? [match[1] ?? text, match[2] ?? ""] : [text, ""];
}

function Spark({ values, colour }: { values: number[]; colour: string }) {
  return (
    <svg
      class={`spark ${colour}`}
      viewBox={`0 0 ${SPARK_WIDTH} ${SPARK_HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <path d={sparkline(values, SPARK_WIDTH, SPARK_HEIGHT)} />
    </svg>
  );
}
