// A chat is a tree of messages: a question may be asked again in other words, and answered more than once.

export interface Node {
  id: string;
  parent: string | null;
}

/** The messages from the first to `head`, in the order in which they were said. */
export function branchOf<T extends Node>(messages: readonly T[], head: string | null): T[] {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const branch: T[] = [];
  let at = head === null ? undefined : byId.get(head);
  while (at !== undefined && branch.length < messages.length) {
    branch.unshift(at);
    at = at.parent === null ? undefined : byId.get(at.parent);
  }
  return branch;
}

/** The messages that stand in one place, the message itself among them. */
export function siblingsOf<T extends Node>(messages: readonly T[], message: Node): T[] {
  return messages.filter((one) => one.parent === message.parent);
}

/** The end of the latest branch through a message. */
export function latestLeaf<T extends Node>(messages: readonly T[], id: string): string {
  let leaf = id;
  for (let steps = 0; steps < messages.length; steps++) {
    const next = messages.filter((one) => one.parent === leaf).at(-1);
    if (next === undefined) return leaf;
    leaf = next.id;
  }
  return leaf;
}
