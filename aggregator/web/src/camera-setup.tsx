// The cameras of a box: add one, change where it is, take one away. For an administrator, where the owner allows it.
import { useState } from "preact/hooks";
import { ApiError } from "./api";
import { manage } from "./manage-api";
import { Choose, Field, Form, Part, Problem, Sure } from "./manage-parts";
import { answered } from "./orders";
import type { NodeEntry } from "./types";

const NEW = "a new camera";

export function CameraSetup({ node }: { node: NodeEntry & { allows?: string[] } }) {
  const [told, setTold] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const allowed = node.allows?.includes("cameras");
  const send = (work: Promise<{ id: string }>) => {
    setBusy(true);
    setTold("");
    setProblem("");
    work
      .then(({ id }) => answered(node.node, id))
      .then(setTold, (error: ApiError) => setProblem(error.message))
      .finally(() => setBusy(false));
  };
  return (
    <Part title="Cameras of this box" id="camera-setup">
      {!allowed && (
        <p class="faint">
          The box's owner says where its cameras are. To do it here, let them write <code>[camera]</code>{" "}
          <code>allow_from_centre = true</code> into the box's agent.toml, and run{" "}
          <code>sudo systemctl reload gb-agent</code>.
        </p>
      )}
      {allowed && (
        <>
          <ul class="manage-list">
            {node.cameras.map((camera) => (
              <li key={camera.camera} class="row wrap" data-testid="own-camera">
                <b>{camera.camera}</b>
                <span class="grow faint">
                  {camera.source} · {camera.model}
                </span>
                {camera.from_centre && (
                  <Sure
                    text="Remove"
                    ask={`Remove ${camera.camera}`}
                    act={() => send(manage.removeCamera(node.node, camera.camera))}
                  />
                )}
              </li>
            ))}
          </ul>
          <Form
            button={busy ? "The box is testing it…" : "Test and apply"}
            id="put-camera"
            send={(text) => {
              const chosen = text("camera");
              const name = chosen === NEW ? text("name") : chosen;
              const model = text("model");
              const source = text("source");
              send(
                manage.putCamera(node.node, name || "cam1", {
                  ...(source ? { source } : {}),
                  ...(model ? { model } : {}),
                }),
              );
            }}
          >
            <Choose
              label="Camera"
              name="camera"
              options={[NEW, ...node.cameras.map((camera) => camera.camera)]}
              value={NEW}
            />
            <Field label="Name of the new camera" name="name" hint="cam1" />
            <Field label="Source address" name="source" hint="rtsp://user:password@camera/1" />
            <Field label="Model" name="model" hint="traffic" />
          </Form>
          <p class="faint">
            The box tries it first; then this camera alone restarts, and the others go on. The address is kept
            on the box alone, and is never shown again with its password.
          </p>
        </>
      )}
      <Problem text={problem} />
      {told && (
        <p class="notice" data-testid="camera-told">
          {told}
        </p>
      )}
    </Part>
  );
}
