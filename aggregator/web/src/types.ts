// Made from the API's description by `make page-types`; not to be edited by hand.
// Times are Unix milliseconds; coordinates are fractions of the frame.

/** The aggregators together: CPU in percent of one core, resident memory. */
export interface AggregatorUse {
  /** how many */
  count: number;
  /** CPU, percent: of a box, of all its cores; of a process, of one core; null: unknown */
  cpu_percent: number;
  /** resident memory, bytes; null: unknown */
  memory_bytes: number;
}

/** What is wrong with what a camera shows, though it can be counted on it; not blind. Attributes: kind: moved, dark, unfocused, dirty or flickering; a newer node may tell of others, in its text. since: Unix ms. text: a sentence for people. amount: by how much it has moved, in widths of the picture; 0: not known, or no matter of that. shift: where what was at a point is now: to the right and down, in widths of the picture. off: lines and zones that are not where they were drawn any more. */
export interface Ailment {
  /** moved, dark, unfocused, dirty, flickering, or what a newer box tells of */
  kind: string;
  /** since when, Unix milliseconds; null: unknown, or from the beginning */
  since: number;
  /** a sentence, or some, for people */
  text: string;
  /** by how much, in widths of the picture; 0: not known, or no matter of that */
  amount?: number;
  /** where what was at a point is now: to the right and down, in widths of the picture */
  shift?: [number, number];
  /** lines and zones that are not where they were drawn any more */
  off?: string[];
}

/** What a person says of an alert. `minutes`: for how long it is snoozed. */
export interface AlertPatch {
  /** in which state it is */
  state: "acknowledged" | "closed" | "open" | "snoozed";
  /** for how long it is snoozed */
  minutes?: number;
}

/** An alert. `count`: how many places; `standing`: those not clear; `parts`: the first of them. */
export interface AlertRow {
  /** its id */
  id: string;
  /** the id of the rule that found it */
  rule: string;
  /** its name */
  name: string;
  /** which kind it is */
  kind: string;
  /** info, warning or critical */
  severity: "critical" | "info" | "warning";
  /** in which state it is */
  state: "acknowledged" | "closed" | "open" | "snoozed";
  /** when it was opened, Unix milliseconds */
  opened: number;
  /** when it was closed, Unix milliseconds; null: it is not */
  closed: number | null;
  /** how people call it */
  title: string;
  /** a sentence, or some, for people */
  text: string;
  /** how many */
  count: number;
  /** how many places are not clear */
  standing: number;
  /** the places that it is about, the first of them */
  parts: Part[];
  /** until when it is quiet, Unix milliseconds; null: it is not */
  snoozed_until: number | null;
  /** who last changed it */
  changed_by: string;
  /** why it was closed */
  why: string;
  /** messages that were sent of it, and what became of them */
  messages: MessageRow[];
}

/** What somebody did. `what`: to which user, site, camera and so on; `more`: what else was noted. */
export interface AuditEntry {
  /** its id */
  id: string;
  /** when, Unix milliseconds */
  at: number;
  /** the user's name */
  user: string;
  /** viewer, operator or admin */
  role: string;
  /** what was done, in words */
  action: string;
  /** the node's name */
  node: string;
  /** to which user, site, camera and so on */
  what: string;
  /** the network address from which it was done */
  address: string;
  /** what else was noted */
  more: Record<string, unknown>;
}

/** Entries of the audit log, newest first. */
export interface AuditLog {
  /** entries, the newest first */
  entries: AuditEntry[];
}

/** A camera told that it was blind for more than a share of the last minutes. */
export interface Blind {
  /** which kind it is */
  kind: "blind";
  /** the limit, percent */
  percent?: number;
  /** of so many last minutes */
  minutes?: number;
}

/** What the broker says of itself under `$SYS/broker`; rates are since the sample before. */
export interface BrokerUse {
  /** connections at the broker */
  clients: number | null;
  /** resident memory, bytes; null: unknown */
  memory_bytes: number | null;
  /** messages that the broker received a second */
  messages_received_per_second: number | null;
  /** messages that the broker sent a second */
  messages_sent_per_second: number | null;
  /** bytes that the broker received a second */
  bytes_received_per_second: number | null;
  /** bytes that the broker sent a second */
  bytes_sent_per_second: number | null;
  /** messages that the broker dropped a second */
  dropped_per_second: number | null;
}

/** What is to be set of a camera; what is left out stays as it is, or as a new camera has it. `source`: as in the box's `agent.toml`. It is told to the box, and kept there alone. */
export interface CameraBody {
  /** where the camera is; told back without secrets, and a file not even by its name */
  source?: string;
  /** the model by name; empty in settings: as the box's owner says */
  model?: string;
  /** of a USB camera's pictures, width and height; 0: its own */
  size?: [number, number];
  /** of a USB camera, or of single pictures, a second; 0: its own */
  fps?: number;
  /** of a USB camera, four letters; empty: its own */
  format?: string;
  /** of a recording: real keeps its clock, fast takes every frame at once */
  pace?: "fast" | "real";
  /** of a recording: begin again at its end */
  loop?: boolean;
}

/** A camera of a node that is online gives no pictures: any state but ok and ended. */
export interface CameraCondition {
  /** which kind it is */
  kind: "camera";
}

/** The desired configuration: always whole; a higher version replaces a lower one. */
export interface CameraDocument {
  /** grows with each change */
  version: number;
  /** cameras of the node */
  cameras: Record<string, CameraSettings>;
}

/** A camera as its node sees it, and its day. `last_known`: as it was when the node was last heard. `first_seen`: when it was first told of; what lies before is not time in which nobody watched. `looked_regions`: what the second look took in its last minute, `oldest_region_seconds`: for how long the place that waits longest was not looked at again; both unknown where it has not told of a minute. `health`: what ails a camera that shows something all the same: that it has moved, by how much, since when, and which lines and zones are off. */
export interface CameraEntry {
  /** the camera's name on its box; empty: it is about the whole box, or several are added up */
  camera: string;
  /** in which state it is */
  state: string;
  /** frames judged a second; null: unknown */
  fps: number | null;
  /** seconds since the site's midnight in which frames were looked at */
  watched_seconds_today: number;
  /** seconds since the site's midnight that were not watched */
  blind_seconds_today: number;
  /** why, in a sentence; empty: all is well */
  reason: string;
  /** since when, Unix milliseconds; null: unknown, or from the beginning */
  since: number;
  /** what the camera's model can tell apart */
  labels: string[];
  /** the model by name; empty in settings: as the box's owner says */
  model: string;
  /** width and height of the frames, pixels; 0: unknown */
  size: [number, number];
  /** pictures may be asked for */
  preview: boolean;
  /** objects since the site's midnight, by label */
  objects_today: Record<string, number>;
  /** 95th percentile of the age of a frame when it was counted, ms; null: unknown */
  p95_ms: number | null;
  /** it is as it was when the node was last heard */
  last_known: boolean;
  /** when the camera was first told of, Unix milliseconds; null: unknown */
  first_seen: number | null;
  /** regions that the second look took in its last minute; null: unknown */
  looked_regions: number | null;
  /** how long the place that waits longest was not looked at again; null: unknown */
  oldest_region_seconds: number | null;
  /** what ails a camera that shows something all the same */
  health: Ailment[];
  /** where the camera is; told back without secrets, and a file not even by its name */
  source: string;
  /** the camera was added from the centre */
  from_centre: boolean;
}

/** What a server may set on one camera. Defaults that are made by a call are always written. What came later is left out where it is not used: a reader that does not know it refuses it. So a centre sends only what the node says that it `knows`. */
export interface CameraSettings {
  /** boxes below this score are not looked at */
  confidence?: number;
  /** only these labels count; empty: all */
  labels?: string[];
  /** counting lines by name */
  lines?: Record<string, Line>;
  /** zones by name, polygons */
  zones?: Record<string, Zone>;
  /** a patch of the road and its measures, for speeds; null: none */
  plane?: Plane | null;
  /** areas by name that are black on every picture that leaves the box */
  privacy?: Record<string, [number, number][]>;
  /** the share of the box's processor that this camera may use; null: as the box's owner says */
  budget?: number | null;
  /** whether crops are looked at a second time; null: as the box's owner says */
  second_look?: boolean | null;
  /** the model by name; empty in settings: as the box's owner says */
  model?: string;
}

/** Two boxes send under one name. */
export interface Clone {
  /** which kind it is */
  kind: "clone";
}

/** Which document is wanted, which runs, or why not. `refused`: what of the document has no effect on the node -> why. `since`, `by`: when and by whom the wanted one was set. `profile`: which runs, empty: none. */
export interface ConfigState {
  /** the version of the document that is wanted */
  wanted: number;
  /** the version of the document that the node runs */
  applied: number;
  /** why not, in a sentence; empty: nothing is wrong */
  error: string;
  /** all settings of all cameras, with one version */
  document: CameraDocument;
  /** what has no effect on the node -> why, by path */
  refused: Record<string, string>;
  /** since when, Unix milliseconds; null: unknown, or from the beginning */
  since: number | null;
  /** who did it; empty: the box's owner */
  by: string;
  /** the profile's name; empty: none */
  profile: string;
}

/** Which start of an agent is the box. */
export interface CopyBody {
  /** the start of the agent that is the box */
  keep: number;
}

/** The copies of a node: which start of an agent counts, which are kept out, since when there are two. `kept` 0: it never had a copy. */
export interface CopyState {
  /** the start of the agent that counts; 0: there never was a copy */
  kept: number;
  /** starts of the agent that are a copy's, and are kept out of the counts */
  stopped: number[];
  /** since when there are two boxes of this name, Unix milliseconds; null: there are not */
  forked: number | null;
  /** a person has said which is the box, or the copy has a name of its own */
  resolved: boolean;
  /** who did it; empty: the box's owner */
  by: string;
}

/** Crossings of a line within the last minutes. `under` is judged only of time that was watched. */
export interface Count {
  /** which kind it is */
  kind: "count";
  /** more than this; null: no upper limit */
  over?: number | null;
  /** fewer than this; null: no lower limit */
  under?: number | null;
  /** of so many last minutes */
  minutes?: number;
  /** AB: from the left hand to the right of who walks along the line as it was drawn; BA: back */
  direction?: "" | "AB" | "BA";
  /** only these labels count; empty: all */
  labels?: string[];
}

/** What one row counted in one bucket. A minute that nobody watched is not a minute without traffic. `rate`: how many in an hour of watching; null where nothing was watched. */
export interface CountRow {
  /** the beginning of the bucket or series, Unix milliseconds */
  start: number;
  /** the camera's name on its box; empty: it is about the whole box, or several are added up */
  camera: string;
  /** the line's name */
  line: string;
  /** grows with each change */
  version: number;
  /** AB: from the left hand to the right of who walks along the line as it was drawn; BA: back */
  direction: "AB" | "BA";
  /** what the object is, by the vote of its detections; unknown: the vote is open */
  label: string;
  /** how many */
  count: number;
  /** seconds of the bucket in which frames were looked at */
  watched_seconds: number;
  /** seconds of the bucket that were not watched */
  blind_seconds: number;
  /** how many in an hour of watching; null: nothing was watched */
  rate: number | null;
}

/** How often a line was crossed since the site's midnight. */
export interface CountToday {
  /** the camera's name on its box; empty: it is about the whole box, or several are added up */
  camera: string;
  /** the line's name */
  line: string;
  /** AB: from the left hand to the right of who walks along the line as it was drawn; BA: back */
  direction: "AB" | "BA";
  /** what the object is, by the vote of its detections; unknown: the vote is open */
  label: string;
  /** how many */
  count: number;
}

/** Counts by bucket. */
export interface Counts {
  /** the rows */
  rows: CountRow[];
}

/** A camera's picture is too dark to be counted on. */
export interface Dark {
  /** which kind it is */
  kind: "dark";
}

/** The database. `bytes`: data and indexes on disk; `free_bytes`: of its disk. What is not of `dbStats` needs the role clusterMonitor. CPU in percent of one core. */
export interface DatabaseUse {
  /** data and indexes on disk, bytes */
  bytes: number;
  /** what is free on the disk, bytes; null: unknown */
  free_bytes: number | null;
  /** resident memory, bytes; null: unknown */
  memory_bytes: number | null;
  /** open connections of the database */
  connections: number | null;
  /** CPU, percent: of a box, of all its cores; of a process, of one core; null: unknown */
  cpu_percent: number | null;
  /** operations of the database a second */
  operations_per_second: number | null;
}

/** What arrived of a node, what it says it lost, what was refused. `lost_unknown`: more than `lost` may be gone; how many events cannot be known. */
export interface Delivery {
  /** starts of the agent, the oldest first */
  epochs: Epoch[];
  /** events that the node says it lost */
  lost: number;
  /** batches whose number came twice with different contents */
  conflicts: number;
  /** messages and events that were refused */
  quarantined: number;
  /** more may be lost than can be known */
  lost_unknown: boolean;
}

/** Pictures that left a box one after the other: by which way, for whom, how many, and how changed. `start`, `end`: Unix ms of the first and the last. `way`: preview, page, rtsp or empty (the picture that shows nobody). `manner`: blurred, unblurred, or drawn where the source shows nobody real. */
export interface Departure {
  /** the beginning of the bucket or series, Unix milliseconds */
  start: number;
  /** the last picture of the series, Unix milliseconds */
  end: number;
  /** the camera's name on its box; empty: it is about the whole box, or several are added up */
  camera: string;
  /** by which way pictures left: preview, page, rtsp, snapshot, empty */
  way: string;
  /** for whom */
  who: string;
  /** viewer, operator or admin */
  role: string;
  /** how many pictures */
  pictures: number;
  /** how the pictures were changed: blurred, unblurred, or drawn */
  manner: string;
}

/** Pictures that left a box, a row for each series of them, the newest first. */
export interface Departures {
  /** the rows */
  rows: Departure[];
}

/** One setting that differs: its path, and it before and after as JSON; empty: not there. */
export interface Differ {
  /** which setting, its parts joined by dots */
  path: string;
  /** the value before the change, as JSON; empty: not there */
  before: string;
  /** the value after the change, as JSON; empty: not there */
  after: string;
}

/** A part of a camera's picture does not change any more: something is on the lens, or before it. */
export interface Dirty {
  /** which kind it is */
  kind: "dirty";
}

/** A box's disk is fuller than this. */
export interface DiskCondition {
  /** which kind it is */
  kind: "disk";
  /** the limit, percent */
  percent?: number;
}

/** The disk of the database. `day_bytes`: how much it grew in a day, by the last 24 hours; `measured_seconds`: how long of them was measured. `in_30_days`: how much it is then at this rate; None while less than an hour is known. */
export interface DiskUse {
  /** data and indexes on disk, bytes */
  bytes: number | null;
  /** what is free on the disk, bytes; null: unknown */
  free_bytes: number | null;
  /** growth in a day, by the last 24 hours; null: not known yet */
  day_bytes: number | null;
  /** bytes in 30 days at the rate of the last day; null: not known yet */
  in_30_days: number | null;
  /** how much of the last 24 hours was measured */
  measured_seconds: number;
}

/** A document that a node was wanted to run: when, by whom, with what they did. */
export interface DocumentVersion {
  /** grows with each change */
  version: number;
  /** when, Unix milliseconds */
  at: number;
  /** who did it; empty: the box's owner */
  by: string;
  /** what was done, in words */
  action: string;
  /** all settings of all cameras, with one version */
  document: CameraDocument;
}

/** The documents of a node, the newest first. */
export interface Documents {
  /** documents, the newest first */
  documents: DocumentVersion[];
}

/** A node that does not do all that is wanted of it. `why`: what it said, or that it has not answered. `refused`: what has no effect there. `defaults`: what of its groups' defaults it does otherwise. */
export interface Drift {
  /** the node's name */
  node: string;
  /** the version of the document that is wanted */
  wanted: number;
  /** the version of the document that the node runs */
  applied: number;
  /** since when, Unix milliseconds; null: unknown, or from the beginning */
  since: number | null;
  /** why not, in a sentence */
  why: string;
  /** what has no effect on the node -> why, by path */
  refused: Record<string, string>;
  /** paths of what it does otherwise than the defaults of its groups */
  defaults: string[];
}

/** A node does not run the document that is wanted of it, or refused it. */
export interface DriftCondition {
  /** which kind it is */
  kind: "drift";
}

/** All nodes that drift, by name. */
export interface Drifts {
  /** the rows */
  rows: Drift[];
}

/** How many events of one start of an agent are stored. `missing`: batches between its first and its last that are not: on their way, or lost with a database. */
export interface Epoch {
  /** one start of the agent */
  epoch: number;
  /** how many events are stored */
  stored: number;
  /** batches between the first and the last stored that are not: on their way, or lost */
  missing: number;
}

/** What is to be erased: single events from `since` to before `until`, Unix ms; neither: everything. `node`: its name once more, so that nothing is erased by mistake. */
export interface EraseBody {
  /** the node's name */
  node: string;
  /** since when, Unix milliseconds; null: unknown, or from the beginning */
  since?: number | null;
  /** until when, Unix milliseconds; null: without end */
  until?: number | null;
}

/** The one shape of every error. */
export interface Error {
  /** what is wrong, for programs and for people */
  error: Reason;
}

/** Stored events in their readable form. */
export interface Events {
  /** events as objects: id, type, and what their type has */
  events: Record<string, unknown>[];
}

/** The nodes that were asked for. `join`: the line that adds one. `waiting`: who has not come yet. `summary` is of all that fit the question, not of this page only. `offset`: where the page begins. `next`: what to give as `after` for the next page; empty: this was the last. */
export interface Fleet {
  /** when, Unix milliseconds */
  at: number;
  /** the nodes that were asked for */
  nodes: NodeEntry[];
  /** the line that installs and joins a box; empty where one may not add any */
  join: string;
  /** who waits */
  waiting: Waiting[];
  /** all nodes that fit the question, by state; null: not counted */
  summary: FleetSummary | null;
  /** where the page begins */
  offset: number;
  /** what to give as `after` for the next page; empty: this was the last */
  next: string;
}

/** What lines of one name counted in one bucket, over several nodes; by node: what one row of it counted. `watched_seconds`: of all cameras that were asked for (by node: of this camera). `node` and `camera` are empty and `version` is 0 where several are added up. */
export interface FleetCountRow {
  /** the beginning of the bucket or series, Unix milliseconds */
  start: number;
  /** the node's name */
  node: string;
  /** the camera's name on its box; empty: it is about the whole box, or several are added up */
  camera: string;
  /** the line's name */
  line: string;
  /** grows with each change */
  version: number;
  /** AB: from the left hand to the right of who walks along the line as it was drawn; BA: back */
  direction: "AB" | "BA";
  /** what the object is, by the vote of its detections; unknown: the vote is open */
  label: string;
  /** how many */
  count: number;
  /** seconds of the bucket in which frames were looked at */
  watched_seconds: number;
}

/** Counts of several nodes by bucket; `nodes`: how many were asked. `timezone`: in which the buckets begin: the nodes' own where they share one, else the centre's. */
export interface FleetCounts {
  /** the rows */
  rows: FleetCountRow[];
  /** how many nodes were asked */
  nodes: number;
  /** IANA time zone; empty: the centre's */
  timezone: string;
}

/** How many nodes are in which state; `blind`: cameras that see nothing now. */
export interface FleetSummary {
  /** how many in all */
  total: number;
  /** nodes that are online */
  online: number;
  /** nodes that are offline */
  offline: number;
  /** nodes that say they are online and have not been heard for 150 s */
  stale: number;
  /** cameras that see nothing now */
  blind: number;
}

/** A camera's picture grows bright and dark in turn. */
export interface Flickering {
  /** which kind it is */
  kind: "flickering";
}

/** A camera gives the same picture again and again; its time is blind. */
export interface Frozen {
  /** which kind it is */
  kind: "frozen";
}

/** A group. `settings`: of each camera of a node that comes into it; what is left out stays as it is. */
export interface GroupDocument {
  /** how people call it */
  title?: string;
  /** settings of a camera; in a group or a profile, those that are named */
  settings?: Record<string, unknown>;
}

/** A group. `nodes`: how many are in it. */
export interface GroupRow {
  /** how people call it */
  title: string;
  /** settings of a camera; in a group or a profile, those that are named */
  settings: Record<string, unknown>;
  /** the group's name */
  group: string;
  /** how many nodes are in it */
  nodes: number;
}

/** All groups that the one who asks may see. */
export interface Groups {
  /** groups by name */
  groups: GroupRow[];
}

/** A box is hotter than so many degrees Celsius. */
export interface Heat {
  /** which kind it is */
  kind: "heat";
  /** hotter than so many degrees Celsius */
  degrees?: number;
}

/** Alerts, the newest first. */
export interface History {
  /** alerts, the newest first */
  alerts: AlertRow[];
}

/** Hours of some days (empty: of all), by the clock of the node's site; past midnight where `to` is less. They belong to the day on which they begin. `from` and `to` alike: the whole day. */
export interface Hours {
  /** from this time of day on, HH:MM by the clock of the node's site */
  from: string;
  /** up to this time of day, HH:MM by the clock of the node's site */
  to: string;
  /** on which days of the week, mon to sun; empty: on all */
  days?: ("fri" | "mon" | "sat" | "sun" | "thu" | "tue" | "wed")[];
}

/** A code for several boxes: how many, for how long, where they will stand. `approval`: each waits for an administrator's word. */
export interface InvitationBody {
  /** how many boxes the code lets in */
  boxes: number;
  /** for how long the code is good */
  minutes?: number;
  /** the site's name; empty: none */
  site?: string;
  /** names of groups */
  groups?: string[];
  /** labels of the boxes that join, as `floor=2` */
  labels?: string[];
  /** each box waits for an administrator's word */
  approval?: boolean;
}

/** All invitations, the newest first. */
export interface InvitationList {
  /** invitations, the newest first */
  invitations: InvitationRow[];
}

/** An invitation. `left`: how many boxes it still lets in; `line`: only in the answer that made it. */
export interface InvitationRow {
  /** its id */
  id: string;
  /** how many boxes the code lets in */
  boxes: number;
  /** how many are left */
  left: number;
  /** until when, Unix milliseconds; null: without end */
  until: number;
  /** each box waits for an administrator's word */
  approval: boolean;
  /** who did it; empty: the box's owner */
  by: string;
  /** where the boxes will stand */
  place: Place;
  /** the line to run on each box; only in the answer that made the invitation */
  line: string;
}

/** The line to run on a box, once, and until when it is good (Unix ms). */
export interface JoinLine {
  /** the node's name */
  node: string;
  /** the line to run on the box, once */
  line: string;
  /** until when, Unix milliseconds; null: without end */
  until: number;
}

/** How long what is kept, in days, as it is in force; and what room there is for it. `room`: enough, low (details go before their time), full (nothing is stored, the boxes keep it), unknown. `low_bytes`, `full_bytes`: below which of `room_bytes` it is so; `trouble`: what to do, empty if nothing. */
export interface Keeping {
  /** days for which single events are kept */
  detail_days: number;
  /** days for which minutes are kept */
  tally_days: number;
  /** days for which names of batches are kept */
  batch_days: number;
  /** days for which days of nodes are kept */
  history_days: number;
  /** days for which it is kept which pictures left boxes */
  pictures_days: number;
  /** enough, low, full or unknown */
  room: string;
  /** bytes that are free for the database; null: unknown */
  room_bytes: number | null;
  /** with less room than this details go before their time */
  low_bytes: number;
  /** with less room than this nothing is stored, and the boxes keep it */
  full_bytes: number;
  /** what is wrong and what to do; empty: nothing */
  trouble: string;
}

/** A counting line of 2 to 8 points, drawn P -> Q; `AB` = from the left hand to the right hand. */
export interface Line {
  /** corners, each x and y in fractions of the picture */
  points: [number, number][];
  /** the point of a box that stands for the object: the middle of its lower edge, or its centre */
  anchor?: "bottom" | "center";
  /** only these labels count; empty: all */
  labels?: string[];
  /** grows with each change */
  version?: number;
}

/** A counting line, drawn P -> Q. */
export interface LineBody {
  /** corners, each x and y in fractions of the picture */
  points: [number, number][];
  /** the point of a box that stands for the object: the middle of its lower edge, or its centre */
  anchor?: "bottom" | "center";
  /** only these labels count; empty: all */
  labels?: string[];
}

/** A token, or a user and a password. `path`: below which the page lies, as the browser sees it. */
export interface LoginBody {
  /** a token instead of a user and a password */
  token?: string;
  /** the user's name */
  user?: string;
  /** the password */
  password?: string;
  /** below which the page lies, as the browser sees it */
  path?: string;
}

/** E-mail by the server of `[mail]` in aggregator.toml. */
export interface Mail {
  /** which kind it is */
  kind: "mail";
  /** addresses of who is written to */
  to: string[];
}

/** Where a rule's condition holds now. */
export interface Match {
  /** the node's name */
  node: string;
  /** the camera's name on its box; empty: it is about the whole box, or several are added up */
  camera: string;
  /** the line or zone; empty: it is about more than that */
  gate: string;
  /** a sentence, or some, for people */
  text: string;
}

/** Who asks. `sites`, `groups`: to which nodes that is limited; both empty: all. `first`: nobody has a name and a password yet, and this one may make the first administrator. */
export interface Me {
  /** the user's name */
  user: string;
  /** viewer, operator or admin */
  role: "viewer" | "operator" | "admin";
  /** what belongs to the centre's place */
  site: Site;
  /** names of sites */
  sites: string[];
  /** names of groups */
  groups: string[];
  /** nobody has a name and a password yet; this one may make the first administrator */
  first: boolean;
}

/** A message of an alert, and what became of it: waiting, sent or given up. */
export interface MessageRow {
  /** what was told: opened, more, worse, reminder, closed or test */
  what: string;
  /** the outlet's name */
  outlet: string;
  /** in which state it is */
  state: string;
  /** when, Unix milliseconds */
  at: number;
  /** how often it was tried */
  attempts: number;
  /** why not, in a sentence; empty: nothing is wrong */
  error: string;
}

/** A camera does not look any more where it looked when its lines were drawn. */
export interface Moved {
  /** which kind it is */
  kind: "moved";
}

/** A message on a topic of the centre's broker, JSON, QoS 1, not retained. */
export interface Mqtt {
  /** which kind it is */
  kind: "mqtt";
  /** the MQTT topic to which messages go */
  topic?: string;
}

/** An outlet as it is kept and shown. A webhook's secret is shown when it is made, and never again. */
export interface NamedOutlet {
  /** its id */
  id: string;
  /** the outlet: a webhook, mail or MQTT */
  outlet: Webhook | Mail | Mqtt;
}

/** The name of a box that is to join. */
export interface NewNode {
  /** the node's name */
  node: string;
}

/** A token to be made. `days`: how long it is good; 0: until it is taken away. */
export interface NewToken {
  /** its name */
  name: string;
  /** viewer, operator or admin */
  role?: "admin" | "operator" | "viewer";
  /** names of sites */
  sites?: string[];
  /** names of groups */
  groups?: string[];
  /** for how many days it is good; 0: until it is taken away */
  days?: number;
}

/** A user to be added. */
export interface NewUser {
  /** the user's name */
  user: string;
  /** the password */
  password: string;
  /** viewer, operator or admin */
  role?: "admin" | "operator" | "viewer";
  /** names of sites */
  sites?: string[];
  /** names of groups */
  groups?: string[];
}

/** A node and its configuration. */
export interface NodeDetail {
  /** the node's name */
  node: string;
  /** in which state it is */
  state: "offline" | "online" | "stale";
  /** since when, Unix milliseconds; null: unknown, or from the beginning */
  since: number;
  /** cameras of the node */
  cameras: CameraEntry[];
  /** CPU, percent: of a box, of all its cores; of a process, of one core; null: unknown */
  cpu_percent: number | null;
  /** resident memory, bytes; null: unknown */
  memory_bytes: number | null;
  /** crossings since the site's midnight, by line, direction and label */
  counts_today: CountToday[];
  /** what about the node needs a person, a sentence each */
  warnings: string[];
  /** when something last came from the node, Unix milliseconds; null: never */
  last_seen: number | null;
  /** the version of the agent */
  version: string;
  /** degrees Celsius; null: unknown */
  temperature: number | null;
  /** how full the box's memory is; null: unknown */
  memory_percent: number | null;
  /** how full the box's disk is; null: unknown */
  disk_percent: number | null;
  /** the site's name; empty: none */
  site: string;
  /** names of groups */
  groups: string[];
  /** the node's labels, as `floor=2` */
  labels: string[];
  /** how people call it */
  title: string;
  /** IANA time zone; empty: the centre's */
  timezone: string;
  /** what the box's owner lets the centre do: cameras */
  allows: string[];
  /** the node's configuration, wanted and applied */
  config: ConfigState;
}

/** A node in the fleet. `since`: when it came into its state; `title`: how people call it. `timezone`: in which its days and hours begin. `allows`: what the box's owner lets the centre do: "cameras", to add and change them. */
export interface NodeEntry {
  /** the node's name */
  node: string;
  /** in which state it is */
  state: "offline" | "online" | "stale";
  /** since when, Unix milliseconds; null: unknown, or from the beginning */
  since: number;
  /** cameras of the node */
  cameras: CameraEntry[];
  /** CPU, percent: of a box, of all its cores; of a process, of one core; null: unknown */
  cpu_percent: number | null;
  /** resident memory, bytes; null: unknown */
  memory_bytes: number | null;
  /** crossings since the site's midnight, by line, direction and label */
  counts_today: CountToday[];
  /** what about the node needs a person, a sentence each */
  warnings: string[];
  /** when something last came from the node, Unix milliseconds; null: never */
  last_seen: number | null;
  /** the version of the agent */
  version: string;
  /** degrees Celsius; null: unknown */
  temperature: number | null;
  /** how full the box's memory is; null: unknown */
  memory_percent: number | null;
  /** how full the box's disk is; null: unknown */
  disk_percent: number | null;
  /** the site's name; empty: none */
  site: string;
  /** names of groups */
  groups: string[];
  /** the node's labels, as `floor=2` */
  labels: string[];
  /** how people call it */
  title: string;
  /** IANA time zone; empty: the centre's */
  timezone: string;
  /** what the box's owner lets the centre do: cameras */
  allows: string[];
}

/** The nodes: how many are in which state; over those online their mean and highest figures. */
export interface NodesUse {
  /** nodes that are online */
  online: number;
  /** nodes that are offline */
  offline: number;
  /** nodes that say they are online and have not been heard for 150 s */
  stale: number;
  /** CPU, percent: of a box, of all its cores; of a process, of one core; null: unknown */
  cpu_percent: number | null;
  /** the highest CPU of a node online, percent */
  cpu_percent_most: number | null;
  /** resident memory, bytes; null: unknown */
  memory_bytes: number | null;
  /** the highest temperature of a node online, degrees Celsius; null: unknown */
  temperature_most: number | null;
  /** frames judged a second by all nodes online */
  frames_per_second: number | null;
  /** use of the GPUs of the nodes online that tell it, percent, their mean; null: none does */
  gpu_percent: number | null;
  /** use of the busiest GPU of a node online, percent; null: none tells it */
  gpu_percent_most: number | null;
  /** power of the nodes online whose board tells it, watts, added; null: none does */
  watts: number | null;
  /** the highest power of a node online, watts; null: none tells it */
  watts_most: number | null;
  /** joules for a count since the agent's start, mean of nodes online; null: unknown */
  joules_per_count: number | null;
}

/** An empty answer. */
export interface Nothing {
}

/** How many are in a zone, by its last minute: as it ended, on average, or at most. */
export interface Occupancy {
  /** which kind it is */
  kind: "occupancy";
  /** more than this; null: no upper limit */
  over?: number | null;
  /** fewer than this; null: no lower limit */
  under?: number | null;
  /** of a minute: as it ended, on average, or the most */
  measure?: "mean" | "now" | "peak";
  /** count only who stands */
  queue?: boolean;
}

/** A node is offline, or nothing has been heard of it for 150 s. */
export interface Offline {
  /** which kind it is */
  kind: "offline";
}

/** An order and what became of it: sent, done, refused or expired. Times are Unix ms. `reason`: why it was refused or has expired. `text`: what the node answered. `picture`: there is one. */
export interface Order {
  /** its id */
  id: string;
  /** the node's name */
  node: string;
  /** what is ordered; the node knows what it can do */
  verb: string;
  /** the camera's name on its box; empty: it is about the whole box, or several are added up */
  camera: string;
  /** the user's name */
  user: string;
  /** when, Unix milliseconds */
  at: number;
  /** when it ends, Unix milliseconds; null: never */
  expires: number;
  /** in which state it is */
  state: string;
  /** why, in a sentence; empty: all is well */
  reason: string;
  /** a sentence, or some, for people */
  text: string;
  /** there is a picture, at …/picture */
  picture: boolean;
}

/** An order. `verb`: snapshot, self-test, restart, logs, watch and so on; the node knows what it can do. `camera`: of which camera, where it is about one. `seconds`: how long, where that matters. `model`: which model of the node runs beside, by its name. `within`: after so many seconds it is not executed any more. */
export interface OrderBody {
  /** what is ordered; the node knows what it can do */
  verb: string;
  /** the camera's name on its box; empty: it is about the whole box, or several are added up */
  camera?: string;
  /** for so many seconds, where that matters */
  seconds?: number;
  /** whether pictures are asked for too */
  picture?: boolean;
  /** of `run-model`: which model of the node runs beside the camera's own, by its name */
  model?: string;
  /** after so many seconds it is not executed any more */
  within?: number;
}

/** The id of an order that was sent. */
export interface OrderId {
  /** its id */
  id: string;
}

/** Orders, the newest first. */
export interface OrderList {
  /** orders, the newest first */
  commands: Order[];
}

/** An outlet as it is written. */
export interface OutletBody {
  /** the outlet: a webhook, mail or MQTT */
  outlet: Webhook | Mail | Mqtt;
}

/** All outlets. Without the role admin, of a webhook's address only its host is shown. */
export interface Outlets {
  /** outlets by name */
  outlets: NamedOutlet[];
}

/** A switch by hand: to a profile (empty: to none) until then, Unix ms; None: until it is taken back. */
export interface Override {
  /** the profile's name; empty: none */
  profile: string;
  /** until when, Unix milliseconds; null: without end */
  until: number | null;
}

/** A place of an alert: since when it was so, and until when, 0 if it still is; how bad at worst. */
export interface Part {
  /** the node's name */
  node: string;
  /** the camera's name on its box; empty: it is about the whole box, or several are added up */
  camera: string;
  /** the line or zone; empty: it is about more than that */
  gate: string;
  /** a sentence, or some, for people */
  text: string;
  /** since when, Unix milliseconds; null: unknown, or from the beginning */
  since: number;
  /** until when, Unix milliseconds; null: without end */
  until: number;
  /** how bad it was at worst, where the condition has degrees; 0: the lowest */
  grade: number;
}

/** One's own password, and the new one. */
export interface PasswordChange {
  /** the password until now */
  old: string;
  /** the new password */
  new: string;
}

/** Where a node stands: its site, the groups it is in, its labels, and how people call it. */
export interface Place {
  /** the site's name; empty: none */
  site: string;
  /** names of groups */
  groups: string[];
  /** the node's labels, as `floor=2` */
  labels: string[];
  /** how people call it */
  title: string;
}

/** What changes of a node's place; what is left out stays. */
export interface PlaceBody {
  /** the site's name; empty: none */
  site?: string;
  /** names of groups */
  groups?: string[];
  /** the node's labels, as `floor=2` */
  labels?: string[];
  /** how people call it */
  title?: string;
}

/** Four points of the picture round a patch of the road, and where they lie on it in `metres`. Both must go round their patch one after the other, none of them on the line of two others. */
export interface Plane {
  /** corners, each x and y in fractions of the picture */
  points: [number, number][];
  /** where the four points lie on the road, metres */
  metres: [number, number][];
}

/** The road plane: four points round a patch of it, and where they lie on it in metres. */
export interface PlaneBody {
  /** corners, each x and y in fractions of the picture */
  points: [number, number][];
  /** where the four points lie on the road, metres */
  metres: [number, number][];
}

/** A profile: which settings of every camera it replaces, on which nodes, when. `sites`, `groups`: only nodes in one of them; empty: all. No `hours`: by hand only. */
export interface ProfileDocument {
  /** how people call it */
  title?: string;
  /** settings of a camera; in a group or a profile, those that are named */
  settings?: Record<string, unknown>;
  /** names of sites */
  sites?: string[];
  /** names of groups */
  groups?: string[];
  /** when it runs by the clock */
  hours?: Hours[];
}

/** All profiles by name. */
export interface ProfileList {
  /** profiles by name */
  profiles: ProfileRow[];
}

/** A profile, and how many nodes run it now. */
export interface ProfileRow {
  /** how people call it */
  title: string;
  /** settings of a camera; in a group or a profile, those that are named */
  settings: Record<string, unknown>;
  /** names of sites */
  sites: string[];
  /** names of groups */
  groups: string[];
  /** when it runs by the clock */
  hours: Hours[];
  /** the profile's name; empty: none */
  profile: string;
  /** how many nodes run it now */
  running: number;
}

/** Why a request was refused: a word for programs, a sentence for people, at times more for programs. */
export interface Reason {
  /** why, in one word for programs */
  code: string;
  /** why, in a sentence for people */
  message: string;
  /** what a program may need to know beside the code */
  details?: Record<string, unknown> | null;
}

/** What was erased, by collection; `left`: how much was found after, 0. The audit log has it too. */
export interface Receipt {
  /** the node's name */
  node: string;
  /** when, Unix milliseconds */
  at: number;
  /** since when, Unix milliseconds; null: unknown, or from the beginning */
  since: number | null;
  /** until when, Unix milliseconds; null: without end */
  until: number | null;
  /** how many documents were erased, by collection */
  erased: Record<string, number>;
  /** how many are left */
  left: number;
}

/** Another name for a node. */
export interface RenameBody {
  /** the new name */
  to: string;
}

/** Renames, the oldest first. One that is done is no more in it: the node has its new name then. */
export interface RenameList {
  /** renames, the oldest first */
  renames: RenameRow[];
}

/** A rename: from which name to which, how far it is (asked, moving, refused), and why it was refused. */
export interface RenameRow {
  /** the name until now */
  was: string;
  /** the node's name */
  node: string;
  /** when, Unix milliseconds */
  at: number;
  /** who did it; empty: the box's owner */
  by: string;
  /** in which state it is */
  state: string;
  /** why, in a sentence; empty: all is well */
  reason: string;
}

/** Samples of a box, oldest first. */
export interface Resources {
  /** the rows */
  rows: Record<string, unknown>[];
}

/** What the one who logged in may do: viewer < operator < admin. */
export interface Role {
  /** viewer, operator or admin */
  role: "viewer" | "operator" | "admin";
}

/** A rule as it is kept. `version` grows with each change. */
export interface Rule {
  /** its name */
  name: string;
  /** what is looked for, told apart by its kind */
  condition: Offline | CameraCondition | Blind | Moved | Dark | Unfocused | Dirty | Flickering | Frozen | Heat | DiskCondition | Storage | DriftCondition | Clone | Count | Unusual | Silent | Occupancy | ShareOf;
  /** where the rule applies */
  scope: Scope;
  /** info, warning or critical */
  severity: "critical" | "info" | "warning";
  /** names of the outlets that are told */
  outlets: string[];
  /** for how long the condition has to hold; null: as its kind says */
  hold_seconds: number | null;
  /** whether its end is notified too */
  tell_closed: boolean;
  /** whether the rule is looked at */
  enabled: boolean;
  /** its id */
  id: string;
  /** grows with each change */
  version: number;
  /** when it last changed, Unix milliseconds */
  changed: number;
  /** who last changed it */
  changed_by: string;
}

/** A rule as it is written. `hold_seconds`: null means as its kind says. */
export interface RuleBody {
  /** its name */
  name: string;
  /** what is looked for, told apart by its kind */
  condition: Offline | CameraCondition | Blind | Moved | Dark | Unfocused | Dirty | Flickering | Frozen | Heat | DiskCondition | Storage | DriftCondition | Clone | Count | Unusual | Silent | Occupancy | ShareOf;
  /** where the rule applies */
  scope?: Scope;
  /** info, warning or critical */
  severity?: "critical" | "info" | "warning";
  /** names of the outlets that are told */
  outlets?: string[];
  /** for how long the condition has to hold; null: as its kind says */
  hold_seconds?: number | null;
  /** whether its end is notified too */
  tell_closed?: boolean;
  /** whether the rule is looked at */
  enabled?: boolean;
}

/** What is to change of a rule. `version`: the one that was read; if another came since, it is refused. */
export interface RulePatch {
  /** its name */
  name?: string;
  /** what is looked for, told apart by its kind */
  condition?: Offline | CameraCondition | Blind | Moved | Dark | Unfocused | Dirty | Flickering | Frozen | Heat | DiskCondition | Storage | DriftCondition | Clone | Count | Unusual | Silent | Occupancy | ShareOf;
  /** where the rule applies */
  scope?: Scope;
  /** info, warning or critical */
  severity?: "critical" | "info" | "warning";
  /** names of the outlets that are told */
  outlets?: string[];
  /** for how long the condition has to hold; null: as its kind says */
  hold_seconds?: number | null;
  /** whether its end is notified too */
  tell_closed?: boolean;
  /** whether the rule is looked at */
  enabled?: boolean;
  /** grows with each change */
  version?: number;
}

/** All rules. */
export interface Rules {
  /** rules by name */
  rules: Rule[];
}

/** Where a rule applies; an empty list means everywhere. `*` in a name stands for any letters. `sites`, `groups` and `labels` are those of the nodes. */
export interface Scope {
  /** names of nodes, * for any letters; empty: all */
  nodes?: string[];
  /** names of cameras, * for any letters; empty: all */
  cameras?: string[];
  /** names of lines, * for any letters; empty: all */
  lines?: string[];
  /** names of zones, * for any letters; empty: all */
  zones?: string[];
  /** only nodes of these sites, * for any letters; empty: all */
  sites?: string[];
  /** only nodes of these groups, * for any letters; empty: all */
  groups?: string[];
  /** only nodes with these labels, * for any letters; empty: all */
  labels?: string[];
}

/** A camera and the version of its settings that somebody saw. */
export interface Seen {
  /** the node's name */
  node: string;
  /** the camera's name on its box; empty: it is about the whole box, or several are added up */
  camera: string;
  /** the version that was seen */
  version: number;
}

/** What was sent to a camera, or would be; `refused`: why it was not. `seen`: the version of the camera's settings that the difference was made from. */
export interface Sent {
  /** the node's name */
  node: string;
  /** the camera's name on its box; empty: it is about the whole box, or several are added up */
  camera: string;
  /** the version of the document that was sent; null: nothing was */
  version: number | null;
  /** what changes, setting by setting */
  difference: Differ[];
  /** why it was not sent; empty: it was */
  refused: string;
  /** the version of the settings that the difference was made from */
  seen: number;
}

/** What was sent to each camera, or would be. */
export interface SentMany {
  /** the rows */
  rows: Sent[];
}

/** Somebody who is logged in. `current`: it is this request's own. */
export interface Session {
  /** its id */
  id: string;
  /** the user's name */
  user: string;
  /** viewer, operator or admin */
  role: string;
  /** when it was made, Unix milliseconds; null: by a version that did not note it */
  created: number | null;
  /** when it was last used, Unix milliseconds; null: unknown */
  seen: number | null;
  /** when it ends, Unix milliseconds; null: never */
  expires: number | null;
  /** the network address from which it was done */
  address: string;
  /** the browser or program, as it names itself */
  agent: string;
  /** it is the session of this request */
  current: boolean;
}

/** Sessions, the newest first. */
export interface Sessions {
  /** sessions, the newest first */
  sessions: Session[];
}

/** A camera's settings as they are wanted, and what became of them. `version`: at which they last changed; it is the `ETag`. `running`: they, or the profile in their place, are what the node reports. `refused`: what of them has no effect on the node -> why. */
export interface Settings {
  /** the node's name */
  node: string;
  /** the camera's name on its box; empty: it is about the whole box, or several are added up */
  camera: string;
  /** grows with each change */
  version: number;
  /** settings of a camera; in a group or a profile, those that are named */
  settings: CameraSettings;
  /** the version of the document that is wanted */
  wanted: number;
  /** the version of the document that the node runs */
  applied: number;
  /** the node reports that it runs this */
  running: boolean;
  /** why not, in a sentence; empty: nothing is wrong */
  error: string;
  /** what has no effect on the node -> why, by path */
  refused: Record<string, string>;
  /** since when, Unix milliseconds; null: unknown, or from the beginning */
  since: number | null;
  /** who did it; empty: the box's owner */
  by: string;
  /** the profile's name; empty: none */
  profile: string;
}

/** Settings for many cameras: those that are named replace the old ones, the others stay. `seen`: what a dry run showed; a camera that is not as it was then, or was not there, is refused. */
export interface SettingsForMany {
  /** settings of a camera; in a group or a profile, those that are named */
  settings: Record<string, unknown>;
  /** only cameras of these names; empty: all of each node */
  cameras?: string[];
  /** say what would change, and change nothing */
  dry_run?: boolean;
  /** what a dry run showed: what is otherwise since then is refused */
  seen?: Seen[];
  /** the site's name; empty: none */
  site?: string;
  /** the group's name */
  group?: string;
  /** only nodes with each of these labels */
  labels?: string[];
  /** names of nodes */
  nodes?: string[];
  /** all nodes that one may see */
  everywhere?: boolean;
}

/** A label's percentage of the objects whose label is known, where they are `people` at least. */
export interface ShareOf {
  /** which kind it is */
  kind: "share";
  /** more than this; null: no upper limit */
  over?: number | null;
  /** fewer than this; null: no lower limit */
  under?: number | null;
  /** whose share is looked at */
  label?: string;
  /** where at least so many objects were seen */
  people?: number;
  /** of so many last minutes */
  minutes?: number;
}

/** A label's share of a bucket's objects, with its 95 % interval after Wilson, `low` to `high`. `total`: the objects whose label is known; for "unknown" itself, all objects. Null where there are none. */
export interface ShareRow {
  /** the beginning of the bucket or series, Unix milliseconds */
  start: number;
  /** the camera's name on its box; empty: it is about the whole box, or several are added up */
  camera: string;
  /** what the object is, by the vote of its detections; unknown: the vote is open */
  label: string;
  /** how many */
  count: number;
  /** objects whose label is known; for unknown itself, all objects */
  total: number;
  /** share of the objects, 0 to 1; null: nothing was seen */
  share: number | null;
  /** lower end of the share's 95 % interval; null: nothing was seen */
  low: number | null;
  /** upper end of the share's 95 % interval; null: nothing was seen */
  high: number | null;
}

/** Shares by bucket. */
export interface Shares {
  /** the rows */
  rows: ShareRow[];
}

/** A line counted nothing in its last whole hour, which was watched, where something always is. `least`: the fewest of the same weekday's hours before. */
export interface Silent {
  /** which kind it is */
  kind: "silent";
  /** with how many weeks before it is compared */
  weeks?: number;
  /** where at least so many an hour are usual */
  least?: number;
}

/** What belongs to the place. */
export interface Site {
  /** IANA time zone; empty: the centre's */
  timezone: string;
}

/** A site: what it is called, its time zone (empty: the centre's), where it lies (WGS 84, degrees). */
export interface SiteDocument {
  /** how people call it */
  title?: string;
  /** IANA time zone; empty: the centre's */
  timezone?: string;
  /** WGS 84, degrees; null: unknown */
  latitude?: number | null;
  /** WGS 84, degrees; null: unknown */
  longitude?: number | null;
}

/** A site. `nodes`: how many stand there. */
export interface SiteRow {
  /** how people call it */
  title: string;
  /** IANA time zone; empty: the centre's */
  timezone: string;
  /** WGS 84, degrees; null: unknown */
  latitude: number | null;
  /** WGS 84, degrees; null: unknown */
  longitude: number | null;
  /** the site's name; empty: none */
  site: string;
  /** how many nodes stand there */
  nodes: number;
}

/** All sites that the one who asks may see. */
export interface Sites {
  /** sites by name */
  sites: SiteRow[];
}

/** How fast a line was crossed: how often that is known, mean, median and 85th percentile, km/h. */
export interface SpeedRow {
  /** the camera's name on its box; empty: it is about the whole box, or several are added up */
  camera: string;
  /** the line's name */
  line: string;
  /** AB: from the left hand to the right of who walks along the line as it was drawn; BA: back */
  direction: "AB" | "BA";
  /** what the object is, by the vote of its detections; unknown: the vote is open */
  label: string;
  /** how many */
  count: number;
  /** mean speed, km/h */
  mean: number;
  /** median speed, km/h */
  p50: number;
  /** 85th percentile of the speed, km/h */
  p85: number;
}

/** Speeds by line, direction and label. */
export interface Speeds {
  /** the rows */
  rows: SpeedRow[];
}

/** The database's disk has little room left: single events go before their time, or nothing is stored. */
export interface Storage {
  /** which kind it is */
  kind: "storage";
}

/** To which profile by hand (empty: to none), and until when (Unix ms; null: until it is taken back). */
export interface SwitchBody {
  /** the profile's name; empty: none */
  profile?: string;
  /** until when, Unix milliseconds; null: without end */
  until?: number | null;
}

/** Many nodes to be switched by hand; `back`: to the clock instead. */
export interface SwitchMany {
  /** the profile's name; empty: none */
  profile?: string;
  /** until when, Unix milliseconds; null: without end */
  until?: number | null;
  /** give the choice back to the clock */
  back?: boolean;
  /** the site's name; empty: none */
  site?: string;
  /** the group's name */
  group?: string;
  /** only nodes with each of these labels */
  labels?: string[];
  /** names of nodes */
  nodes?: string[];
  /** all nodes that one may see */
  everywhere?: boolean;
}

/** Which profile runs on a node, and what was switched by hand (null: nothing, the clock says it). */
export interface Switched {
  /** the node's name */
  node: string;
  /** the profile's name; empty: none */
  profile: string;
  /** what was switched by hand; null: the clock decides */
  by_hand: Override | null;
}

/** What runs on each node now. */
export interface SwitchedMany {
  /** the rows */
  rows: Switched[];
}

/** Resource use of every part, oldest first, a row each `step_seconds`; `notes`: what cannot be known. */
export interface System {
  /** when, Unix milliseconds */
  at: number;
  /** a row each so many seconds */
  step_seconds: number;
  /** the rows */
  rows: SystemRow[];
  /** the disk of the database */
  disk: DiskUse;
  /** how long what is kept, and what room there is for it */
  keeping: Keeping;
  /** what cannot be known, and why */
  notes: string[];
}

/** One moment: what each part used; None where it was not measured or did not answer. */
export interface SystemRow {
  /** when, Unix milliseconds */
  at: number;
  /** use of the aggregators; null: not measured */
  aggregators: AggregatorUse | null;
  /** what the broker says of itself; null: it says nothing */
  broker: BrokerUse | null;
  /** use of the database; null: not measured */
  database: DatabaseUse | null;
  /** use of all nodes online; null: not measured */
  nodes: NodesUse | null;
}

/** Tallies by bucket. */
export interface Tallies {
  /** the rows */
  rows: TallyRow[];
}

/** A camera's bucket: what was seen of the time, objects that were new in it, frames, latency. `unseen`: spans (from, to) in which nothing was seen, blind or never told of. A bucket of which nothing at all was told has no row and is unseen as a whole. */
export interface TallyRow {
  /** the beginning of the bucket or series, Unix milliseconds */
  start: number;
  /** the camera's name on its box; empty: it is about the whole box, or several are added up */
  camera: string;
  /** seconds of the bucket in which frames were looked at */
  watched_seconds: number;
  /** seconds in which nothing was seen, by reason */
  blind: Record<string, number>;
  /** objects that were new, by label */
  objects: Record<string, number>;
  /** frames that came from the camera */
  captured: number;
  /** frames that the model judged */
  inferred: number;
  /** frames that were not judged */
  dropped: number;
  /** median age of a frame when it was counted, ms */
  p50_ms: number;
  /** 95th percentile of the age of a frame when it was counted, ms; null: unknown */
  p95_ms: number;
  /** spans (from, to) in which nothing was seen, Unix milliseconds */
  unseen: [number, number][];
}

/** How an outlet took a test message. */
export interface TestSent {
  /** the outlet's name */
  outlet: string;
  /** whether it was taken */
  ok: boolean;
  /** why not, in a sentence; empty: nothing is wrong */
  error: string;
}

/** What a rule would find now (`unknown`: where that cannot be said), and how its outlets took a test. */
export interface Tested {
  /** where the condition holds now */
  matches: Match[];
  /** at how many places it cannot be said */
  unknown: number;
  /** how the outlets took a test */
  sent: TestSent[];
}

/** A program's token. `token`: the secret itself, only in the answer that made it. */
export interface Token {
  /** its id */
  id: string;
  /** its name */
  name: string;
  /** viewer, operator or admin */
  role: string;
  /** names of sites */
  sites: string[];
  /** names of groups */
  groups: string[];
  /** when it was made, Unix milliseconds; null: by a version that did not note it */
  created: number | null;
  /** when it ends, Unix milliseconds; null: never */
  expires: number | null;
  /** when it was last used, Unix milliseconds; null: never */
  last_used: number | null;
  /** who did it; empty: the box's owner */
  by: string;
  /** the secret; only in the answer that made it */
  token: string;
}

/** All tokens, the newest first. */
export interface Tokens {
  /** tokens, the newest first */
  tokens: Token[];
}

/** Objects that went from one gate (`line:AB`, or a zone) to another; the median of their seconds. `seconds_p50` is null where the tracks have expired. */
export interface TripRow {
  /** the camera's name on its box; empty: it is about the whole box, or several are added up */
  camera: string;
  /** the gate that came first: `line:AB`, or a zone */
  origin: string;
  /** the gate that came later: `line:AB`, or a zone */
  destination: string;
  /** what the object is, by the vote of its detections; unknown: the vote is open */
  label: string;
  /** how many */
  count: number;
  /** median of the seconds between the gates; null: the tracks have expired */
  seconds_p50: number | null;
}

/** Trips, the most frequent first. */
export interface Trips {
  /** the rows */
  rows: TripRow[];
}

/** A camera's picture is not sharp any more. */
export interface Unfocused {
  /** which kind it is */
  kind: "unfocused";
}

/** A line's last whole hour differs from the median of the same weekday's hours before. `percent`: by how much; `least`: how many an hour are usual at least. Hours are compared by watched time. */
export interface Unusual {
  /** which kind it is */
  kind: "unusual";
  /** the limit, percent */
  percent?: number;
  /** which way it differs */
  side?: "both" | "fewer" | "more";
  /** with how many weeks before it is compared */
  weeks?: number;
  /** where at least so many an hour are usual */
  least?: number;
}

/** A user. `sites`, `groups`: to whose nodes the role is limited; both empty: all nodes. */
export interface User {
  /** the user's name */
  user: string;
  /** viewer, operator or admin */
  role: string;
  /** names of sites */
  sites: string[];
  /** names of groups */
  groups: string[];
  /** when it was made, Unix milliseconds; null: by a version that did not note it */
  created: number | null;
  /** when this user last logged in, Unix milliseconds; null: never */
  last_login: number | null;
}

/** What changes of a user; what is left out stays. */
export interface UserChange {
  /** the password */
  password?: string;
  /** viewer, operator or admin */
  role?: "admin" | "operator" | "viewer";
  /** names of sites */
  sites?: string[];
  /** names of groups */
  groups?: string[];
}

/** All users by name. */
export interface Users {
  /** users by name */
  users: User[];
}

/** The version of the document that was sent to the node. */
export interface Version {
  /** grows with each change */
  version: number;
}

/** A node that was added and has not come yet; its line is good until then. */
export interface Waiting {
  /** the node's name */
  node: string;
  /** until when, Unix milliseconds; null: without end */
  until: number;
}

/** A box that waits for an administrator's word. */
export interface WaitingBox {
  /** the node's name */
  node: string;
  /** the id of the invitation with whose code the box came */
  invitation: string;
  /** since when, Unix milliseconds; null: unknown, or from the beginning */
  since: number;
}

/** Who waits, the oldest first. */
export interface WaitingBoxes {
  /** who waits */
  waiting: WaitingBox[];
}

/** POST to an address. `secret`: empty for a new one, which the answer shows once. */
export interface Webhook {
  /** which kind it is */
  kind: "webhook";
  /** where messages are posted, http or https */
  url: string;
  /** with which messages are signed, whsec_ and base64; empty: one is made */
  secret?: string;
}

/** A polygon of 3 to 16 points in which stays are measured. */
export interface Zone {
  /** corners, each x and y in fractions of the picture */
  points: [number, number][];
  /** the point of a box that stands for the object: the middle of its lower edge, or its centre */
  anchor?: "bottom" | "center";
  /** only these labels count; empty: all */
  labels?: string[];
  /** grows with each change */
  version?: number;
}

/** A zone: a polygon whose last point is joined to its first. */
export interface ZoneBody {
  /** corners, each x and y in fractions of the picture */
  points: [number, number][];
  /** the point of a box that stands for the object: the middle of its lower edge, or its centre */
  anchor?: "bottom" | "center";
  /** only these labels count; empty: all */
  labels?: string[];
}

/** A zone's bucket: who came in and left, how full it and its queue were, how long stays were. Means are over the watched time; they and the peaks are null where nothing was watched. `stays`: how many ended whose length is known; `dwell_p50`: the median of these, seconds. */
export interface ZoneRow {
  /** the beginning of the bucket or series, Unix milliseconds */
  start: number;
  /** the camera's name on its box; empty: it is about the whole box, or several are added up */
  camera: string;
  /** the zone's name */
  zone: string;
  /** grows with each change */
  version: number;
  /** how many came into the zone */
  entered: number;
  /** how many left the zone */
  left: number;
  /** how many were in the zone on average; null: nothing was watched */
  occupancy_mean: number | null;
  /** how many were in the zone at most; null: nothing was watched */
  occupancy_peak: number | null;
  /** how many stood in the zone on average; null: nothing was watched */
  queue_mean: number | null;
  /** how many stood in the zone at most; null: nothing was watched */
  queue_peak: number | null;
  /** how many stays ended whose length is known */
  stays: number;
  /** median length of stays, seconds; null: none is known */
  dwell_p50: number | null;
  /** seconds of the bucket in which frames were looked at */
  watched_seconds: number;
}

/** Zones by bucket. */
export interface Zones {
  /** the rows */
  rows: ZoneRow[];
}
