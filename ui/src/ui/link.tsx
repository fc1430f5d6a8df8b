// A link inside the console: a real address that does not load the page anew.

import type { ComponentChildren } from "preact";
import { go } from "../lib/route";

interface Props {
  href: string;
  children: ComponentChildren;
  class?: string;
  title?: string;
  /** Of what it says, where that is not the page's. */
  lang?: string;
  /** Called when the link was followed inside the console. */
  followed?: () => void;
  "aria-label"?: string;
  "aria-current"?: "page" | "step" | undefined;
  [data: `data-${string}`]: string | number;
}

export function Link({ href, children, followed, ...rest }: Props) {
  const follow = (event: MouseEvent) => {
    // New tab, new window and download stay the browser's business.
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    go(href);
    followed?.();
  };
  return (
    <a {...rest} href={href} onClick={follow}>
      {children}
    </a>
  );
}
