// The toll-house with its barrier: the mark of the product, and the sign that says how the house is.

/** The arm stands at the angle that tells the state: up is open, half is "look here", down is closed. */
export type BarrierState = "ok" | "warn" | "fault" | "unknown";

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" focusable="false">
      <path class="mark-house" fill-rule="evenodd" d="M1.5 9.2 7 3.5l5.5 5.7V21h-11zM4.7 12v4.2h4.6V12z" />
      <path class="mark-arm" d="M12.5 17.7 22.6 7.6" />
      <path class="mark-stripe" d="m15.4 14.8 2-2m2.2-2.2 2-2" />
      <path class="mark-post" d="M21.5 21v-3" />
    </svg>
  );
}

const ANGLES: Record<BarrierState, number> = { ok: -52, warn: -24, fault: 0, unknown: -24 };

export function Barrier({ state }: { state: BarrierState }) {
  return (
    <svg
      class={`barrier barrier-${state}`}
      viewBox="0 0 40 36"
      width="40"
      height="36"
      aria-hidden="true"
      focusable="false"
    >
      <path class="barrier-ground" d="M1 33.5h38" />
      <g transform={`rotate(${ANGLES[state]} 8 24)`}>
        <path class="barrier-arm" d="M8 24h29" />
        <path class="barrier-stripe" d="M15 24h4m4 0h4m4 0h4" />
      </g>
      <path class="barrier-post" d="M4 33.5V22a2 2 0 0 1 2-2h4a2 2 0 0 1 2 2v11.5z" />
      <circle class="barrier-lamp" cx="8" cy="24" r="2" />
    </svg>
  );
}
