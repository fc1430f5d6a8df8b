// The tree of a chat, what the model is told of it, news of an answer, files, and chats as Markdown.

import assert from "node:assert/strict";
import { test } from "node:test";
import { heard, type Message, newsOf } from "../src/api/chats";
import { type Attachment, isPicture, textOf, tooMuch } from "../src/lib/attach";
import { chatMarkdown, fileName } from "../src/lib/chat-file";
import { branchOf, latestLeaf, siblingsOf } from "../src/lib/tree";
import { messagesOf } from "../src/pages/chat/use-talk";

function said(id: string, parent: string | null, role: Message["role"], text: string, more: Partial<Message> = {}): Message {
  return { id, parent, role, text, state: "done", created_ms: 0, told: {}, thinking: "", attachments: [], ...more };
}

const TREE = [
  said("q1", null, "user", "one"),
  said("a1", "q1", "assistant", "<think>hm</think>\n1"),
  said("a2", "q1", "assistant", "other"),
  said("q2", "a1", "user", "two"),
  said("a3", "q2", "assistant", "2"),
];

test("a branch leads from the first message to its head", () => {
  const ids = (head: string | null) => branchOf(TREE, head).map(({ id }) => id);
  assert.deepEqual(ids("a3"), ["q1", "a1", "q2", "a3"]);
  assert.deepEqual(ids("a2"), ["q1", "a2"]);
  assert.deepEqual(ids(null), []);
  assert.deepEqual(ids("gone"), []);
  const circle = [
    { id: "a", parent: "b" },
    { id: "b", parent: "a" },
  ];
  assert.equal(branchOf(circle, "a").length, 2);
});

test("branches of one place are told apart, and each has an end", () => {
  const at = (id: string) => TREE.find((one) => one.id === id) ?? said("", null, "user", "");
  assert.deepEqual(siblingsOf(TREE, at("a1")).map(({ id }) => id), ["a1", "a2"]);
  assert.equal(latestLeaf(TREE, "a1"), "a3");
  assert.equal(latestLeaf(TREE, "a2"), "a2");
});

test("the model hears no thoughts, and files before the question", () => {
  const attachments: Attachment[] = [
    { name: "a.txt", text: "in it" },
    { name: "b.png", image: "data:image/png;base64,AA==" },
  ];
  const branch = [...branchOf(TREE, "a1"), said("q", "a1", "user", "and?", { attachments }), said("e", "q", "assistant", " ")];
  assert.deepEqual(messagesOf("brief", branch), [
    { role: "system", content: "brief" },
    { role: "user", content: "one" },
    { role: "assistant", content: "1" },
    {
      role: "user",
      content: [
        { type: "text", text: "[a.txt]\nin it\n\nand?" },
        { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } },
      ],
    },
  ]);
});

test("news are added, and a new beginning replaces what was there", () => {
  let message = said("a", null, "assistant", "old", { state: "running" });
  message = heard(message, newsOf({ whole: true, text: "He", told: {}, state: "running", wait: { phase: "queued", position: 2 } }));
  message = heard(message, newsOf({ text: "llo", told: { model: "m" }, state: "done" }));
  assert.deepEqual([message.text, message.state, message.told], ["Hello", "done", { model: "m" }]);
  assert.deepEqual(newsOf({ wait: { phase: "queued", position: 2 } }).wait, { phase: "queued", position: 2 });
  assert.equal(newsOf({ state: "nonsense" }).state, "failed");
});

test("files are text or pictures, within bounds", () => {
  assert.equal(textOf(new TextEncoder().encode("你好")), "你好");
  assert.equal(textOf(new Uint8Array([1, 0, 2])), null);
  assert.equal(textOf(new Uint8Array([0xff, 0xfe])), null);
  assert.equal(tooMuch(Array.from({ length: 9 }, () => ({ name: "a", text: "" }))), "many");
  assert.equal(tooMuch([{ name: "a", text: "x".repeat(12 * 1024 * 1024) }]), "together");
  assert.equal(tooMuch([{ name: "a", text: "x" }]), null);
  for (const url of ["data:image/svg+xml;base64,AA==", "https://example.com/a.png", 'data:image/png;base64,"><script>'])
    assert.equal(isPicture(url), false, url);
  assert.equal(isPicture("data:image/png;base64,AA=="), true);
});

test("a chat as Markdown keeps its files apart from its words", () => {
  const attachments = [{ name: "a.md", text: "```\ncode\n```" }];
  const branch = [said("q", null, "user", "why?", { attachments }), said("a", "q", "assistant", "so", { told: { model: "m" } })];
  const names = { you: "You", system: "System", attachment: (name: string) => `Attached: ${name}` };
  const text = chatMarkdown("a\ntitle", "brief", branch, names);
  assert.equal(
    text,
    "# a title\n\n## System\n\nbrief\n\n## You\n\n*Attached: a.md*\n\n````\n```\ncode\n```\n````\n\nwhy?\n\n## m\n\nso\n",
  );
  assert.equal(fileName("Wie geht's / ../x?"), "Wie-geht-s-x.md");
  assert.equal(fileName("??"), "chat.md");
});
