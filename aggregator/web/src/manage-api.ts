// The requests of the pages on which a fleet is managed: people, places, boxes, settings, audit.
import { query, request } from "./api";
import type { AuditEntry, CameraSettings, CopyState, Drift, Hours, JoinLine, Place, Sent } from "./types";

export type { AuditEntry, CopyState, Drift, Hours, JoinLine, Place, Sent } from "./types";

export type RoleName = "viewer" | "operator" | "admin";

export interface User {
  user: string;
  role: RoleName;
  sites: string[];
  groups: string[];
  last_login: number | null;
}

export interface SessionRow {
  id: string;
  user: string;
  seen: number | null;
  address: string;
  agent: string;
  current: boolean;
}

export interface Token {
  id: string;
  name: string;
  role: RoleName;
  expires: number | null;
  last_used: number | null;
  token: string;
}

export interface Site {
  site: string;
  title: string;
  timezone: string;
  latitude: number | null;
  longitude: number | null;
  nodes: number;
}

export interface Group {
  group: string;
  title: string;
  settings: Partial<CameraSettings>;
  nodes: number;
}

export interface Invitation {
  id: string;
  boxes: number;
  left: number;
  until: number;
  approval: boolean;
  by: string;
  place: Place;
  line: string;
}

export interface Aim {
  site?: string;
  group?: string;
  nodes?: string[];
  everywhere?: boolean;
}

export interface Profile {
  profile: string;
  title: string;
  settings: Partial<CameraSettings>;
  hours: Hours[];
  running: number;
}

export interface RenameRow {
  was: string;
  node: string;
  state: "asked" | "moving" | "refused";
  reason: string;
}

/** A camera as its box tells of it where the centre may set it. */
export interface OwnCamera {
  camera: string;
  model?: string;
  source?: string;
  from_centre?: boolean;
}

export interface Answered {
  state: "sent" | "done" | "refused" | "expired";
  reason: string;
  text: string;
}

const name = encodeURIComponent;

export const manage = {
  users: async () => (await request<{ users: User[] }>("GET", "/users")).users,
  addUser: (body: { user: string; password: string; role: string; sites?: string[]; groups?: string[] }) =>
    request<User>("POST", "/users", body),
  changeUser: (user: string, body: Partial<User> & { password?: string }) =>
    request<User>("PATCH", `/users/${name(user)}`, body),
  removeUser: (user: string) => request<unknown>("DELETE", `/users/${name(user)}`),
  sessions: async () => (await request<{ sessions: SessionRow[] }>("GET", "/sessions")).sessions,
  endSession: (id: string) => request<unknown>("DELETE", `/sessions/${id}`),
  tokens: async () => (await request<{ tokens: Token[] }>("GET", "/tokens")).tokens,
  addToken: (body: { name: string; role: string; days: number }) => request<Token>("POST", "/tokens", body),
  removeToken: (id: string) => request<unknown>("DELETE", `/tokens/${id}`),

  sites: async () => (await request<{ sites: Site[] }>("GET", "/sites")).sites,
  putSite: (site: string, body: Partial<Site>) => request<Site>("PUT", `/sites/${name(site)}`, body),
  removeSite: (site: string) => request<unknown>("DELETE", `/sites/${name(site)}`),
  groups: async () => (await request<{ groups: Group[] }>("GET", "/groups")).groups,
  putGroup: (group: string, body: Partial<Group>) => request<Group>("PUT", `/groups/${name(group)}`, body),
  removeGroup: (group: string) => request<unknown>("DELETE", `/groups/${name(group)}`),
  place: (node: string, body: Partial<Place>) => request<Place>("PATCH", `/nodes/${name(node)}/place`, body),

  invitations: async () => (await request<{ invitations: Invitation[] }>("GET", "/invitations")).invitations,
  invite: (body: { boxes: number; minutes: number; site: string; groups: string[]; approval: boolean }) =>
    request<Invitation>("POST", "/invitations", body),
  withdraw: (id: string) => request<unknown>("DELETE", `/invitations/${id}`),
  waiting: async () =>
    (await request<{ waiting: { node: string; since: number }[] }>("GET", "/waiting")).waiting,
  approve: (node: string) => request<unknown>("POST", `/waiting/${name(node)}`, {}),
  refuse: (node: string) => request<unknown>("DELETE", `/waiting/${name(node)}`),
  addNode: (node: string) => request<JoinLine>("POST", "/nodes", { node }),
  replace: (node: string) => request<JoinLine>("POST", `/nodes/${name(node)}/replacement`, {}),
  putCamera: (node: string, camera: string, body: { source?: string; model?: string }) =>
    request<{ id: string }>("PUT", `/nodes/${name(node)}/cameras/${name(camera)}`, body),
  removeCamera: (node: string, camera: string) =>
    request<{ id: string }>("DELETE", `/nodes/${name(node)}/cameras/${name(camera)}`),
  give: (node: string, body: { verb: string; camera: string; seconds: number; model?: string }) =>
    request<{ id: string }>("POST", `/nodes/${name(node)}/commands`, body),
  order: (node: string, id: string) => request<Answered>("GET", `/nodes/${name(node)}/commands/${id}`),
  rename: (node: string, to: string) => request<RenameRow>("POST", `/nodes/${name(node)}/rename`, { to }),
  renames: async () => (await request<{ renames: RenameRow[] }>("GET", "/renames")).renames,
  copy: (node: string) => request<CopyState>("GET", `/nodes/${name(node)}/copy`),
  keep: (node: string, keep: number) => request<CopyState>("POST", `/nodes/${name(node)}/copy`, { keep }),
  removeNode: (node: string) => request<unknown>("DELETE", `/nodes/${name(node)}`),

  sendMany: async (aim: Aim, settings: Partial<CameraSettings>, dry_run: boolean) =>
    (await request<{ rows: Sent[] }>("POST", "/settings", { ...aim, settings, dry_run })).rows,
  drift: async () => (await request<{ rows: Drift[] }>("GET", "/drift")).rows,
  profiles: async () => (await request<{ profiles: Profile[] }>("GET", "/profiles")).profiles,
  putProfile: (profile: string, body: Partial<Profile>) =>
    request<Profile>("PUT", `/profiles/${name(profile)}`, body),
  removeProfile: (profile: string) => request<unknown>("DELETE", `/profiles/${name(profile)}`),
  switchMany: (aim: Aim, profile: string, back: boolean) =>
    request<unknown>("POST", "/profiles/switch", { ...aim, profile, back }),

  audit: async (q: string, after: string) =>
    (await request<{ entries: AuditEntry[] }>("GET", `/audit${query({ q, after, limit: 100 })}`)).entries,
};
