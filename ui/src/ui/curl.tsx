// Copies the question behind what is shown as a line for the shell.

import { useEffect, useState } from "preact/hooks";
import type { SearchBody } from "../api/search";
import type { Session } from "../api/session";
import { copyText } from "../lib/clipboard";
import { curlSearch } from "../lib/curl";
import { useUi } from "./context";
import { Icon } from "./icon";

const SHOWN_MS = 1_600;

interface Props {
  body: () => SearchBody;
  session: Session;
  /** Only the sign, for the head of a panel. */
  small?: boolean;
}

export function CurlButton({ body, session, small = false }: Props) {
  const { t } = useUi();
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  const words = t(copied ? "common.copied" : "common.curl");
  const copy = async () => {
    setCopied(await copyText(curlSearch(session.public_url ?? location.origin, session.service, body())));
  };
  return (
    <button
      type="button"
      class={small ? "icon-button" : "button"}
      data-testid="copy-curl"
      aria-label={words}
      title={words}
      onClick={() => void copy()}
    >
      <Icon name={copied ? "check" : "terminal"} />
      {!small && <span class="button-words">curl</span>}
    </button>
  );
}
