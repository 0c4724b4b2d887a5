// What happened, the newest first, live, and never more than fits in a page.
import { useEffect, useState } from "preact/hooks";
import { api } from "./api";
import { useCell } from "./cell";
import { count, span } from "./format";
import { gateName } from "./gates";
import { useClock } from "./history";
import { onFact, returns } from "./session";
import type { Fact } from "./page-types";

const MOST = 120;
const KINDS: { name: string; types: string[] }[] = [
  { name: "Crossings", types: ["crossing"] },
  { name: "Objects", types: ["detection", "track", "stay"] },
  { name: "Node", types: ["camera", "lost"] },
];
const ALL = KINDS.flatMap((kind) => kind.types);

/** The lines and zones that an object passed, in order: ", main A→B, then kerb". */
function passed(fact: Fact): string {
  const gates = (fact.gates ?? []) as { name: string; kind: string }[];
  const names = gates.map(({ name, kind }) => gateName(kind === "in" ? name : `${name}:${kind}`));
  return names.length ? `, ${names.join(", then ")}` : "";
}

function sentence(fact: Fact): string {
  const text = (field: string): string => String(fact[field] ?? "");
  const number = (field: string): number => Number(fact[field] ?? 0);
  switch (fact.type) {
    case "crossing":
      return `${text("label")} crossed ${text("line")} ${text("direction") === "AB" ? "A→B" : "B→A"}${fact.speed == null ? "" : ` at ${Math.round(number("speed"))} km/h`}, total ${count(number("total"))}`;
    case "detection":
      return `${text("label")} seen, ${number("score")} % sure`;
    case "track":
      return `${text("label")} followed for ${span(number("age"))}${fact.ended === false ? " so far" : ""}${passed(fact)}`;
    case "camera":
      return `camera ${text("state")}${fact.reason ? `: ${text("reason")}` : ""}`;
    case "stay":
      return `${text("label")} stayed ${span(number("dwell"))} in ${text("zone")}`;
    case "lost":
      return `${fact.unknown ? "an unknown number of events" : `${count(number("count"))} ${text("kind")}`} lost: ${text("reason")}`;
    default:
      return fact.type;
  }
}

function merge(old: Fact[], more: Fact[]): Fact[] {
  const byId = new Map([...old, ...more].map((fact) => [fact.id, fact]));
  return [...byId.values()].sort((a, b) => b.at - a.at).slice(0, MOST);
}

function useEvents(node: string): Fact[] {
  const [facts, setFacts] = useState<Fact[]>([]);
  const turn = useCell(returns);
  useEffect(() => {
    let gone = false;
    let waiting: Fact[] = [];
    const take = (more: Fact[]) => !gone && setFacts((old) => merge(old, more));
    for (const type of ALL)
      api.events(node, type, 40).then(
        ({ events }) => take(events),
        () => undefined,
      );
    const flush = window.setInterval(() => {
      if (waiting.length) take(waiting);
      waiting = [];
    }, 250);
    const stop = onFact((fact) => {
      if (fact.node === node && ALL.includes(fact.type)) waiting.push(fact);
    });
    return () => {
      gone = true;
      window.clearInterval(flush);
      stop();
    };
  }, [node, turn]);
  return facts;
}

export function EventList({ node }: { node: string }) {
  const facts = useEvents(node);
  const [kind, setKind] = useState(0);
  const clock = useClock();
  const shown = facts.filter((fact) => KINDS[kind]!.types.includes(fact.type));
  return (
    <section class="panel events" data-testid="events">
      <header class="row wrap">
        <h2>Events</h2>
        <span class="grow" />
        <div class="segments" role="group" aria-label="Which events">
          {KINDS.map(({ name }, i) => (
            <button key={name} type="button" aria-pressed={i === kind} onClick={() => setKind(i)}>
              {name}
            </button>
          ))}
        </div>
      </header>
      <ol class="scroll" tabIndex={0} aria-label="Events, the newest first">
        {shown.map((fact) => (
          <li key={fact.id} data-type={fact.type}>
            <time dateTime={new Date(fact.at).toISOString()}>{clock.time(fact.at)}</time>
            <span class="where">{fact.camera}</span>
            <span class="what">{sentence(fact)}</span>
          </li>
        ))}
        {shown.length === 0 && <li class="faint">Nothing yet.</li>}
      </ol>
    </section>
  );
}
