// Bundles src/ into ../static/: what the aggregator serves. `--watch` keeps building while you edit.
import { context } from "esbuild";
import { cp, mkdir, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import path from "node:path";

const here = path.dirname(fileURLToPath(import.meta.url));
const out = path.join(here, "..", "static");

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
for (const name of ["index.html", "icon.svg"]) await cp(path.join(here, "src", name), path.join(out, name));

const bundle = await context({
  absWorkingDir: here,
  entryPoints: { app: "src/main.tsx", theme: "src/theme.ts" },
  outdir: out,
  bundle: true,
  minify: true,
  sourcemap: false,
  target: "es2022",
  format: "esm",
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "eof",
  logLevel: "info",
});
if (process.argv.includes("--watch")) await bundle.watch();
else {
  await bundle.rebuild();
  await bundle.dispose();
}
