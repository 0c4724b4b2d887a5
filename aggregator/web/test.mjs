// Bundles test/*.test.ts and runs them with Node's own test runner.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.join(path.dirname(fileURLToPath(import.meta.url)), "test");
const names = (await readdir(here)).filter((name) => name.endsWith(".test.ts"));
const out = await mkdtemp(path.join(tmpdir(), "gb-web-"));
await build({
  entryPoints: names.map((name) => path.join(here, name)),
  outdir: out,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  format: "esm",
});
const { status } = spawnSync(
  process.execPath,
  ["--test", ...names.map((name) => path.join(out, name.replace(/ts$/, "mjs")))],
  {
    stdio: "inherit",
  },
);
await rm(out, { recursive: true });
process.exit(status ?? 1);
