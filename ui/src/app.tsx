// The frame of the console: who is signed in, which page is shown, and the choices that hold everywhere.

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, onSignedOut } from "./api/base";
import { session as loadSession, type Session, signOut } from "./api/session";
import { status as loadStatus } from "./api/status";
import type { TextKey } from "./i18n/en";
import type { Language } from "./lib/format";
import { zoneOf, sharedOf } from "./lib/range";
import { address, addressOf, go, PATHS, type Page, usePlace } from "./lib/route";
import { mayOperate } from "./lib/rights";
import { remember, remembered } from "./lib/store";
import { useQuery } from "./lib/use-query";
import { AlertsPage } from "./pages/alerts";
import { AccountPage } from "./pages/account";
import { Chat, ChatAlone } from "./pages/chat";
import { DiscoverPage } from "./pages/discover";
import { KeysPage } from "./pages/keys";
import { OverviewPage } from "./pages/overview";
import { ProbesPage } from "./pages/probes";
import { ProcessesPage } from "./pages/processes";
import { RequestPage } from "./pages/request";
import { ResourcesPage } from "./pages/resources";
import { SignIn } from "./pages/signin";
import { SourcesPage } from "./pages/sources";
import { UsersPage } from "./pages/users";
import { Boundary } from "./ui/boundary";
import { type Theme, type Ui, UiContext, uiFor, useUi } from "./ui/context";
import { Icon, type IconName } from "./ui/icon";
import { Link } from "./ui/link";
import { Mark } from "./ui/mark";
import { Empty, ErrorNotice } from "./ui/notice";
import { HelpDialog } from "./ui/help";
import { lazy } from "./ui/lazy";
import { type Choices, Tools } from "./ui/tools";

const Dashboards = lazy(() => import("./pages/dashboards/page"));
const DoctorPage = lazy(() => import("./pages/doctor/page"));
const EfficiencyPage = lazy(() => import("./pages/efficiency"));
const SettingsPage = lazy(() => import("./pages/settings/page"));
const TasksPage = lazy(() => import("./pages/tasks/page"));

const STATUS_EVERY_MS = 5_000;
const RETRY_EVERY_MS = 3_000;

type Entry =
  | { state: "loading" }
  | { state: "out"; message: string }
  | { state: "in"; session: Session }
  | { state: "failed"; error: Error };

export function App() {
  const [language, setLanguage] = useState<Language>(firstLanguage);
  const [theme, setTheme] = useState<Theme>(firstTheme);
  const place = usePlace();
  const zone = zoneOf(place.params);
  const ui = useMemo(() => uiFor(language, theme, zone), [language, theme, zone]);

  useEffect(() => {
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  }, [language]);
  useEffect(() => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  }, [theme]);

  const choices: Choices = {
    setLanguage: (next) => {
      remember("language", next);
      setLanguage(next);
    },
    setTheme: (next) => {
      remember("theme", next === "auto" ? null : next);
      setTheme(next);
    },
  };
  return (
    <UiContext.Provider value={ui}>
      <Boundary page={null} version="" address={addressOf(place)}>
        <Door choices={choices} ui={ui} />
      </Boundary>
    </UiContext.Provider>
  );
}

/** Lets in who has a session and shows the sign-in page to everybody else. */
function Door({ choices, ui }: { choices: Choices; ui: Ui }) {
  const [entry, setEntry] = useState<Entry>({ state: "loading" });
  const [signIn, setSignIn] = useState(false);
  const place = usePlace();

  const ask = useCallback(async () => {
    try {
      setEntry({ state: "in", session: await loadSession() });
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) setEntry({ state: "out", message: error.message });
      else setEntry({ state: "failed", error: error instanceof Error ? error : new Error(String(error)) });
    }
  }, []);

  useEffect(() => {
    onSignedOut(() => void ask());
    void ask();
  }, [ask]);
  useEffect(() => {
    if (entry.state !== "failed") return;
    const timer = setTimeout(() => void ask(), RETRY_EVERY_MS);
    return () => clearTimeout(timer);
  }, [entry, ask]);
  useEffect(() => {
    if (entry.state === "out") document.title = `${ui.t("signin.title")} · ${ui.t("app.name")}`;
  }, [entry, ui]);

  switch (entry.state) {
    case "loading":
      return <div class="boot" />;
    case "failed":
      return (
        <main class="boot">
          <ErrorNotice error={entry.error} retry={() => void ask()} />
        </main>
      );
    case "out":
      if (place.page === "chat" && !signIn) {
        return <ChatAlone params={place.params} choices={choices} asked={entry} fallback={() => setSignIn(true)} />;
      }
      return <SignIn {...choices} message={entry.message} entered={() => void ask()} />;
    case "in": {
      const leave = async () => {
        const away = await signOut().catch(() => null);
        if (away !== null) location.assign(away);
        else await ask();
      };
      return <House choices={choices} session={entry.session} leave={() => void leave()} />;
    }
  }
}

interface NavEntry {
  page: Page;
  text: TextKey;
  icon: IconName;
  /** Pressed after `g`, it leads to the page. */
  letter: string;
  /** Shown to admins alone. */
  admin?: boolean;
  /** Shown to operators and admins. */
  operator?: boolean;
}

const NAV: NavEntry[] = [
  { page: "overview", text: "nav.overview", icon: "overview", letter: "o" },
  { page: "discover", text: "nav.discover", icon: "requests", letter: "d" },
  { page: "dashboards", text: "nav.dashboards", icon: "board", letter: "b" },
  { page: "efficiency", text: "nav.efficiency", icon: "efficiency", letter: "e" },
  { page: "alerts", text: "nav.alerts", icon: "bell", letter: "a" },
  { page: "probes", text: "nav.probes", icon: "pulse", letter: "p" },
  { page: "sources", text: "nav.sources", icon: "sources", letter: "s" },
  { page: "processes", text: "nav.processes", icon: "process", letter: "x" },
  { page: "resources", text: "nav.resources", icon: "disk", letter: "r" },
  { page: "tasks", text: "nav.tasks", icon: "check", letter: "j" },
  { page: "doctor", text: "nav.doctor", icon: "around", letter: "h", operator: true },
  { page: "keys", text: "nav.keys", icon: "key", letter: "k", admin: true },
  { page: "users", text: "nav.users", icon: "users", letter: "u", admin: true },
  { page: "settings", text: "nav.settings", icon: "sliders", letter: "t", admin: true },
  { page: "chat", text: "nav.chat", icon: "chat", letter: "c" },
];

const maySee = ({ admin, operator }: NavEntry, role: string) =>
  (admin !== true || role === "admin") && (operator !== true || mayOperate(role));

/** A letter counts as the second key for so long. */
const CHORD_MS = 1_500;

function House({ choices, session, leave }: { choices: Choices; session: Session; leave: () => void }) {
  const { t } = useUi();
  const place = usePlace();
  const status = useQuery("status", loadStatus, STATUS_EVERY_MS);
  const [help, setHelp] = useState(false);
  const showHelp = useCallback(() => setHelp(true), []);
  const entries = useMemo(() => NAV.filter((entry) => maySee(entry, session.role)), [session.role]);
  useKeys(entries, place.params, showHelp);

  const title = t(titleOf(place.page));
  useEffect(() => {
    document.title = `${title} · ${session.service} · ${t("app.name")}`;
  }, [title, session.service, t]);

  const current = place.page === "request" ? "discover" : place.page;
  const pages = useRef<HTMLElement>(null);
  useEffect(() => showCurrent(pages.current), [current, entries]);
  return (
    <div class="frame">
      <a class="skip" href="#content">
        {t("app.skip")}
      </a>
      <header class="rail">
        <Link class="brand" href={PATHS.overview} title={`${session.service} · ${session.version}`}>
          <Mark />
          <span class="brand-words">
            <span>{t("app.name")}</span>
            <span class="service">{session.service}</span>
          </span>
        </Link>
        {session.demo && place.page !== "overview" && (
          <span class="badge" title={t("nav.demo_note")}>
            {t("nav.demo")}
          </span>
        )}
        <nav ref={pages} aria-label={t("nav.label")}>
          {entries.map(({ page, text, icon }) => (
            <Link
              key={page}
              href={address(page, sharedOf(place.params))}
              data-testid={`nav-${page}`}
              aria-current={current === page ? "page" : undefined}
            >
              <Icon name={icon} />
              <span>{t(text)}</span>
            </Link>
          ))}
        </nav>
        <div class="rail-tools">
          <button
            type="button"
            class="icon-button help-button"
            data-testid="help"
            aria-label={t("help.title")}
            title={t("help.title")}
            onClick={showHelp}
          >
            ?
          </button>
          <Tools {...choices} />
          <Link
            class="icon-button"
            href={address("account", {})}
            data-testid="nav-account"
            aria-current={current === "account" ? "page" : undefined}
            aria-label={t("nav.account")}
            title={session.user ?? t("nav.account")}
          >
            <Icon name="person" />
          </Link>
          <button
            type="button"
            class="icon-button"
            data-testid="sign-out"
            aria-label={t("nav.sign_out")}
            title={t("nav.sign_out")}
            onClick={leave}
          >
            <Icon name="out" />
          </button>
        </div>
      </header>
      <div class="content" id="content" tabIndex={-1}>
        <Boundary page={title} version={session.version} address={addressOf(place)}>
          {place.page === "overview" && <OverviewPage params={place.params} session={session} status={status} />}
          {place.page === "discover" && <DiscoverPage params={place.params} session={session} />}
          {place.page === "request" && <RequestPage requestId={place.id} params={place.params} session={session} />}
          {place.page === "efficiency" && <EfficiencyPage params={place.params} session={session} />}
          {place.page === "alerts" && <AlertsPage params={place.params} session={session} />}
          {place.page === "probes" && <ProbesPage params={place.params} session={session} />}
          {place.page === "sources" && <SourcesPage params={place.params} session={session} />}
          {place.page === "processes" && <ProcessesPage params={place.params} session={session} />}
          {place.page === "resources" && <ResourcesPage params={place.params} session={session} />}
          {place.page === "tasks" && <TasksPage params={place.params} session={session} />}
          {place.page === "doctor" && <DoctorPage params={place.params} session={session} />}
          {place.page === "keys" && <KeysPage params={place.params} session={session} />}
          {place.page === "users" && <UsersPage session={session} />}
          {place.page === "settings" && <SettingsPage params={place.params} />}
          {place.page === "account" && <AccountPage session={session} />}
          {place.page === "dashboards" && <Dashboards params={place.params} session={session} />}
          {place.page === "chat" && <Chat params={place.params} />}
          {place.page === null && (
            <main>
              <Empty title={t("common.missing_page")}>
                <Link class="button" href={PATHS.overview}>
                  {t("common.back_overview")}
                </Link>
              </Empty>
            </main>
          )}
        </Boundary>
      </div>
      {help && <HelpDialog close={() => setHelp(false)} />}
    </div>
  );
}

/** On a phone the pages are scrolled to sideways: the one that is shown is brought into the middle. */
function showCurrent(pages: HTMLElement | null) {
  const link = pages?.querySelector<HTMLElement>("[aria-current=page]");
  if (pages && link) pages.scrollLeft = link.offsetLeft - (pages.clientWidth - link.offsetWidth) / 2;
}

/** What a page is called. */
function titleOf(page: Page | null): TextKey {
  if (page === "request") return "record.title";
  if (page === "account") return "nav.account";
  return NAV.find((entry) => entry.page === page)?.text ?? "common.missing_page";
}

const SEARCH_BOX = "input[role=combobox]";

/** `?` shows the keys, `/` leads to the search box of Discover, `g` and a letter to a page. */
function useKeys(entries: NavEntry[], params: URLSearchParams, help: () => void) {
  useEffect(() => {
    let chordUntil = 0;
    const press = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
      if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      if (event.key === "?") return help();
      if (event.key === "/" && !event.defaultPrevented && document.querySelector(SEARCH_BOX) === null) {
        event.preventDefault();
        go(address("discover", sharedOf(params)));
        // The box is there once the page is drawn.
        requestAnimationFrame(() => document.querySelector<HTMLInputElement>(SEARCH_BOX)?.focus());
        return;
      }
      const now = Date.now();
      const entry = now < chordUntil ? entries.find(({ letter }) => letter === event.key) : undefined;
      chordUntil = event.key === "g" ? now + CHORD_MS : 0;
      if (entry !== undefined) go(address(entry.page, sharedOf(params)));
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [entries, params, help]);
}

function firstLanguage(): Language {
  const kept = remembered("language");
  if (kept === "en" || kept === "zh") return kept;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

function firstTheme(): Theme {
  const kept = remembered("theme");
  return kept === "light" || kept === "dark" ? kept : "auto";
}
