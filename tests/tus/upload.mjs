// Uploads one file with tus-js-client as its manual shows it. usage: upload.mjs ENDPOINT FILE OPTIONS-AS-JSON
// `cutAfter` aborts after so many bytes and goes on with a new upload of the same file, as after a crash.
import { createReadStream } from "node:fs";
import { basename } from "node:path";
import * as tus from "tus-js-client";

const [endpoint, path, given] = process.argv.slice(2);
const { cutAfter, authorization, ...options } = JSON.parse(given);
let requests = 0;

function upload(more) {
  return new Promise((resolve, reject) => {
    const one = new tus.Upload(createReadStream(path), {
      endpoint,
      headers: { Authorization: authorization },
      metadata: { filename: basename(path) },
      onBeforeRequest: () => void requests++,
      onError: reject,
      onSuccess: () => resolve(one),
      ...options,
      ...more?.(() => one, resolve),
    });
    one.start();
  });
}

let first;
if (cutAfter) {
  first = await upload((one, resolve) => ({
    onChunkComplete: async (_size, accepted) => {
      if (accepted < cutAfter) return;
      await one().abort();
      resolve(one());
    },
  }));
}
const done = await upload(first && (() => ({ uploadUrl: first.url })));
process.stdout.write(JSON.stringify({ url: done.url, requests }));
