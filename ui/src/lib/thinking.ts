// Takes the thoughts that some models write between <think> tags out of an answer.

export interface Answer {
  thinking: string;
  text: string;
}

const OPEN = "<think>";
const CLOSE = "</think>";

/** Only a tag at the very beginning counts: later ones are text about tags. */
export function splitThinking(raw: string): Answer {
  const body = raw.trimStart();
  // While a tag is still arriving, nothing of it is shown.
  if (OPEN.startsWith(body)) return { thinking: "", text: "" };
  if (!body.startsWith(OPEN)) return { thinking: "", text: raw };
  const end = body.indexOf(CLOSE);
  if (end < 0) return { thinking: body.slice(OPEN.length).trim(), text: "" };
  return { thinking: body.slice(OPEN.length, end).trim(), text: body.slice(end + CLOSE.length).trimStart() };
}
