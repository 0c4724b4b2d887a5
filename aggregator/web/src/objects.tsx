// What a camera saw today: objects by label, and where it looks for masks, their share.
import { colourOf } from "./boxes";
import { masks } from "./counts";
import { count, share } from "./format";
import type { CameraEntry } from "./types";

function Bars({ objects, labels }: { objects: Record<string, number>; labels: string[] }) {
  const rows = Object.entries(objects).filter(([, seen]) => seen > 0);
  rows.sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  const most = Math.max(1, ...rows.map(([, seen]) => seen));
  if (!rows.length) return <p class="faint">Nothing yet. Objects are counted once a minute.</p>;
  return (
    <ul class="bars">
      {rows.map(([label, seen]) => {
        const index = labels.indexOf(label);
        return (
          <li key={label}>
            <span class="name">{label}</span>
            <span class="track">
              <span
                class="bar"
                style={{
                  width: `${(100 * seen) / most}%`,
                  background: colourOf(label, index < 0 ? 7 : index),
                }}
              />
            </span>
            <b>{count(seen)}</b>
          </li>
        );
      })}
    </ul>
  );
}

function MaskShare({ camera }: { camera: CameraEntry }) {
  const seen = masks(camera.labels ?? [], camera.objects_today ?? {});
  if (!seen) return null;
  const judged = seen.with + seen.without;
  return (
    <div class="masks" data-testid="mask-share">
      <p class="big">
        <b>{share(seen.with, judged)}</b> wear a mask
      </p>
      <div class="split" aria-hidden="true">
        <span class="with" style={{ flexGrow: seen.with }} />
        <span class="without" style={{ flexGrow: seen.without }} />
      </div>
      <p class="faint">
        {count(seen.with)} with, {count(seen.without)} without. Apart from these, unknown:{" "}
        <b data-testid="mask-unknown">{count(seen.unknown)}</b>.
      </p>
    </div>
  );
}

export function Objects({ camera }: { camera: CameraEntry }) {
  return (
    <section class="panel objects">
      <h2 title="Each vehicle, person or face that was followed, once, whether it crossed a line or not">
        Objects today
      </h2>
      <MaskShare camera={camera} />
      <Bars objects={camera.objects_today ?? {}} labels={camera.labels ?? []} />
    </section>
  );
}
