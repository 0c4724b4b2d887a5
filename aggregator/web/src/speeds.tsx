// How fast objects crossed the lines, where the road is measured.
import { api } from "./api";
import { Panel } from "./chart-panel";
import { count } from "./format";
import { gateName } from "./gates";
import type { Loaded } from "./history";
import type { SpeedRow } from "./types";

interface SpeedsProps {
  node: string;
  camera: string;
  loaded: Loaded<{ speeds: SpeedRow[] }> | null;
}

export function Speeds({ node, camera, loaded }: SpeedsProps) {
  const rows = loaded?.rows.speeds ?? [];
  if (!loaded || !rows.length) return null;
  const most = Math.max(...rows.map((row) => row.p85)) * 1.1 || 1;
  return (
    <Panel
      kind="speeds"
      testid="speeds"
      title="Speeds"
      note="median, in km/h"
      csv={api.csv("speeds", node, camera, loaded.view.bucket, loaded.range)}
    >
      <ul class="speed-rows">
        {rows.map((row) => (
          <li key={`${row.line}\n${row.direction}\n${row.label}`}>
            <span class="name">
              {gateName(`${row.line}:${row.direction}`)} <span class="faint">{row.label}</span>
            </span>
            <span class="track" aria-hidden="true">
              <span
                class="range"
                style={{
                  left: `${(100 * row.p50) / most}%`,
                  width: `${Math.max(0.5, (100 * (row.p85 - row.p50)) / most)}%`,
                }}
              />
              <span class="mark" style={{ left: `${(100 * row.p50) / most}%` }} />
            </span>
            <b>{row.p50.toFixed(0)}</b>
            <span class="faint">
              85 % below {row.p85.toFixed(0)} <small>({count(row.count)})</small>
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
