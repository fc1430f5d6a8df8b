// Writes a conversation as Markdown, to be shared.

import type { Message } from "../api/chats";
import { splitThinking } from "./thinking";

export interface Names {
  you: string;
  system: string;
  attachment: (name: string) => string;
}

export function chatMarkdown(title: string, system: string, branch: readonly Message[], names: Names): string {
  const parts = [`# ${oneLine(title)}`];
  if (system.trim() !== "") parts.push(`## ${names.system}`, system.trim());
  for (const message of branch) {
    const model = message.told.model;
    const who = message.role === "user" ? names.you : typeof model === "string" && model !== "" ? model : "–";
    parts.push(`## ${oneLine(who)}`);
    for (const { name, text } of message.attachments) {
      parts.push(`*${names.attachment(oneLine(name))}*`);
      if (text !== undefined) parts.push(fenced(text));
    }
    const said = message.role === "user" ? message.text : splitThinking(message.text).text;
    if (said.trim() !== "") parts.push(said.trim());
  }
  return `${parts.join("\n\n")}\n`;
}

/** A name that is safe in every file system. */
export function fileName(title: string): string {
  const plain = title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "");
  return `${plain.slice(0, 60) || "chat"}.md`;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

/** The fence is longer than any in the text. */
function fenced(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map((match) => match[0].length));
  const fence = "`".repeat(longest + 1);
  return `${fence}\n${text}\n${fence}`;
}
