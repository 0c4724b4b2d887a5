import assert from "node:assert/strict";
import { test } from "node:test";
import { bodyOf, conditionOf, describe, draftOf, emptyFields, newDraft, problemOf } from "../src/alert-words";

test("a rule comes back from the form as it went into it", () => {
  const rule = {
    id: "r1",
    version: 3,
    name: "Queue",
    condition: { kind: "occupancy", over: 4, under: null, measure: "mean", queue: true },
    scope: { nodes: ["gate-*", "door-1"], zones: ["kerb"] },
    severity: "critical" as const,
    outlets: ["duty"],
    hold_seconds: 30,
    tell_closed: false,
    enabled: true,
  };
  const body = bodyOf(draftOf(rule));
  assert.deepEqual(body.condition, { kind: "occupancy", over: 4, measure: "mean", queue: true });
  assert.deepEqual(body.scope, { nodes: ["gate-*", "door-1"], zones: ["kerb"] });
  assert.deepEqual([body.hold_seconds, body.tell_closed, body.severity], [30, false, "critical"]);
  assert.equal(
    describe(rule),
    "A zone is full or empty · more than in it: 4 · of a minute: mean · only those that stand still: yes · nodes: gate-*, door-1 · zones: kerb",
  );
});

test("what is missing or no number is said before anything is sent", () => {
  const draft = { ...newDraft(), kind: "count", fields: emptyFields("count") };
  assert.equal(problemOf(draft), "Give the rule a name.");
  const named = { ...draft, name: "x" };
  assert.equal(problemOf(named), "Give an upper or a lower limit.");
  const wrong = { ...named, fields: { ...named.fields, over: "many" } };
  assert.equal(problemOf(wrong), "More than: “many” is not a number.");
  const right = { ...named, fields: { ...named.fields, over: "12", labels: "car, bus" } };
  assert.equal(problemOf(right), "");
  assert.deepEqual(conditionOf(right), { kind: "count", over: 12, minutes: 60, labels: ["car", "bus"] });
});
