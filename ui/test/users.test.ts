// The name by which a browser is shown.

import assert from "node:assert/strict";
import { test } from "node:test";
import { agentName } from "../src/lib/agent";

test("a browser is shown by what people know it by, anything else by its own words", () => {
  const chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
  for (const [agent, name] of [
    [chrome, "Chrome 141 · Linux"],
    [`${chrome} Edg/141.0.0.0`, "Edge 141 · Linux"],
    ["Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:143.0) Gecko/20100101 Firefox/143.0", "Firefox 143 · macOS"],
    ["Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Mobile Safari/604", "Safari 18 · iOS"],
    ["curl/8.5.0", "curl/8.5.0"],
    ["<script>alert(1)</script>".repeat(4), "<script>alert(1)</script>".repeat(4).slice(0, 40)],
    ["", ""],
  ])
    assert.equal(agentName(agent ?? ""), name);
});
