// Stands around a page, and around all of the console: an exception in it is told in its place instead of leaving it blank.

import { Component, type ComponentChildren } from "preact";
import { detailsOf } from "../lib/failure";
import { address as addressOf } from "../lib/route";
import { useCopied } from "../lib/use-copied";
import { useUi } from "./context";
import { Icon } from "./icon";
import { Link } from "./link";
import { Barrier } from "./mark";

interface Props {
  /** What people call the page; null around the whole console. */
  page: string | null;
  /** Of the house, for the details; empty where it is not known. */
  version: string;
  /** Where in the console it stands: at another address all is tried anew. */
  address: string;
  children: ComponentChildren;
}

interface State {
  fault: Error | null;
  /** When, in milliseconds since 1970. */
  at: number;
  address: string;
}

export class Boundary extends Component<Props, State> {
  override state: State = { fault: null, at: 0, address: this.props.address };

  static override getDerivedStateFromProps({ address }: Props, state: State): Partial<State> | null {
    return address === state.address ? null : { address, fault: null };
  }

  static override getDerivedStateFromError(thrown: unknown): Partial<State> {
    return { fault: thrown instanceof Error ? thrown : new Error(String(thrown)), at: Date.now() };
  }

  override componentDidCatch(thrown: unknown): void {
    console.error(thrown);
  }

  override render({ page, version, children }: Props, { fault, at }: State): ComponentChildren {
    if (fault === null) return children;
    return <Stopped page={page} version={version} fault={fault} at={at} again={() => this.setState({ fault: null })} />;
  }
}

interface StoppedProps {
  page: string | null;
  version: string;
  fault: Error;
  at: number;
  again: () => void;
}

function Stopped({ page, version, fault, at, again }: StoppedProps) {
  const { t } = useUi();
  const [copied, copy] = useCopied();
  const where = { path: location.pathname, version, agent: navigator.userAgent, at: new Date(at).toISOString() };
  const details = detailsOf(fault, where);
  const isOverview = location.pathname === addressOf("overview", {});
  return (
    <main class={page === null ? "stopped stopped-whole" : "stopped"} data-testid="stopped" data-page={page ?? ""}>
      <div class="empty" role="alert">
        <Barrier state="fault" />
        <h1>{page === null ? t("stopped.console") : t("stopped.page", { page })}</h1>
        <p>{t(page === null ? "stopped.console_text" : "stopped.page_text")}</p>
        <p class="quiet">{t("stopped.report")}</p>
        <p class="empty-actions">
          <button type="button" class="button primary" data-testid="stopped-again" onClick={again}>
            <Icon name="again" />
            {t("common.retry")}
          </button>
          <button type="button" class="button" data-testid="stopped-copy" onClick={() => void copy(details)}>
            <Icon name={copied ? "check" : "copy"} />
            <span aria-live="polite">{t(copied ? "common.copied" : "stopped.copy")}</span>
          </button>
          {page === null && (
            <button type="button" class="button" onClick={() => location.reload()}>
              {t("stopped.reload")}
            </button>
          )}
          {page !== null && !isOverview && (
            <Link class="button" href={addressOf("overview", {})}>
              {t("common.back_overview")}
            </Link>
          )}
        </p>
        <details class="stopped-details">
          <summary>{t("stopped.details")}</summary>
          <pre tabIndex={0}>
            <code>{details}</code>
          </pre>
        </details>
      </div>
    </main>
  );
}
