// Where what a node sent has a hole: after an older database was restored, until the box has filled it.
import { useEffect, useState } from "preact/hooks";
import { request } from "./api";
import { useCell } from "./cell";
import { count } from "./format";
import { returns } from "./session";

interface Epoch {
  epoch: number;
  stored: number;
  missing?: number;
}

const AGAIN_MS = 20_000;
/** Batches on their way are missing for a moment: only what is so at two looks is told. */
function standing(now: Epoch[], before: Map<number, number>): Epoch[] {
  return now.filter((row) => (row.missing ?? 0) > 0 && (before.get(row.epoch) ?? 0) > 0);
}

export function DeliveryGap({ node }: { node: string }) {
  const [gaps, setGaps] = useState<Epoch[]>([]);
  const turn = useCell(returns);
  useEffect(() => {
    let gone = false;
    let before = new Map<number, number>();
    let timer = 0;
    const read = (next: number) =>
      void request<{ epochs: Epoch[] }>("GET", `/nodes/${encodeURIComponent(node)}/delivery`)
        .then(
          ({ epochs }) => {
            if (gone) return;
            setGaps(standing(epochs, before));
            before = new Map(epochs.map((row) => [row.epoch, row.missing ?? 0]));
          },
          () => undefined, // the page's banner tells that the centre is away
        )
        .finally(() => {
          if (!gone) timer = window.setTimeout(() => read(AGAIN_MS), next);
        });
    read(2000);
    return () => {
      gone = true;
      window.clearTimeout(timer);
    };
  }, [node, turn]);
  if (!gaps.length) return null;
  return (
    <ul class="warnings" data-testid="delivery-gap">
      {gaps.map((row) => (
        <li key={row.epoch}>
          {count(row.missing ?? 0)} batches of the node’s start {row.epoch} are not in the database, between
          others that are: lost with it, or on their way. The box sends what it still has
        </li>
      ))}
    </ul>
  );
}
