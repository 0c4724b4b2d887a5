// Where nodes stand: the map, sites, groups, and each node's place.
import { useCell } from "./cell";
import { manage } from "./manage-api";
import { Field, Form, Part, Problem, Sure, useDo, useRead, words } from "./manage-parts";
import { nodeHref } from "./router";
import { nodes } from "./session";
import type { GroupRow, NodeEntry, SiteRow } from "./types";

const WIDTH = 720;
const HEIGHT = 360;
const MARGIN = 1.5;
const SMALLEST = 0.02; // degrees; a single site is not blown up to a street

interface Frame {
  west: number;
  north: number;
  scale: number;
}

/** The part of the world that holds all sites: degrees, the east narrowed by the latitude as on a globe. */
function frameOf(sites: SiteRow[]): Frame {
  const lons = sites.map((site) => site.longitude!);
  const lats = sites.map((site) => site.latitude!);
  const middle = [(Math.min(...lons) + Math.max(...lons)) / 2, (Math.min(...lats) + Math.max(...lats)) / 2];
  const squeeze = Math.max(Math.cos((middle[1]! * Math.PI) / 180), 0.1);
  const wide = Math.max((Math.max(...lons) - Math.min(...lons)) * squeeze, SMALLEST) * MARGIN;
  const high = Math.max(Math.max(...lats) - Math.min(...lats), SMALLEST) * MARGIN;
  const scale = Math.min(WIDTH / wide, HEIGHT / high);
  return {
    west: middle[0]! - WIDTH / 2 / scale / squeeze,
    north: middle[1]! + HEIGHT / 2 / scale,
    scale: scale * squeeze,
  };
}

/** Every site at its place, coloured by whether all its nodes are there. Nothing is asked of another server. */
function Map({ sites, all }: { sites: SiteRow[]; all: NodeEntry[] }) {
  const placed = sites.filter((site) => site.latitude !== null && site.longitude !== null);
  if (!placed.length) return <p class="faint">No site has coordinates yet.</p>;
  const { west, north, scale } = frameOf(placed);
  const squeeze = Math.max(Math.cos((placed[0]!.latitude! * Math.PI) / 180), 0.1);
  return (
    <svg
      class="manage-map"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="img"
      aria-label="Sites"
      data-testid="map"
    >
      {placed.map((site) => {
        const own = all.filter((node) => node.site === site.site);
        const away = own.filter((node) => node.state !== "online").length;
        const x = (site.longitude! - west) * scale;
        const y = ((north - site.latitude!) * scale) / squeeze;
        return (
          <g key={site.site} data-testid="map-site" data-bad={away > 0} transform={`translate(${x} ${y})`}>
            <circle r={8 + Math.min(Math.sqrt(own.length) * 3, 18)} />
            <text y="4">{own.length}</text>
            <text class="name" y={26 + Math.min(Math.sqrt(own.length) * 3, 18)}>
              {site.title || site.site}
            </text>
          </g>
        );
      })}
    </svg>
  );
}

function Sites({ sites, again, admin }: { sites: SiteRow[]; again: () => void; admin: boolean }) {
  const [act, problem] = useDo(again);
  const degrees = (text: string): number | null => (text ? Number(text) : null);
  return (
    <Part title="Sites" id="sites">
      <Problem text={problem} />
      <ul class="manage-list">
        {sites.map((site) => (
          <li key={site.site} class="row wrap">
            <b>{site.site}</b>
            <span class="grow faint">
              {[site.title, site.timezone, `${site.nodes} nodes`].filter(Boolean).join(", ")}
            </span>
            {admin && (
              <Sure text="Remove" ask={`Remove ${site.site}`} act={() => act(manage.removeSite(site.site))} />
            )}
          </li>
        ))}
      </ul>
      {admin && (
        <Form
          button="Save"
          id="put-site"
          send={(text) =>
            act(
              manage.putSite(text("site"), {
                title: text("title"),
                timezone: text("timezone"),
                latitude: degrees(text("latitude")),
                longitude: degrees(text("longitude")),
              }),
            )
          }
        >
          <Field label="Site" name="site" required />
          <Field label="Title" name="title" />
          <Field label="Time zone" name="timezone" hint="Europe/Berlin" />
          <Field label="Latitude" name="latitude" type="number" />
          <Field label="Longitude" name="longitude" type="number" />
        </Form>
      )}
    </Part>
  );
}

function Groups({ groups, again }: { groups: GroupRow[]; again: () => void }) {
  const [act, problem] = useDo(again);
  return (
    <Part title="Groups" id="groups">
      <Problem text={problem} />
      <ul class="manage-list">
        {groups.map((group) => (
          <li key={group.group} class="row wrap">
            <b>{group.group}</b>
            <span class="grow faint">
              {group.nodes} nodes
              {Object.keys(group.settings).length > 0 && `, gives ${Object.keys(group.settings).join(", ")}`}
            </span>
            <Sure
              text="Remove"
              ask={`Remove ${group.group}`}
              act={() => act(manage.removeGroup(group.group))}
            />
          </li>
        ))}
      </ul>
      <Form
        button="Save"
        id="put-group"
        send={(text) =>
          act(
            manage.putGroup(text("group"), {
              title: text("title"),
              settings: text("confidence") ? { confidence: Number(text("confidence")) } : {},
            }),
          )
        }
      >
        <Field label="Group" name="group" required />
        <Field label="Title" name="title" />
        <Field label="Gives confidence" name="confidence" type="number" />
      </Form>
    </Part>
  );
}

function NodePlaces({ all, sites, again }: { all: NodeEntry[]; sites: SiteRow[]; again: () => void }) {
  const [act, problem] = useDo(again);
  return (
    <Part title="Nodes" id="node-places">
      <Problem text={problem} />
      <table class="manage-table">
        <thead>
          <tr>
            <th>Node</th>
            <th>Title</th>
            <th>Site</th>
            <th>Groups</th>
            <th>Labels</th>
          </tr>
        </thead>
        <tbody>
          {all.map((node) => (
            <tr key={node.node} data-testid="node-place" data-node={node.node}>
              <td>
                <a href={nodeHref(node.node)}>{node.node}</a>
              </td>
              <td>
                <input
                  aria-label={`Title of ${node.node}`}
                  value={node.title ?? ""}
                  onChange={(event) => act(manage.place(node.node, { title: event.currentTarget.value }))}
                />
              </td>
              <td>
                <select
                  aria-label={`Site of ${node.node}`}
                  value={node.site ?? ""}
                  onChange={(event) => act(manage.place(node.node, { site: event.currentTarget.value }))}
                >
                  <option value="">–</option>
                  {sites.map((site) => (
                    <option key={site.site}>{site.site}</option>
                  ))}
                </select>
              </td>
              <td>
                <input
                  aria-label={`Groups of ${node.node}`}
                  value={(node.groups ?? []).join(", ")}
                  onChange={(event) =>
                    act(manage.place(node.node, { groups: words(event.currentTarget.value) }))
                  }
                />
              </td>
              <td>
                <input
                  aria-label={`Labels of ${node.node}`}
                  value={(node.labels ?? []).join(", ")}
                  onChange={(event) =>
                    act(manage.place(node.node, { labels: words(event.currentTarget.value) }))
                  }
                />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Part>
  );
}

export function Places({ admin }: { admin: boolean }) {
  const known = useCell(nodes);
  const all = [...(known?.values() ?? [])].sort((one, two) => one.node.localeCompare(two.node));
  const [sites, readSites, unread] = useRead(manage.sites);
  const [groups, readGroups] = useRead(manage.groups);
  const again = () => {
    readSites();
    readGroups();
  };
  return (
    <>
      <Problem text={unread} />
      <Part title="Map" id="map-part">
        <Map sites={sites ?? []} all={all} />
      </Part>
      <Sites sites={sites ?? []} again={again} admin={admin} />
      {admin && <Groups groups={groups ?? []} again={again} />}
      {admin && <NodePlaces all={all} sites={sites ?? []} again={again} />}
    </>
  );
}
