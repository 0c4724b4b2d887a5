// Who did what, newest first, searched by any word of it.
import { useEffect, useState } from "preact/hooks";
import type { ApiError } from "./api";
import { manage } from "./manage-api";
import type { AuditEntry } from "./types";
import { Part, Problem } from "./manage-parts";
import { nodeHref } from "./router";

export function Audit() {
  const [text, setText] = useState("");
  const [rows, setRows] = useState<AuditEntry[]>([]);
  const [more, setMore] = useState(false);
  const [problem, setProblem] = useState("");
  const read = (after: string) =>
    manage.audit(text, after).then(
      (found) => {
        setRows(after ? [...rows, ...found] : found);
        setMore(found.length === 100);
        setProblem("");
      },
      (error: ApiError) => setProblem(error.message),
    );
  useEffect(() => {
    const soon = window.setTimeout(() => void read(""), 200);
    return () => window.clearTimeout(soon);
  }, [text]);
  return (
    <Part title="Who did what" id="audit">
      <input
        type="search"
        aria-label="Search"
        placeholder="A person, a node, an action"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <Problem text={problem} />
      <table class="manage-table">
        <thead>
          <tr>
            <th>When</th>
            <th>Who</th>
            <th>What</th>
            <th>Where</th>
            <th>From</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id} data-testid="audit-row">
              <td class="faint">{new Date(row.at).toLocaleString()}</td>
              <td>{row.user}</td>
              <td>
                {row.action} {row.what}
              </td>
              <td>{row.node && <a href={nodeHref(row.node)}>{row.node}</a>}</td>
              <td class="faint">{row.address}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {more && (
        <button type="button" onClick={() => void read(rows[rows.length - 1]!.id)}>
          Older ones
        </button>
      )}
    </Part>
  );
}
