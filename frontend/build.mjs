// Bundles the pages' scripts and styles into frontend/dist, which Django collects as static files.
// Lazy chunks import each other by relative address, so they work from beside the hashed copies too.
import { cp, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const shared = { bundle: true, minify: true, target: "es2022", outdir: here("dist"), logLevel: "warning", legalComments: "linked" };

await rm(here("dist"), { recursive: true, force: true });
await Promise.all([
  build({
    ...shared,
    entryPoints: ["app.js", "upload.js"].map(here),
    format: "esm",
    splitting: true,
    chunkNames: "chunks/[name]-[hash]",
  }),
  // Runs before the first paint, so it must be a plain script of its own.
  build({ ...shared, entryPoints: [here("theme.js")], format: "iife" }),
  build({ ...shared, entryPoints: ["app.css", "upload.css", "player.css"].map(here) }),
]);
await cp(here("../node_modules/plyr/dist/plyr.svg"), here("dist/plyr.svg"));
