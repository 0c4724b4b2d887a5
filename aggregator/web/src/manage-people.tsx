// Who may come in: the first administrator, users, who is logged in, tokens of programs.
import { useState } from "preact/hooks";
import { useCell } from "./cell";
import { ago } from "./format";
import { manage, type RoleName } from "./manage-api";
import type { Token } from "./types";
import { Choose, Field, Form, Part, Problem, Sure, useDo, useRead, words } from "./manage-parts";
import { now, whoAmI } from "./session";

const ROLES: readonly RoleName[] = ["viewer", "operator", "admin"];

/** Shown as long as nobody has a name and a password. */
export function FirstAdmin() {
  const [act, problem] = useDo(() => void whoAmI());
  return (
    <Part title="Make the first administrator" id="first-admin">
      <p>There are no users yet. The token keeps working.</p>
      <Form
        button="Add"
        id="first-admin-form"
        send={(text) =>
          act(manage.addUser({ user: text("user"), password: text("password"), role: "admin" }))
        }
      >
        <Field label="Name" name="user" required />
        <Field label="Password, 8 characters or more" name="password" type="password" required />
      </Form>
      <Problem text={problem} />
    </Part>
  );
}

function Users() {
  const [users, again, unread] = useRead(manage.users);
  const [act, problem] = useDo(again);
  const at = useCell(now);
  return (
    <Part title="Users" id="users">
      <Problem text={unread || problem} />
      <table class="manage-table">
        <thead>
          <tr>
            <th>Name</th>
            <th>Role</th>
            <th>Only sites, groups</th>
            <th>Last login</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {(users ?? []).map((user) => (
            <tr key={user.user} data-testid="user" data-user={user.user}>
              <td>{user.user}</td>
              <td>
                <select
                  aria-label={`Role of ${user.user}`}
                  value={user.role}
                  onChange={(event) =>
                    act(manage.changeUser(user.user, { role: event.currentTarget.value as RoleName }))
                  }
                >
                  {ROLES.map((role) => (
                    <option key={role}>{role}</option>
                  ))}
                </select>
              </td>
              <td>{[...user.sites, ...user.groups].join(", ") || "all"}</td>
              <td class="faint">{user.last_login ? ago(user.last_login, at) : "never"}</td>
              <td>
                <Sure
                  text="Remove"
                  ask={`Remove ${user.user}`}
                  act={() => act(manage.removeUser(user.user))}
                />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <Form
        button="Add"
        id="add-user"
        send={(text) =>
          act(
            manage.addUser({
              user: text("user"),
              password: text("password"),
              role: text("role"),
              sites: words(text("sites")),
              groups: words(text("groups")),
            }),
          )
        }
      >
        <Field label="Name" name="user" required />
        <Field label="Password" name="password" type="password" required />
        <Choose label="Role" name="role" options={ROLES} />
        <Field label="Only sites" name="sites" hint="all" />
        <Field label="Only groups" name="groups" hint="all" />
      </Form>
    </Part>
  );
}

function Sessions() {
  const [sessions, again, unread] = useRead(manage.sessions);
  const [act, problem] = useDo(again);
  const at = useCell(now);
  return (
    <Part title="Logged in" id="sessions">
      <Problem text={unread || problem} />
      <ul class="manage-list">
        {(sessions ?? []).map((row) => (
          <li key={row.id} class="row wrap">
            <b>{row.user}</b>
            <span class="faint">
              {row.address}, {row.seen ? ago(row.seen, at) : ""}
              {row.current && ", this one"}
            </span>
            <span class="grow faint note">{row.agent}</span>
            <Sure text="End" ask="End it" act={() => act(manage.endSession(row.id))} />
          </li>
        ))}
      </ul>
    </Part>
  );
}

function Tokens() {
  const [tokens, again, unread] = useRead(manage.tokens);
  const [made, setMade] = useState<Token | null>(null);
  const [act, problem] = useDo(again);
  const at = useCell(now);
  return (
    <Part title="Tokens for programs" id="tokens">
      <Problem text={unread || problem} />
      {made && (
        <p class="notice">
          Shown once, for {made.name}: <code>{made.token}</code>
        </p>
      )}
      <ul class="manage-list">
        {(tokens ?? []).map((row) => (
          <li key={row.id} class="row wrap">
            <b>{row.name}</b>
            <span>{row.role}</span>
            <span class="grow faint">
              {row.last_used ? `used ${ago(row.last_used, at)}` : "never used"}
              {row.expires && (row.expires < at ? ", has ended" : "")}
            </span>
            <Sure text="Remove" ask={`Remove ${row.name}`} act={() => act(manage.removeToken(row.id))} />
          </li>
        ))}
      </ul>
      <Form
        button="Add"
        id="add-token"
        send={(text) =>
          act(
            manage
              .addToken({ name: text("name"), role: text("role"), days: Number(text("days")) })
              .then(setMade),
          )
        }
      >
        <Field label="For" name="name" required />
        <Choose label="Role" name="role" options={ROLES} />
        <Field label="Days" name="days" type="number" value="90" />
      </Form>
    </Part>
  );
}

export function People({ admin }: { admin: boolean }) {
  return (
    <>
      {admin && <Users />}
      <Sessions />
      {admin && <Tokens />}
    </>
  );
}
