// What a box looks into for some minutes: what its confidence is worth, and how another of its models would count.
import { useState } from "preact/hooks";
import type { ApiError } from "./api";
import { manage } from "./manage-api";
import { Choose, Field, Form, Part, Problem } from "./manage-parts";
import { answered } from "./orders";
import type { NodeEntry } from "./types";

const SECONDS = ["20", "60", "120", "300", "600"];
const PATIENCE_MS = 90_000;

interface Study {
  verb: "calibrate" | "run-model";
  camera: string;
  seconds: number;
  model?: string;
}

export function Studies({ node, isAdmin }: { node: NodeEntry; isAdmin: boolean }) {
  const [told, setTold] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState("");
  const order = (study: Study) => {
    setBusy(`The box observes for ${study.seconds} seconds…`);
    setTold("");
    setProblem("");
    manage
      .give(node.node, study)
      .then(({ id }) => answered(node.node, id, study.seconds * 1000 + PATIENCE_MS))
      .then(setTold)
      .catch((error: ApiError) => setProblem(error.message))
      .finally(() => setBusy(""));
  };
  const cameras = node.cameras.map((camera) => camera.camera);
  const common = (
    <>
      <Choose label="Camera" name="camera" options={cameras} value={cameras[0] ?? ""} />
      <Choose label="Seconds" name="seconds" options={SECONDS} value="60" />
    </>
  );
  return (
    <Part title="Calibrate and compare" id="studies">
      <p class="faint">
        The box observes while it counts, and changes nothing: how well its confidence threshold fits this
        camera
        {isAdmin && ", or how another of its models would have counted the same pictures"}.
      </p>
      <Form
        button="Calibrate"
        id="calibrate"
        send={(text) =>
          order({ verb: "calibrate", camera: text("camera"), seconds: Number(text("seconds")) })
        }
      >
        {common}
      </Form>
      {isAdmin && (
        <Form
          button="Compare"
          id="run-model"
          send={(text) =>
            order({
              verb: "run-model",
              camera: text("camera"),
              seconds: Number(text("seconds")),
              model: text("model"),
            })
          }
        >
          {common}
          <Field label="Model" name="model" hint="traffic-int8" />
        </Form>
      )}
      {busy && <p role="status">{busy}</p>}
      <Problem text={problem} />
      {told && (
        <pre class="study" data-testid="study-told">
          {told}
        </pre>
      )}
    </Part>
  );
}
