// The upload page: Uppy's dashboard over tus, set up from the data attributes the server wrote.
import Uppy from "@uppy/core";
import { getDroppedFiles } from "@uppy/core/utils";
import Dashboard from "@uppy/dashboard";
import Tus from "@uppy/tus";

const area = document.getElementById("uploader");
const RETRY_DELAYS_MS = [0, 1000, 3000, 5000, 10000, 20000, 30000];

function csrfToken() {
  const prefix = "videoproc_csrf=";
  const cookie = document.cookie.split("; ").find((entry) => entry.startsWith(prefix));
  return cookie ? decodeURIComponent(cookie.slice(prefix.length)) : "";
}

const theme = () => document.documentElement.dataset.bsTheme;

const uppy = new Uppy({
  id: "videoproc",
  autoProceed: true,
  restrictions: {
    maxFileSize: Number(area.dataset.maxFileSize),
    minFileSize: 1,
    allowedFileTypes: area.dataset.types.split(","),
  },
})
  .use(Dashboard, {
    target: area,
    inline: true,
    width: "100%",
    height: 380,
    theme: theme(),
    note: area.dataset.note,
    metaFields: [{ id: "name", name: "Name", placeholder: "Name of the video" }],
    proudlyDisplayPoweredByUppy: false,
    showRemoveButtonAfterComplete: true,
    fileManagerSelectionType: "both",
    locale: {
      strings: {
        dropPasteBoth: "Drop videos here, %{browseFiles} or %{browseFolders}",
        dropPasteFiles: "Drop videos here or %{browseFiles}",
        browseFiles: "choose files",
        browseFolders: "choose a folder",
      },
    },
  })
  .use(Tus, {
    endpoint: area.dataset.endpoint,
    headers: () => ({ "X-CSRFToken": csrfToken() }),
    allowedMetaFields: ["name", "type"],
    retryDelays: RETRY_DELAYS_MS,
    limit: 3,
    removeFingerprintOnSuccess: true,
  });

// The colours follow the page's switch, not the device.
new MutationObserver(() => uppy.getPlugin("Dashboard").setOptions({ theme: theme() })).observe(
  document.documentElement,
  { attributeFilter: ["data-bs-theme"] },
);

async function videoOf(response) {
  const named = response.body?.xhr?.getResponseHeader("Videoproc-Video");
  if (named) return named;
  // The last bytes had arrived in an earlier visit, so no answer named the video.
  const answer = await fetch(response.uploadURL, { headers: { Accept: "application/json" } });
  return answer.ok ? (await answer.json()).video : null;
}

uppy.on("upload-success", async (file, response) => {
  const id = await videoOf(response);
  const list = document.getElementById("uploaded");
  const row = document.getElementById("uploaded-row").content.firstElementChild.cloneNode(true);
  const link = row.querySelector("a");
  row.querySelector("[data-name]").textContent = file.meta.name;
  link.href = id ? area.dataset.videoUrl.replace("vid_id", id?.id ?? id) : area.dataset.libraryUrl;
  list.querySelector("ul").append(row);
  list.hidden = false;
  document.getElementById("live-status").textContent = `${file.meta.name} is uploaded.`;
});

// A drop beside the area counts too; without this the browser would leave the page for the file.
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", async (event) => {
  if (area.contains(event.target)) return;
  event.preventDefault();
  // Also what is inside dropped folders, however deep.
  const dropped = await getDroppedFiles(event.dataTransfer, { logDropError: (error) => uppy.log(error, "error") });
  try {
    uppy.addFiles(
      dropped.map((data) => ({ name: data.name, type: data.type, data, meta: { relativePath: data.relativePath || null } })),
    );
  } catch (error) {
    uppy.info(error.message, "error");
  }
});

window.addEventListener("beforeunload", (event) => {
  const sending = uppy.getFiles().some((file) => file.progress.uploadStarted && !file.progress.uploadComplete);
  if (sending) event.preventDefault();
});
