// Short notices in the corner. Errors stay until dismissed; the rest go after a while.
const STAY_MS = 6000;
const WORDS = { error: "Error", warning: "Warning", success: "Done", info: "Note", debug: "Note" };

export function showToast(text, level) {
  const area = document.getElementById("toasts");
  const toast = document.getElementById("toast-template").content.firstElementChild.cloneNode(true);
  const kind = level in WORDS ? level : "info";
  toast.dataset.level = kind;
  toast.querySelector("[data-toast-word]").textContent = WORDS[kind];
  toast.querySelector("[data-toast-text]").textContent = text;
  toast.querySelector("button").addEventListener("click", () => toast.remove());
  area.append(toast);
  if (kind !== "error" && kind !== "warning") setTimeout(() => toast.remove(), STAY_MS);
}
