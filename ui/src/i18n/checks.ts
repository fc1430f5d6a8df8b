// What each check of the doctor looks at, in both languages; the doctor's own words are those of its command line.

import type { Language } from "../lib/format";

type Words = Record<Language, string>;

export const checks = {
  "config.readable": { en: "Configuration file", zh: "配置文件" },
  "edge.certificate": { en: "Certificate of the public address", zh: "公开地址的证书" },
  "edge.acme": { en: "Renewal by the house itself (ACME)", zh: "由本程序自动续期（ACME）" },
  "edge.challenge": { en: "Way of the authority", zh: "证书颁发机构的访问路径" },
  "edge.renewal": { en: "Renewal of the certificate", zh: "证书续期" },
  "edge.answer": { en: "Public address", zh: "公开地址" },
  "edge.proxy_timeout": { en: "Patience of the proxy", zh: "代理的超时时间" },
  "edge.proxy_buffering": { en: "Buffering by the proxy", zh: "代理的缓冲" },
  "edge.proxy_trusted": { en: "Trust in the proxy", zh: "对代理的信任" },
  "gate.port": { en: "The gate's port", zh: "网关端口" },
  "gate.answer": { en: "The gate's answer", zh: "网关应答" },
  "gate.version": { en: "Running version", zh: "运行中的版本" },
  "gate.configuration": { en: "Configuration in force", zh: "生效的配置" },
  "gate.keys": { en: "Keys", zh: "密钥" },
  "gate.requests": { en: "Requests of the last minutes", zh: "最近几分钟的请求" },
  "server.port": { en: "Port of the model server", zh: "模型服务器端口" },
  "server.answer": { en: "Answer of the model server", zh: "模型服务器应答" },
  "server.models": { en: "Models on the server", zh: "服务器上的模型" },
  "server.speaks": { en: "A model in memory answers", zh: "内存中的模型能回答" },
  "server.version": { en: "Version of the model server", zh: "模型服务器版本" },
  "server.bind": { en: "Who reaches the model server", zh: "谁能访问模型服务器" },
  "server.parallel": { en: "Requests at once", zh: "并发请求数" },
  "server.context": { en: "Length of the context", zh: "上下文长度" },
  "server.spilled": { en: "Model wholly on the card", zh: "模型完全在显卡上" },
  "server.flash_attention": { en: "Flash attention", zh: "Flash attention" },
  "log.lines": { en: "Lines of the model server's log", zh: "模型服务器日志" },
  "gpu.cards": { en: "Graphics cards", zh: "显卡" },
  "machine.memory": { en: "Memory", zh: "内存" },
  "machine.disk": { en: "Disk", zh: "磁盘" },
  "machine.clock": { en: "Clock", zh: "时钟" },
  "machine.clock_back": { en: "Clock set back", zh: "时钟回拨" },
  "machine.place": { en: "Files and folders", zh: "文件与目录" },
  "machine.port": { en: "Ports of sources and search", zh: "来源与搜索的端口" },
  "machine.budget": { en: "Budget of the stores", zh: "存储预算" },
  "openclaw.settings": { en: "Settings of OpenClaw", zh: "OpenClaw 设置" },
  "openclaw.base_url": { en: "Whom OpenClaw asks", zh: "OpenClaw 的请求地址" },
  "openclaw.api_key": { en: "Key of OpenClaw", zh: "OpenClaw 的密钥" },
  "openclaw.timeout": { en: "Patience of OpenClaw", zh: "OpenClaw 的超时时间" },
  "openclaw.trusted_proxies": { en: "Proxies that OpenClaw trusts", zh: "OpenClaw 信任的代理" },
  "openclaw.allowed_origins": { en: "Origins that OpenClaw allows", zh: "OpenClaw 允许的来源" },
  "openclaw.log_file": { en: "Log of OpenClaw", zh: "OpenClaw 日志" },
  "book.journal": { en: "Journal", zh: "日志账本" },
  "book.index": { en: "Index", zh: "索引" },
  "book.dead": { en: "Dead letters", zh: "死信" },
  "channel.mail": { en: "Mail server of the channel", zh: "渠道的邮件服务器" },
  "network.open": { en: "Open ports", zh: "开放的端口" },
  "network.around": { en: "Ways around the gate", zh: "绕过网关的途径" },
  "network.firewall": { en: "Firewall", zh: "防火墙" },
  "tls.everywhere": { en: "Encryption on the network", zh: "网络加密" },
  "tls.certificate": { en: "Certificate", zh: "证书" },
  "tls.versions": { en: "Versions of TLS", zh: "TLS 版本" },
  "tls.headers": { en: "Headers of the page", zh: "页面响应头" },
  "entry.keys_needed": { en: "A key is asked for", zh: "要求密钥" },
  "entry.default_secrets": { en: "Keys out of tutorials", zh: "教程中的密钥" },
  "entry.key_age": { en: "Age of keys", zh: "密钥的使用时长" },
  "entry.admin_keys": { en: "Keys of admins", zh: "管理员密钥" },
  "entry.allow_list": { en: "Who may come", zh: "允许名单" },
  "entry.trusted_proxies": { en: "Trusted proxies", zh: "受信任的代理" },
  "entry.file_modes": { en: "Rights on secret files", zh: "机密文件的权限" },
  "entry.systemd": { en: "Confinement by systemd", zh: "systemd 隔离" },
  "entry.prompts_kept": { en: "Kept prompts", zh: "保存的提示词" },
  "behind.known_holes": { en: "Known holes", zh: "已知漏洞" },
  "behind.origins": { en: "Origins of the model server", zh: "模型服务器允许的来源" },
  "behind.way": { en: "Way to servers elsewhere", zh: "通往其他机器的链路" },
} satisfies Record<string, Words>;

export const areas = {
  configuration: { en: "Configuration", zh: "配置" },
  edge: { en: "Before the gate", zh: "网关之前" },
  gate: { en: "The gate", zh: "网关" },
  server: { en: "Model servers", zh: "模型服务器" },
  server_log: { en: "Log of the model servers", zh: "模型服务器日志" },
  gpu: { en: "Graphics cards", zh: "显卡" },
  machine: { en: "The machine", zh: "机器" },
  openclaw: { en: "OpenClaw", zh: "OpenClaw" },
  book: { en: "Journal and index", zh: "账本与索引" },
  channels: { en: "Channels", zh: "通知渠道" },
  network: { en: "Layer 1: network", zh: "第一层：网络" },
  tls: { en: "Layer 2: encryption", zh: "第二层：加密" },
  entry: { en: "Layer 3: entry", zh: "第三层：准入" },
  behind: { en: "Layer 4: what stands behind", zh: "第四层：后端" },
} satisfies Record<string, Words>;

export const advices = {
  prompts: { en: "Length of prompts", zh: "提示词长度" },
  context: { en: "Length of the context", zh: "上下文长度" },
  loads: { en: "Loading of models", zh: "模型加载" },
  queue: { en: "Waiting for a turn", zh: "排队等待" },
  memory: { en: "Memory of the card", zh: "显存" },
} satisfies Record<string, Words>;

/** What a file or folder is to the house. */
export const places = {
  config: { en: "config", zh: "配置文件" },
  data: { en: "data", zh: "数据目录" },
  journal: { en: "journal", zh: "日志账本" },
  state: { en: "state", zh: "状态库" },
  source: { en: "source", zh: "来源" },
} satisfies Record<string, Words>;

/** The words for a name that the server may also know and this page not. */
export function named(words: Record<string, Words>, name: string, language: Language): string {
  return (Object.hasOwn(words, name) ? words[name]?.[language] : undefined) ?? name;
}
