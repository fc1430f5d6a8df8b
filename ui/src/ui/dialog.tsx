// A window in front of the page: the browser keeps the focus inside, and Escape closes it.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { useUi } from "./context";
import { Icon } from "./icon";

interface Props {
  name: string;
  title: string;
  close: () => void;
  children: ComponentChildren;
}

export function Dialog({ name, title, close, children }: Props) {
  const { t } = useUi();
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="dialog" data-testid={name} aria-labelledby={id} onClose={close}>
      <header class="dialog-head">
        <h2 id={id}>{title}</h2>
        <button
          type="button"
          class="icon-button"
          aria-label={t("common.close")}
          title={t("common.close")}
          onClick={() => dialog.current?.close()}
        >
          <Icon name="close" />
        </button>
      </header>
      {children}
    </dialog>
  );
}
