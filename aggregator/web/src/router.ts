// Pages: "" is the fleet, "nodes/NAME?camera=CAM" one node, "alerts" the alerts, "counts" what nodes counted, "system" what the centre spends; all below the folder where a proxy put them.
import { Cell } from "./cell";
import { HOME } from "./home";

export type Route =
  | { page: "fleet" }
  | { page: "alerts" }
  | { page: "counts" }
  | { page: "system" }
  | { page: "manage"; tab: string }
  | { page: "node"; node: string; camera: string | null };

function read(): Route {
  const path = location.pathname.startsWith(HOME) ? location.pathname.slice(HOME.length) : "";
  if (/^alerts\/?$/.test(path)) return { page: "alerts" };
  if (/^counts\/?$/.test(path)) return { page: "counts" };
  if (/^system\/?$/.test(path)) return { page: "system" };
  const managed = /^manage(?:\/(\w*))?\/?$/.exec(path);
  if (managed) return { page: "manage", tab: managed[1] ?? "" };
  const match = /^nodes\/([^/]+)\/?$/.exec(path);
  if (!match) return { page: "fleet" };
  return {
    page: "node",
    node: decodeURIComponent(match[1]!),
    camera: new URLSearchParams(location.search).get("camera"),
  };
}

export const route = new Cell<Route>(read());

window.addEventListener("popstate", () => route.set(read()));

export function nodeHref(node: string, camera?: string): string {
  const path = `${HOME}nodes/${encodeURIComponent(node)}`;
  return camera ? `${path}?camera=${encodeURIComponent(camera)}` : path;
}

/** Follow a link inside the page; leave the click alone where the browser should act on it. */
export function follow(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey)
    return;
  const link = (event.target as Element).closest("a");
  if (!link || link.origin !== location.origin || link.dataset.outside !== undefined || link.target) return;
  event.preventDefault();
  const stays = link.pathname === location.pathname;
  history.pushState(null, "", link.href);
  route.set(read());
  if (!stays) window.scrollTo(0, 0);
}
