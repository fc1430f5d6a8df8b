// Copies the question behind what is shown as a line for the shell.

import type { SearchBody } from "../api/search";
import type { Session } from "../api/session";
import { curlSearch } from "../lib/curl";
import { useCopied } from "../lib/use-copied";
import { useUi } from "./context";
import { Icon } from "./icon";

interface Props {
  body: () => SearchBody;
  session: Session;
  /** Only the sign, for the head of a panel. */
  small?: boolean;
}

export function CurlButton({ body, session, small = false }: Props) {
  const { t } = useUi();
  const [copied, copy] = useCopied();
  const words = t(copied ? "common.copied" : "common.curl");
  const line = () => curlSearch(session.public_url ?? location.origin, session.service, body());
  return (
    <button
      type="button"
      class={small ? "icon-button" : "button"}
      data-testid="copy-curl"
      aria-label={words}
      title={words}
      onClick={() => void copy(line())}
    >
      <Icon name={copied ? "check" : "terminal"} />
      {!small && <span class="button-words">curl</span>}
    </button>
  );
}
