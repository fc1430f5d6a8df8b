// Writes JSON as coloured pieces for the JSON view; pieces are text, never markup.

export type TokenKind = "key" | "string" | "number" | "word" | "sign";

export interface Token {
  kind: TokenKind;
  text: string;
}

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true|false|null)|([^"\d\-tfn]+|.)/g;

export function jsonTokens(json: string): Token[] {
  const tokens: Token[] = [];
  for (const [whole, text, colon, number, word] of json.matchAll(TOKEN)) {
    if (text !== undefined) {
      tokens.push({ kind: colon === undefined ? "string" : "key", text });
      if (colon !== undefined) tokens.push({ kind: "sign", text: colon });
    } else if (number !== undefined) tokens.push({ kind: "number", text: number });
    else if (word !== undefined) tokens.push({ kind: "word", text: word });
    else tokens.push({ kind: "sign", text: whole });
  }
  return tokens;
}
