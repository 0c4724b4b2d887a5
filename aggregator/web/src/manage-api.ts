// The requests of the pages on which a fleet is managed: people, places, boxes, settings, audit.
import { query, request } from "./api";
import type {
  AuditEntry,
  CameraSettings,
  CopyState,
  Drift,
  GroupRow,
  InvitationRow,
  JoinLine,
  Order,
  Place,
  ProfileRow,
  RenameRow,
  Role,
  Sent,
  Session,
  SiteRow,
  Token,
  User,
  WaitingBox,
} from "./types";

export type RoleName = Role["role"];

export interface Aim {
  site?: string;
  group?: string;
  nodes?: string[];
  everywhere?: boolean;
}

const name = encodeURIComponent;

export const manage = {
  users: async () => (await request<{ users: User[] }>("GET", "/users")).users,
  addUser: (body: { user: string; password: string; role: string; sites?: string[]; groups?: string[] }) =>
    request<User>("POST", "/users", body),
  changeUser: (user: string, body: Partial<User> & { password?: string }) =>
    request<User>("PATCH", `/users/${name(user)}`, body),
  removeUser: (user: string) => request<unknown>("DELETE", `/users/${name(user)}`),
  sessions: async () => (await request<{ sessions: Session[] }>("GET", "/sessions")).sessions,
  endSession: (id: string) => request<unknown>("DELETE", `/sessions/${id}`),
  tokens: async () => (await request<{ tokens: Token[] }>("GET", "/tokens")).tokens,
  addToken: (body: { name: string; role: string; days: number }) => request<Token>("POST", "/tokens", body),
  removeToken: (id: string) => request<unknown>("DELETE", `/tokens/${id}`),

  sites: async () => (await request<{ sites: SiteRow[] }>("GET", "/sites")).sites,
  putSite: (site: string, body: Partial<SiteRow>) => request<SiteRow>("PUT", `/sites/${name(site)}`, body),
  removeSite: (site: string) => request<unknown>("DELETE", `/sites/${name(site)}`),
  groups: async () => (await request<{ groups: GroupRow[] }>("GET", "/groups")).groups,
  putGroup: (group: string, body: Partial<GroupRow>) =>
    request<GroupRow>("PUT", `/groups/${name(group)}`, body),
  removeGroup: (group: string) => request<unknown>("DELETE", `/groups/${name(group)}`),
  place: (node: string, body: Partial<Place>) => request<Place>("PATCH", `/nodes/${name(node)}/place`, body),

  invitations: async () =>
    (await request<{ invitations: InvitationRow[] }>("GET", "/invitations")).invitations,
  invite: (body: { boxes: number; minutes: number; site: string; groups: string[]; approval: boolean }) =>
    request<InvitationRow>("POST", "/invitations", body),
  withdraw: (id: string) => request<unknown>("DELETE", `/invitations/${id}`),
  waiting: async () => (await request<{ waiting: WaitingBox[] }>("GET", "/waiting")).waiting,
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
  order: (node: string, id: string) => request<Order>("GET", `/nodes/${name(node)}/commands/${id}`),
  rename: (node: string, to: string) => request<RenameRow>("POST", `/nodes/${name(node)}/rename`, { to }),
  renames: async () => (await request<{ renames: RenameRow[] }>("GET", "/renames")).renames,
  copy: (node: string) => request<CopyState>("GET", `/nodes/${name(node)}/copy`),
  keep: (node: string, keep: number) => request<CopyState>("POST", `/nodes/${name(node)}/copy`, { keep }),
  removeNode: (node: string) => request<unknown>("DELETE", `/nodes/${name(node)}`),

  showMany: async (aim: Aim, settings: Partial<CameraSettings>) =>
    (await request<{ rows: Sent[] }>("POST", "/settings", { ...aim, settings, dry_run: true })).rows,
  /** `shown`: what the centre said would change; it refuses what somebody has changed since. */
  sendMany: async (aim: Aim, settings: Partial<CameraSettings>, shown: Sent[]) => {
    const seen = shown
      .filter((row) => row.camera)
      .map(({ node, camera, seen }) => ({ node, camera, version: seen }));
    return (await request<{ rows: Sent[] }>("POST", "/settings", { ...aim, settings, seen })).rows;
  },
  drift: async () => (await request<{ rows: Drift[] }>("GET", "/drift")).rows,
  profiles: async () => (await request<{ profiles: ProfileRow[] }>("GET", "/profiles")).profiles,
  putProfile: (profile: string, body: Partial<ProfileRow>) =>
    request<ProfileRow>("PUT", `/profiles/${name(profile)}`, body),
  removeProfile: (profile: string) => request<unknown>("DELETE", `/profiles/${name(profile)}`),
  switchMany: (aim: Aim, profile: string, back: boolean) =>
    request<unknown>("POST", "/profiles/switch", { ...aim, profile, back }),

  audit: async (q: string, after: string) =>
    (await request<{ entries: AuditEntry[] }>("GET", `/audit${query({ q, after, limit: 100 })}`)).entries,
};
