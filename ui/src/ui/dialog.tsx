// A window in front of the page: the browser keeps the focus inside, and Escape closes it.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import type { Change } from "../lib/use-change";
import { useUi } from "./context";
import { Icon } from "./icon";
import { ErrorNotice } from "./notice";

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

interface FormProps extends Props {
  /** What the form does once it is sent. */
  change: Change;
  /** Words of the button that sends it, and its name for tests. */
  send: string;
  sendName: string;
  /** What it does cannot be undone. */
  danger?: boolean;
  class?: string;
}

/** A window with a form, what went wrong with it, and the buttons at its end. */
export function FormDialog({ change, send, sendName, danger = false, class: look, children, ...dialog }: FormProps) {
  const { t } = useUi();
  return (
    <Dialog {...dialog}>
      <form
        class={look}
        onSubmit={(event) => {
          event.preventDefault();
          change.start();
        }}
      >
        {children}
        {change.error !== null && (
          <div class="wide">
            <ErrorNotice error={change.error} />
          </div>
        )}
        <div class="dialog-actions wide">
          <button type="button" class="button" onClick={dialog.close}>
            {t("common.cancel")}
          </button>
          <button
            type="submit"
            class={danger ? "button danger" : "button primary"}
            data-testid={sendName}
            disabled={change.busy}
          >
            {send}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
