// One node: its picture with live boxes and lines, what it counted, how it is doing.
import { useEffect, useMemo, useState } from "preact/hooks";
import { api, ApiError } from "./api";
import { useCell } from "./cell";
import { CountsChart } from "./counts-chart";
import { blindToday, byLine, type LineSum } from "./counts";
import { EventList } from "./event-list";
import { NONE, rate, span } from "./format";
import { ConfigState, DraftForm, draftOf, LineItem, newDraft } from "./line-editor";
import { Objects } from "./objects";
import { Age, CameraBadge, isFresh, NodeBadge, Warnings } from "./parts";
import { Picture, type Draft } from "./picture";
import { ResourceCharts } from "./resource-charts";
import { nodeHref } from "./router";
import { configs, link, login, mayEdit, nodes, putFirst, returns, trouble, watch } from "./session";
import type { CameraEntry, Line, NodeEntry } from "./types";

const EMPTY: Record<string, Line> = {};
/** A saved draft stays until the stream shows the line, but not longer than this. */
const SHOWN_LATEST_MS = 2000;

/** Read the node once at the start and after each break; false when there is no such node. */
function useNode(name: string): boolean {
  const [exists, setExists] = useState(true);
  const turn = useCell(returns);
  useEffect(() => {
    let gone = false;
    api.node(name).then(
      (entry) => {
        if (gone) return;
        putFirst(entry, entry.config);
        setExists(true);
      },
      (error: unknown) => !gone && error instanceof ApiError && error.status === 404 && setExists(false),
    );
    return () => {
      gone = true;
    };
  }, [name, turn]);
  return exists;
}

function Lines({ node, camera, lines, editable, draft, saved, onDraft, onSaved }: LinesProps) {
  const config = useCell(configs).get(node.node);
  const counted = byLine(node.counts_today.filter((row) => row.camera === camera.camera));
  const names = [...new Set([...Object.keys(lines), ...counted.map((sum) => sum.line)])];
  const nothing = (line: string): LineSum => ({
    camera: camera.camera,
    line,
    AB: 0,
    BA: 0,
    labels: { AB: {}, BA: {} },
  });
  return (
    <section class="panel lines">
      <header class="row">
        <h2>Lines today</h2>
        <span class="grow" />
        {editable && (
          <button
            class="primary"
            type="button"
            data-testid="draw-line"
            disabled={draft !== null}
            onClick={() => onDraft(newDraft(lines))}
          >
            Draw a line
          </button>
        )}
      </header>
      {names.length === 0 && (
        <p class="faint">No line yet. Draw one across the way of what you want to count.</p>
      )}
      <ul>
        {names.map((name) => (
          <LineItem
            key={name}
            node={node.node}
            camera={camera}
            name={name}
            line={lines[name]}
            sum={counted.find((sum) => sum.line === name) ?? nothing(name)}
            editable={editable && draft === null}
            onMove={() => lines[name] && onDraft(draftOf(name, lines[name]))}
            onDeleted={onSaved}
          />
        ))}
      </ul>
      <ConfigState node={node} config={config} saved={saved} />
    </section>
  );
}

interface LinesProps {
  node: NodeEntry;
  camera: CameraEntry;
  lines: Record<string, Line>;
  editable: boolean;
  draft: Draft | null;
  saved: number;
  onDraft: (draft: Draft | null) => void;
  onSaved: (version: number) => void;
}

function CameraView({ node, camera }: { node: NodeEntry; camera: CameraEntry }) {
  const who = useCell(login);
  const config = useCell(configs).get(node.node);
  const [draft, setDraft] = useState<Draft | null>(null);
  const [saved, setSaved] = useState(0);
  const lines = config?.document?.cameras?.[camera.camera]?.lines ?? EMPTY;
  const names = useMemo(() => Object.keys(lines), [lines]);
  const editable = mayEdit(who);
  const fresh = isFresh(node);
  useEffect(() => watch(node.node, camera.camera), [node.node, camera.camera]);
  const shown = (config?.wanted ?? 0) >= saved;
  useEffect(() => {
    if (saved === 0) return;
    const forget = () => setDraft(null);
    if (shown) return forget();
    const timer = window.setTimeout(forget, SHOWN_LATEST_MS);
    return () => window.clearTimeout(timer);
  }, [saved, shown]);
  return (
    <>
      <div class="split-view">
        <section class="panel view">
          <Picture
            node={node}
            camera={camera}
            lines={lines}
            applied={config?.applied ?? 0}
            editable={editable}
            pictures={editable && camera.preview === true}
            fresh={fresh}
            draft={draft}
            onDraft={setDraft}
          />
          {!draft && <CameraFacts camera={camera} />}
          {draft && (
            <DraftForm
              node={node.node}
              camera={camera}
              draft={draft}
              taken={names}
              onDraft={setDraft}
              onSaved={setSaved}
            />
          )}
        </section>
        <div class="side-column">
          <Lines
            node={node}
            camera={camera}
            lines={lines}
            editable={editable}
            draft={draft}
            saved={saved}
            onDraft={setDraft}
            onSaved={setSaved}
          />
          <Objects camera={camera} />
        </div>
      </div>
      <CountsChart node={node.node} camera={camera.camera} lines={names} />
    </>
  );
}

/** How well the camera was watched today, by what, and how fast. */
function CameraFacts({ camera }: { camera: CameraEntry }) {
  return (
    <dl class="facts">
      <div>
        <dt>Watched today</dt>
        <dd>{span(camera.watched_seconds_today * 1000)}</dd>
      </div>
      <div data-bad={blindToday(camera) > 0}>
        <dt>Blind today</dt>
        <dd>{span(camera.blind_seconds_today * 1000)}</dd>
      </div>
      <div>
        <dt>Delay, p95</dt>
        <dd>{camera.p95_ms == null ? NONE : `${camera.p95_ms} ms`}</dd>
      </div>
      <div>
        <dt>Model</dt>
        <dd>{camera.model || NONE}</dd>
      </div>
    </dl>
  );
}

function CameraTabs({ node, chosen }: { node: NodeEntry; chosen: CameraEntry | undefined }) {
  return (
    <nav class="tabs" aria-label="Cameras">
      {node.cameras.map((camera) => (
        <a
          key={camera.camera}
          href={nodeHref(node.node, camera.camera)}
          aria-current={camera === chosen ? "page" : undefined}
        >
          <span class="camera-name">{camera.camera}</span>
          <CameraBadge node={node} camera={camera} />
          <span class="figure">
            {rate(camera.fps)} <small>fps</small>
          </span>
        </a>
      ))}
    </nav>
  );
}

export function NodePage({ node: name, camera: wanted }: { node: string; camera: string | null }) {
  const node = useCell(nodes)?.get(name);
  const exists = useNode(name);
  useCell(link);
  useCell(trouble);
  useEffect(() => {
    document.title = `${name} · GB-Fleet`;
  }, [name]);
  const camera = node?.cameras.find((one) => one.camera === wanted) ?? node?.cameras[0];
  useEffect(() => (camera ? undefined : watch(name)), [name, camera === undefined]);
  return (
    <div class={node && !isFresh(node) ? "node-page old" : "node-page"}>
      <header class="node-head">
        <a class="back" href="/">
          ← Fleet
        </a>
        <div class="row wrap">
          <h1>{name}</h1>
          {node && <NodeBadge node={node} />}
          <span class="grow" />
          {node && (
            <span class="meta">
              {node.version && <span>version {node.version}</span>}
              <Age node={node} />
            </span>
          )}
        </div>
        {node && <Warnings items={node.warnings} />}
      </header>
      {!node && !exists && <p class="panel empty">There is no node of that name.</p>}
      {!node && exists && <div class="panel view skeleton" />}
      {node && <CameraTabs node={node} chosen={camera} />}
      {node && camera && <CameraView key={camera.camera} node={node} camera={camera} />}
      {node && (
        <div class="split-view even">
          <ResourceCharts node={name} cameras={node.cameras.map((one) => one.camera)} />
          <EventList node={name} />
        </div>
      )}
    </div>
  );
}
