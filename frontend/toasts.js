// Short notices in the corner. Errors stay until dismissed; the rest go after a while.
const STAY_MS = 6000;
const STAY_TO_DECIDE_MS = 15000;
const WORDS = { error: "Error", warning: "Warning", success: "Done", info: "Note", debug: "Note" };

// `action` is a form that comes along, such as the one that takes back what was done.
export function showToast(text, level, action = null) {
  const area = document.getElementById("toasts");
  const toast = document.getElementById("toast-template").content.firstElementChild.cloneNode(true);
  const kind = level in WORDS ? level : "info";
  toast.dataset.level = kind;
  toast.querySelector("[data-toast-word]").textContent = WORDS[kind];
  toast.querySelector("[data-toast-text]").textContent = text;
  toast.querySelector("button").addEventListener("click", () => toast.remove());
  if (action) toast.querySelector("[data-toast-action]").append(action);
  area.append(toast);
  if (kind !== "error" && kind !== "warning") setTimeout(() => toast.remove(), action ? STAY_TO_DECIDE_MS : STAY_MS);
}
