import { render } from "preact";
import "./style.css";
import "./alerts.css";
import "./manage.css";
import { App } from "./app";
import { api } from "./api";
import { loggedOut, refresh, whoAmI } from "./session";

/** A token in the address logs in once, and is gone from the address bar before anything else happens. */
async function loginFromAddress(): Promise<void> {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(null, "", location.pathname + location.search);
  try {
    await api.login({ token });
  } catch {
    loggedOut();
  }
}

// Who opened the page first and then pastes the address with the token changes nothing but the hash.
window.addEventListener("hashchange", () => {
  if (location.hash.includes("token=")) location.reload();
});
await loginFromAddress();
void whoAmI();
void refresh();
render(<App />, document.getElementById("app")!);
