// Before an order: what happened, and what will be done.

import { type Order, orderProcess, type Process } from "../../api/processes";
import { useChange } from "../../lib/use-change";
import { useUi } from "../../ui/context";
import { FormDialog } from "../../ui/dialog";
import { ORDER_WORDS, reasonOf, STATES } from "./words";

interface Props {
  process: Process;
  order: Order;
  done: () => void;
  close: () => void;
}

export function OrderDialog({ process, order, done, close }: Props) {
  const { t, format } = useUi();
  const change = useChange(() => orderProcess(process.name, order), done);
  const words = t(ORDER_WORDS[order].words, { name: process.name });
  const state = STATES[process.state];
  const reason = reasonOf(process, t, format);
  return (
    <FormDialog
      name="process-dialog"
      title={words}
      close={close}
      change={change}
      send={words}
      sendName="process-order"
      danger={order === "stop"}
    >
      <dl class="process-facts">
        <dt>{t("processes.happened")}</dt>
        <dd>
          {state === undefined ? process.state : t(state.text)}
          {process.since !== null && ` · ${t("probes.since", { time: format.moment(Date.parse(process.since)) })}`}
        </dd>
        {reason !== "" && <dd>{reason}</dd>}
        <dt>{t("processes.will")}</dt>
        {what(process, order).map((key) => (
          <dd key={key}>
            {t(key, {
              command: process.command.join(" "),
              stop: format.width(process.stop_ms),
              drain: format.width(process.drain_ms),
              upstreams: process.upstreams.join(", "),
            })}
          </dd>
        ))}
      </dl>
    </FormDialog>
  );
}

type Will = "processes.will_start" | "processes.will_hold" | "processes.will_drain" | "processes.will_end" | "processes.will_refuse";

/** What the order leads to, step by step. */
function what(process: Process, order: Order): Will[] {
  const serves = process.upstreams.length > 0;
  const runs = process.pid !== null;
  switch (order) {
    case "start":
    case "confirm":
      return serves ? ["processes.will_start", "processes.will_hold"] : ["processes.will_start"];
    case "restart":
      return serves
        ? ["processes.will_drain", "processes.will_end", "processes.will_start"]
        : ["processes.will_end", "processes.will_start"];
    case "stop":
      return [...(runs ? (["processes.will_end"] as const) : []), "processes.will_refuse"];
  }
}
