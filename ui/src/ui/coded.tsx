// A sentence whose parts between backticks are names of settings or commands.

/** The sentence with those parts as code; a lone backtick stays as it is. */
export function Coded({ text }: { text: string }) {
  return <>{text.split(/`([^`]+)`/).map((part, at) => (at % 2 === 1 ? <code key={at}>{part}</code> : part))}</>;
}
