// Words for the stores of the house.

import type { TextKey } from "../../i18n/en";

export const STORES: Record<string, TextKey> = {
  journal: "store.journal",
  index: "store.index",
  content: "store.content",
  state: "store.state",
  collect: "store.collect",
  ship: "store.ship",
  supervise: "store.supervise",
  batches: "store.batches",
  tasks: "store.tasks",
};
