// Which pictures left the box, and the picture of a camera that shows nobody.
import { useEffect, useState } from "preact/hooks";
import { ROOT, request, type ApiError } from "./api";
import type { Departure, Order } from "./types";

const READ_AGAIN_MS = 15_000;
const ASK_AGAIN_MS = 500;

const WAYS: Record<string, string> = {
  preview: "this page",
  page: "the box’s page",
  rtsp: "RTSP",
  snapshot: "a single picture",
  empty: "without people",
};

const of = (node: string): string => `/nodes/${encodeURIComponent(node)}`;

/** Order the picture that shows nobody; its address, or an error in words. */
async function orderEmpty(node: string, camera: string): Promise<string> {
  const { id } = await request<{ id: string }>("POST", `${of(node)}/commands`, { verb: "empty", camera });
  const place = `${of(node)}/commands/${id}`;
  for (;;) {
    const order = await request<Order>("GET", place);
    if (order.state === "done") return `${ROOT}${place}/picture`;
    if (order.state !== "sent") throw new Error(order.reason);
    await new Promise((resolve) => window.setTimeout(resolve, ASK_AGAIN_MS));
  }
}

function Empty({ node, camera }: { node: string; camera: string }) {
  const [address, setAddress] = useState("");
  const [said, setSaid] = useState("");
  const ask = () => {
    setSaid("Asking the box …");
    orderEmpty(node, camera).then(
      (found) => {
        setAddress(found);
        setSaid("");
      },
      (error: Error) => setSaid(error.message),
    );
  };
  return (
    <div>
      <button type="button" data-testid="show-empty" onClick={address ? () => setAddress("") : ask}>
        {address ? "Hide the picture without people" : `Show ${camera} without people`}
      </button>
      {said && <p role="status">{said}</p>}
      {address && <img class="without-people" src={address} alt={`${camera}, the median of a minute`} />}
    </div>
  );
}

export function LeftPictures({
  node,
  camera,
  pictures,
}: {
  node: string;
  camera: string;
  pictures: boolean;
}) {
  const [rows, setRows] = useState<Departure[]>([]);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    const read = () =>
      request<{ rows: Departure[] }>("GET", `${of(node)}/pictures?limit=20`).then(
        (found) => {
          setRows(found.rows);
          setProblem("");
        },
        (error: ApiError) => setProblem(error.message),
      );
    void read();
    const timer = window.setInterval(() => void read(), READ_AGAIN_MS);
    return () => window.clearInterval(timer);
  }, [node]);
  return (
    <section class="panel" data-testid="left-pictures">
      <h2>Pictures that left the box</h2>
      {pictures && <Empty key={camera} node={node} camera={camera} />}
      {problem && <p role="alert">{problem}</p>}
      {rows.length === 0 && !problem && <p class="empty">None so far.</p>}
      {rows.length > 0 && (
        <table class="manage-table">
          <thead>
            <tr>
              <th>From</th>
              <th>Camera</th>
              <th>For</th>
              <th>By</th>
              <th>Pictures</th>
              <th>Faces</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={`${row.start} ${row.camera} ${row.way} ${row.who}`}>
                <td class="faint">{new Date(row.start).toLocaleString()}</td>
                <td>{row.camera}</td>
                <td>{row.who || row.role}</td>
                <td>{WAYS[row.way] ?? row.way}</td>
                <td>{row.pictures}</td>
                <td>{row.manner}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
