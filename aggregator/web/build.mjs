// Bundles src/ into ../static/: what the aggregator serves. `--watch` keeps building while you edit.
import { context } from "esbuild";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

const here = path.dirname(fileURLToPath(import.meta.url));
const out = path.join(here, "..", "static");

/** The licences of what the bundle contains, as they ask for. */
async function licences() {
  const { dependencies } = JSON.parse(await readFile(path.join(here, "package.json"), "utf8"));
  const texts = Object.entries(dependencies).map(async ([name, version]) => {
    const text = await readFile(path.join(here, "node_modules", name, "LICENSE"), "utf8");
    return `${name} ${version}\n\n${text.trim()}\n`;
  });
  return (await Promise.all(texts)).join("\n---\n\n");
}

/** A compressed copy beside each large file; the aggregator sends it to browsers that take it. */
async function compress() {
  for (const name of await readdir(out)) {
    const plain = await readFile(path.join(out, name));
    if (plain.length > 2000)
      await writeFile(path.join(out, `${name}.gz`), await promisify(gzip)(plain, { level: 9 }));
  }
}

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
for (const name of ["index.html", "icon.svg"]) await cp(path.join(here, "src", name), path.join(out, name));
await writeFile(path.join(out, "licences.txt"), await licences());

const bundle = await context({
  absWorkingDir: here,
  entryPoints: { app: "src/main.tsx", theme: "src/theme.ts" },
  outdir: out,
  bundle: true,
  minify: true,
  target: "es2022",
  format: "esm",
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  logLevel: "warning",
});
if (process.argv.includes("--watch")) await bundle.watch();
else {
  await bundle.rebuild();
  await bundle.dispose();
  await compress();
}
