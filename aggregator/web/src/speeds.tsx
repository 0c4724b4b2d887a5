// How fast objects crossed the lines, where the road is measured.
import { useState } from "preact/hooks";
import { api } from "./api";
import { Foot, Panel, Picker } from "./chart-panel";
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
  const [chosen, setChosen] = useState("");
  const all = loaded?.rows.speeds ?? [];
  const lines = [...new Set(all.map((row) => row.line))].sort();
  const line = lines.includes(chosen) ? chosen : (lines[0] ?? "");
  if (!loaded || !all.length) return null;
  const rows = all
    .filter((row) => row.line === line)
    .sort((a, b) => a.direction.localeCompare(b.direction) || b.count - a.count);
  const most = Math.max(...rows.map((row) => row.p85)) * 1.1 || 1;
  return (
    <Panel
      kind="speeds"
      testid="speeds"
      title={lines.length === 1 ? `Speeds at ${line}` : "Speeds"}
      tools={<Picker label="Line" names={lines} value={line} onPick={setChosen} />}
      note="median, in km/h"
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
              85 % of {count(row.count)} below {row.p85.toFixed(0)}
            </span>
          </li>
        ))}
      </ul>
      <Foot csv={api.csv("speeds", node, camera, loaded.view.bucket, loaded.range)} />
    </Panel>
  );
}
