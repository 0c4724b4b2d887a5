// The page on which a fleet is managed, in tabs; each shows only what the one who looks may do.
import { useEffect } from "preact/hooks";
import { useCell } from "./cell";
import { HOME } from "./home";
import { Audit } from "./manage-audit";
import { Boxes } from "./manage-boxes";
import { FirstAdmin, People } from "./manage-people";
import { Places } from "./manage-places";
import { Settings } from "./manage-settings";
import { login, mayEdit, watch } from "./session";

const TABS = { settings: "Settings", places: "Places", people: "People", boxes: "Boxes", audit: "Audit" };
export type Tab = keyof typeof TABS;
const OF_ADMINS: readonly Tab[] = ["boxes", "audit"];

export function isTab(text: string): text is Tab {
  return Object.hasOwn(TABS, text);
}

export function ManagePage({ tab }: { tab: Tab }) {
  const who = useCell(login);
  useEffect(() => watch(), []);
  useEffect(() => {
    document.title = `${TABS[tab]} · GB-Fleet`;
  }, [tab]);
  if (typeof who !== "object") return null;
  const whole = !who.sites?.length && !who.groups?.length;
  const admin = who.role === "admin" && whole;
  const tabs = (Object.keys(TABS) as Tab[]).filter((each) => admin || !OF_ADMINS.includes(each));
  return (
    <div class="manage">
      <h1 class="sr">Manage</h1>
      <nav class="manage-tabs" aria-label="Manage">
        {tabs.map((each) => (
          <a key={each} href={`${HOME}manage/${each}`} aria-current={each === tab ? "page" : undefined}>
            {TABS[each]}
          </a>
        ))}
      </nav>
      {who.first && admin && <FirstAdmin />}
      {tab === "settings" && <Settings may={mayEdit(who)} />}
      {tab === "places" && <Places admin={admin} />}
      {tab === "people" && <People admin={admin} />}
      {tab === "boxes" && admin && <Boxes />}
      {tab === "audit" && admin && <Audit />}
    </div>
  );
}
