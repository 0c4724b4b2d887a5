// The frame around both pages: the bar at the top, the banner about the connection, the login.
import { useEffect, useState } from "preact/hooks";
import { AlertsLink, Toasts } from "./alert-board";
import { AlertsPage } from "./alerts-page";
import { api, type ApiError } from "./api";
import { useCell } from "./cell";
import { CountsPage } from "./counts-page";
import { FleetPage } from "./fleet-page";
import { span } from "./format";
import { HOME } from "./home";
import { LoginForm } from "./login";
import { isTab, ManagePage } from "./manage-page";
import { NodePage } from "./node-page";
import { follow, route } from "./router";
import { link, loggedOut, login, now, trouble } from "./session";
import { SystemPage } from "./system-page";

function ThemeButton() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? "auto");
  const next = theme === "auto" ? "dark" : theme === "dark" ? "light" : "auto";
  const change = () => {
    if (next === "auto") {
      localStorage.removeItem("theme");
      delete document.documentElement.dataset.theme;
    } else {
      localStorage.setItem("theme", next);
      document.documentElement.dataset.theme = next;
    }
    setTheme(next);
  };
  const sign = theme === "auto" ? "◐" : theme === "dark" ? "●" : "○";
  return (
    <button class="quiet" type="button" onClick={change} title={`Theme: ${theme}. Change to ${next}`}>
      <span aria-hidden="true">{sign}</span>
      <span class="sr">
        Theme: {theme}. Change to {next}
      </span>
    </button>
  );
}

/** Says that the centre is away or stands still, and how old the numbers are; nothing while all is well. */
function ConnectionBanner() {
  const current = useCell(link);
  const wrong = useCell(trouble);
  useCell(now);
  if (wrong)
    return (
      <div class="banner" role="status" data-testid="centre-trouble">
        <strong>The figures are not being updated.</strong> The centre says: {wrong}. The nodes go on counting
        and send it later.
      </div>
    );
  const away = Date.now() - current.since;
  if (current.state === "live" || (current.state === "opening" && away < 3000) || away < 1500) return null;
  const age = span(Date.now() - current.heard);
  return (
    <div class="banner" role="status" data-testid="connection-lost">
      <strong>Connection to the centre lost.</strong> What you see is {age} old. Trying to reconnect.
    </div>
  );
}

function LiveDot() {
  const { state } = useCell(link);
  const text = { live: "Live", opening: "Connecting", lost: "Not connected" }[state];
  return (
    <span class="live-dot" data-link={state} data-testid="link">
      {text}
    </span>
  );
}

function Bar() {
  const who = useCell(login);
  const [stuck, setStuck] = useState("");
  useEffect(() => setStuck(""), [who]);
  const leave = () =>
    void api
      .logout()
      .then(loggedOut, (error: ApiError) =>
        error.status === 401 ? loggedOut() : setStuck("You are still logged in: the centre does not answer."),
      );
  return (
    <header class="topbar">
      <a class="brand" href={HOME}>
        <img src={`${HOME}icon.svg`} width="24" height="24" alt="" />
        GB-Fleet
      </a>
      <span class="grow" />
      {who !== "out" && <AlertsLink />}
      {who !== "out" && (
        <a class="manage-link" href={`${HOME}counts`}>
          Counts
        </a>
      )}
      {typeof who === "object" && !who.sites?.length && !who.groups?.length && (
        <a class="manage-link" href={`${HOME}system`}>
          System
        </a>
      )}
      {who !== "out" && (
        <a
          class="manage-link"
          href={`${HOME}manage/${typeof who === "object" && who.first ? "people" : "settings"}`}
        >
          Manage
        </a>
      )}
      {who !== "out" && <LiveDot />}
      {stuck && (
        <span class="problem" role="alert">
          {stuck}
        </span>
      )}
      <ThemeButton />
      {who !== "out" && (
        <button
          class="quiet"
          type="button"
          onClick={leave}
          title={typeof who === "object" ? `Logged in as ${who.user} (${who.role})` : ""}
        >
          Log out
        </button>
      )}
    </header>
  );
}

function Page() {
  const where = useCell(route);
  if (where.page === "node") return <NodePage key={where.node} node={where.node} camera={where.camera} />;
  if (where.page === "counts") return <CountsPage />;
  if (where.page === "system") return <SystemPage />;
  if (where.page === "alerts") return <AlertsPage />;
  if (where.page === "manage") return <ManagePage tab={isTab(where.tab) ? where.tab : "settings"} />;
  return <FleetPage />;
}

export function App() {
  const who = useCell(login);
  useEffect(() => {
    document.addEventListener("click", follow);
    return () => document.removeEventListener("click", follow);
  }, []);
  return (
    <div class="app">
      <Bar />
      {who !== "out" && <ConnectionBanner />}
      {who !== "out" && <Toasts />}
      <main>{who === "out" ? <LoginForm /> : <Page />}</main>
    </div>
  );
}
