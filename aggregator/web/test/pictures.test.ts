import assert from "node:assert/strict";
import { test } from "node:test";
import { PartParser } from "../src/pictures";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const part = (body: string): string =>
  `--x\r\nContent-Type: image/jpeg\r\nContent-Length: ${body.length}\r\n\r\n${body}\r\n`;

test("pictures come out whole wherever the stream is cut", () => {
  const stream = bytes(part("first\r\n\r\n") + part("") + part("third"));
  for (let cut = 0; cut <= stream.length; cut++) {
    const parser = new PartParser();
    const bodies = [...parser.feed(stream.subarray(0, cut)), ...parser.feed(stream.subarray(cut))];
    assert.deepEqual(
      bodies.map((body) => new TextDecoder().decode(body)),
      ["first\r\n\r\n", "", "third"],
    );
  }
});

test("a picture is given as soon as its last byte is here", () => {
  const stream = part("whole");
  assert.equal(new PartParser().feed(bytes(stream.slice(0, -2))).length, 1);
});

test("what has no length, or too much of it, is refused", () => {
  assert.throws(() => new PartParser().feed(bytes("--x\r\nContent-Type: image/jpeg\r\n\r\nabc")));
  assert.throws(() => new PartParser().feed(bytes("--x\r\nContent-Length: 99999999\r\n\r\n")));
  assert.throws(() => new PartParser().feed(new Uint8Array(5000)));
});
