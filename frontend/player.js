// The one place that knows which player is used. Without it `<video controls>` works as it is.
import Plyr from "plyr";

const started = new WeakSet();

export async function startPlayer(media) {
  if (started.has(media)) return;
  started.add(media);
  const fail = () => document.getElementById(media.dataset.fallback)?.removeAttribute("hidden");
  media.addEventListener("error", fail);
  let stream = null;
  if (media.dataset.stream) {
    const { openStream } = await import("./stream.js");
    stream = await openStream(media, fail);
  }
  const sizes = stream?.sizes;
  new Plyr(media, {
    // Both would be fetched from a host of the player's makers otherwise. The blank video is for players
    // that change their source, which ours never do.
    iconUrl: media.dataset.icons,
    blankVideo: "",
    controls: ["play-large", "play", "progress", "current-time", "duration", "mute", "volume", "settings", "pip", "fullscreen"],
    settings: sizes ? ["quality", "speed"] : ["speed"],
    ...(sizes && { quality: sizes, i18n: { quality: "Size", qualityLabel: { 0: "Automatic" } } }),
    speed: { selected: 1, options: [0.25, 0.5, 1, 1.5, 2] },
    storage: { enabled: false },
    keyboard: { focused: true, global: false },
  });
  // Not before: Plyr copies the element as it finds it, and a copy would take the stream away.
  stream?.attach();
}
