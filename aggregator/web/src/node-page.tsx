// One node: its picture with live boxes and lines, what it counted, how it is doing.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { api, ApiError } from "./api";
import { useCell } from "./cell";
import { blindToday } from "./counts";
import { CameraSetup } from "./camera-setup";
import { CopyChoice } from "./copy-choice";
import { CountsChart } from "./counts-chart";
import { DeliveryGap } from "./delivery-gap";
import type { Draft } from "./draft";
import { DraftForm } from "./draft-form";
import { Lines, Shapes } from "./drawn";
import { EventList } from "./event-list";
import { NONE, rate, span } from "./format";
import { useHistory, Zone } from "./history";
import { HOME } from "./home";
import { LeftPictures } from "./left-pictures";
import { Objects } from "./objects";
import { Age, CameraBadge, HealthBadges, isFresh, NodeBadge, Warnings } from "./parts";
import { Picture } from "./picture";
import { ResourceCharts } from "./resource-charts";
import { nodeHref } from "./router";
import { configs, link, login, mayEdit, nodes, putFirst, returns, trouble, watch } from "./session";
import { ShareChart } from "./share-chart";
import { Speeds } from "./speeds";
import { Studies } from "./studies";
import { Trips } from "./trips";
import type { CameraEntry, CameraSettings, NodeEntry, TallyRow } from "./types";
import { ZonesChart } from "./zones-chart";

const EMPTY: CameraSettings = {};
const NO_TALLIES: TallyRow[] = [];
const NO_LABELS: string[] = [];
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

function CameraView({ node, camera }: { node: NodeEntry; camera: CameraEntry }) {
  const who = useCell(login);
  const config = useCell(configs).get(node.node);
  const [draft, setDraft] = useState<Draft | null>(null);
  const [saved, setSaved] = useState(0);
  const view = useRef<HTMLElement>(null);
  const settings = config?.document?.cameras?.[camera.camera] ?? EMPTY;
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
  const drawn = { node, camera, config, settings, editable, draft, saved };
  /** Begin or end a drawing from the lists, which may lie far below the picture. */
  const begin = (next: Draft | null) => {
    setDraft(next);
    view.current?.firstElementChild?.scrollIntoView({ block: "nearest" });
  };
  const changes = { onDraft: begin, onSaved: setSaved };
  return (
    <>
      <div class="split-view">
        <section class="panel view" ref={view}>
          <Picture
            node={node}
            camera={camera}
            settings={settings}
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
              taken={Object.keys((draft.kind === "zone" ? settings.zones : settings.lines) ?? {})}
              onDraft={setDraft}
              onSaved={setSaved}
            />
          )}
        </section>
        <div class="side-column">
          <Lines {...drawn} {...changes} />
          <Shapes {...drawn} {...changes} />
          <Objects camera={camera} />
        </div>
      </div>
      <History node={node.node} camera={camera} settings={settings} />
      {editable && (
        <LeftPictures node={node.node} camera={camera.camera} pictures={camera.preview === true} />
      )}
    </>
  );
}

/** What a camera counted over time: crossings, shares, zones, trips, speeds. */
function History({
  node,
  camera,
  settings,
}: {
  node: string;
  camera: CameraEntry;
  settings: CameraSettings;
}) {
  const name = camera.camera;
  const lines = useMemo(() => Object.keys(settings.lines ?? {}), [settings.lines]);
  const zones = useMemo(() => Object.keys(settings.zones ?? {}), [settings.zones]);
  const crossings = useHistory({
    node,
    camera: name,
    facts: ["crossing", "tally"],
    read: async (bucket, range) => {
      const read = <T extends "counts" | "tallies">(table: T) => api.rows(table, node, name, bucket, range);
      const [counts, tallies] = await Promise.all([read("counts"), read("tallies")]);
      return { counts, tallies };
    },
  });
  const rest = useHistory({
    node,
    camera: name,
    facts: ["tally"],
    read: async (bucket, range) => {
      const [shares, inZones, zonesWhole, speeds] = await Promise.all([
        api.rows("shares", node, name, bucket, range),
        api.rows("zones", node, name, bucket, range),
        api.rows("zones", node, name, "all", range),
        api.rows("speeds", node, name, bucket, range),
      ]);
      return { shares, zones: inZones, zonesWhole, speeds };
    },
  });
  const tallies = crossings?.rows.tallies ?? NO_TALLIES;
  const common = { node, camera: name, loaded: rest };
  return (
    <>
      <CountsChart node={node} camera={name} lines={lines} loaded={crossings} />
      <div class="figures">
        <ZonesChart {...common} zones={zones} tallies={tallies} />
        <ShareChart {...common} known={camera.labels ?? NO_LABELS} tallies={tallies} />
        <Trips node={node} camera={name} lines={lines} zones={zones} />
        <Speeds {...common} />
      </div>
    </>
  );
}

/** How well the camera was watched today, by what, and how fast; before its first minute nothing is known. */
function CameraFacts({ camera }: { camera: CameraEntry }) {
  const told = camera.watched_seconds_today + camera.blind_seconds_today > 0;
  const since = (seconds: number) => (told ? span(seconds * 1000) : NONE);
  return (
    <dl class="facts">
      <div>
        <dt>Watched today</dt>
        <dd>{since(camera.watched_seconds_today)}</dd>
      </div>
      <div data-bad={blindToday(camera) > 0}>
        <dt>Blind today</dt>
        <dd>{since(camera.blind_seconds_today)}</dd>
      </div>
      <div>
        <dt>Delay, p95</dt>
        <dd>{camera.p95_ms == null ? NONE : `${camera.p95_ms} ms`}</dd>
      </div>
      {camera.looked_regions ? (
        <div data-testid="second-look">
          <dt>Second look</dt>
          <dd>
            {camera.looked_regions} <small>regions a minute, oldest</small>{" "}
            {span((camera.oldest_region_seconds ?? 0) * 1000)}
          </dd>
        </div>
      ) : null}
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
          <HealthBadges node={node} camera={camera} />
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
  const who = useCell(login);
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
        <a class="back" href={HOME}>
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
        {node && typeof who === "object" && who.role === "admin" && (
          <CopyChoice node={name} told={node.warnings.join()} />
        )}
        <DeliveryGap node={name} />
      </header>
      {!node && !exists && <p class="panel empty">There is no node of that name.</p>}
      {!node && exists && <div class="panel view skeleton" />}
      {node && <CameraTabs node={node} chosen={camera} />}
      <Zone.Provider value={node?.timezone ?? ""}>
        {node && camera && <CameraView key={camera.camera} node={node} camera={camera} />}
        {node && (
          <div class="split-view even">
            <ResourceCharts node={name} cameras={node.cameras.map((one) => one.camera)} />
            <EventList node={name} />
          </div>
        )}
        {node && typeof who === "object" && mayEdit(who) && (
          <Studies node={node} isAdmin={who.role === "admin"} />
        )}
        {node && typeof who === "object" && who.role === "admin" && <CameraSetup node={node} />}
      </Zone.Provider>
    </div>
  );
}
