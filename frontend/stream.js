// Plays HLS streams: Safari by itself, other browsers with hls.js.
import Hls from "hls.js";

const AUTOMATIC = 0;
const TYPE = "application/vnd.apple.mpegurl";

function playsAlone(media) {
  // Others say that they play streams too, but do not let the viewer choose a size.
  const safari = navigator.vendor.startsWith("Apple");
  return media.canPlayType(TYPE) && (safari || !Hls.isSupported());
}

const side = (level) => Math.min(level.width, level.height);

function sizesOf(hls) {
  // A stream may hold each size in several codecs; the player has chosen one of them to begin with.
  const chosen = hls.levels[hls.firstLevel]?.codecSet;
  const find = (size) => hls.levels.findIndex((level) => side(level) === size && level.codecSet === chosen);
  const sizes = [...new Set(hls.levels.map(side))].sort((one, other) => other - one);
  return {
    default: AUTOMATIC,
    options: [AUTOMATIC, ...sizes],
    forced: true,
    onChange: (size) => {
      hls.nextLevel = size === AUTOMATIC ? -1 : find(size);
    },
  };
}

// Resolves with `sizes`, what Plyr needs for a menu of them, and `attach`, which gives the stream to the element;
// or with null where the browser does it all itself, or cannot.
export function openStream(media, fail) {
  const address = new URL(media.dataset.stream, location.href).href;
  if (playsAlone(media)) {
    media.src = address;
    return Promise.resolve(null);
  }
  if (!Hls.isSupported()) {
    fail();
    return Promise.resolve(null);
  }
  return new Promise((resolve) => {
    // Nothing but the list of sizes is fetched before the first play. A worker would have nothing to do:
    // the files are in the form that browsers take.
    const hls = new Hls({ autoStartLoad: false, enableWorker: false });
    const attach = () => {
      media.addEventListener("play", () => hls.startLoad(), { once: true });
      hls.attachMedia(media);
    };
    let recovered = false;
    hls.once(Hls.Events.MANIFEST_PARSED, () => resolve({ sizes: sizesOf(hls), attach }));
    hls.on(Hls.Events.ERROR, (_, problem) => {
      if (!problem.fatal) return;
      if (problem.type === Hls.ErrorTypes.MEDIA_ERROR && !recovered) {
        recovered = true;
        hls.recoverMediaError();
        return;
      }
      fail();
      hls.destroy();
      resolve(null);
    });
    hls.loadSource(address);
  });
}
