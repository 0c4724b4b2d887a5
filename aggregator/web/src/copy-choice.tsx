// Two boxes of one name: which of them counts, and the click that says which is the box.
import { useEffect } from "preact/hooks";
import { manage } from "./manage-api";
import { Problem, Sure, useDo, useRead } from "./manage-parts";

/** Shown to an administrator while nobody has said it. `told`: changes when the node's warnings do. */
export function CopyChoice({ node, told }: { node: string; told: string }) {
  const [copy, again] = useRead(() => manage.copy(node));
  const [act, problem] = useDo(again);
  useEffect(again, [told]);
  if (!copy || copy.resolved) return null;
  const newest = copy.stopped[copy.stopped.length - 1] ?? 0;
  return (
    <div class="panel" data-testid="copy-choice">
      <p>
        There are two boxes of this name. Start {copy.kept} was there first and counts; start {newest} is kept
        out of the counts, and was told to disconnect. Which one is the box?
      </p>
      <Problem text={problem} />
      <div class="row wrap">
        <button type="button" class="primary" onClick={() => act(manage.keep(node, copy.kept))}>
          Start {copy.kept} is the box
        </button>
        <Sure
          text={`Start ${newest} is the box`}
          ask={`Count start ${newest} and not start ${copy.kept}`}
          act={() => act(manage.keep(node, newest))}
        />
      </div>
    </div>
  );
}
