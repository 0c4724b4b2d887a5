import assert from "node:assert/strict";
import { test } from "node:test";
import { EventParser } from "../src/stream";

function parse(...chunks: string[]): { events: [string, string][]; lastId: string } {
  const events: [string, string][] = [];
  const parser = new EventParser((name, data) => events.push([name, data]));
  for (const chunk of chunks) parser.feed(chunk);
  return { events, lastId: parser.lastId };
}

test("an event may be cut anywhere between two chunks", () => {
  const text = 'event: fact\nid: gate-07:1:2:3\ndata: {"a": 1}\n\n';
  for (let cut = 0; cut <= text.length; cut++) {
    const { events, lastId } = parse(text.slice(0, cut), text.slice(cut));
    assert.deepEqual(events, [["fact", '{"a": 1}']]);
    assert.equal(lastId, "gate-07:1:2:3");
  }
});

test("comments, empty events and carriage returns are no data", () => {
  const { events } = parse(": ping\n\n", "retry: 1000\n\n", "event: node\r\ndata: 1\r\n\r\n", "data:2\n\n");
  assert.deepEqual(events, [
    ["node", "1"],
    ["message", "2"],
  ]);
});

test("several data lines are one text", () => {
  assert.deepEqual(parse("data: a\ndata: b\n\n").events, [["message", "a\nb"]]);
});
