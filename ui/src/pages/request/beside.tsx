// What ran on the same server while this request did: one bar each, on one axis, with the lines of others as marks.

import type { Story } from "../../api/story";
import { sharedOf } from "../../lib/range";
import { requestAddress } from "../../lib/route";
import { useUi } from "../../ui/context";
import { Link } from "../../ui/link";

const SHOWN_MAX = 24;
/** The axis shows so much of the request's time before and after it. */
const MARGIN = 0.15;
const MARKS_MAX = 200;

interface Props {
  story: Story;
  totalMs: number;
  startMs: number | null;
  params: URLSearchParams;
}

export function Beside({ story, totalMs, startMs, params }: Props) {
  const { t, format } = useUi();
  const margin = Math.max(totalMs * MARGIN, 1);
  const length = totalMs + 2 * margin;
  const place = (ms: number) => Math.min(Math.max((ms + margin) / length, 0), 1);
  const bar = (start: number, duration: number) => ({
    "--start": `${place(start) * 100}%`,
    "--length": `${(place(start + duration) - place(start)) * 100}%`,
  });
  const neighbours = [...story.neighbours].sort((a, b) => a.startMs - b.startMs).slice(0, SHOWN_MAX);
  const marks = startMs === null ? [] : story.lines.slice(0, MARKS_MAX);
  return (
    <div class="beside" data-testid="beside" data-neighbours={story.neighbours.length}>
      <ol>
        <li class="beside-this">
          <span class="beside-name">{t("request.this")}</span>
          <span class="phase-track" aria-hidden="true">
            <span class="beside-bar" style={bar(0, totalMs)} />
            {marks.map((line, at) =>
              line.atMs === null || startMs === null ? null : (
                <span
                  key={at}
                  class={`beside-mark mark-${line.level ?? "info"}`}
                  style={{ "--start": `${place(line.atMs - startMs) * 100}%` }}
                />
              ),
            )}
          </span>
          <span class="phase-time">{format.duration(totalMs)}</span>
        </li>
        {neighbours.map((one) => (
          <li key={one.requestId} data-request-id={one.requestId}>
            <Link class="row-link beside-name" href={requestAddress(one.requestId, sharedOf(params))} title={one.requestId}>
              {one.model ?? one.requestId}
            </Link>
            <span class="phase-track" aria-hidden="true">
              <span class="beside-bar beside-other" style={bar(one.startMs, one.durationMs)} />
            </span>
            <span class="phase-time">{format.duration(one.durationMs)}</span>
          </li>
        ))}
      </ol>
      {story.neighbours.length === 0 && <p class="quiet">{t("request.alone")}</p>}
      {story.neighbours.length > SHOWN_MAX && (
        <p class="quiet">{t("request.beside_more", { count: story.neighbours.length - SHOWN_MAX })}</p>
      )}
    </div>
  );
}
