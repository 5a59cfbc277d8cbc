// What every page runs: widgets, theme switch, toasts, copy buttons, confirmations and the live client.
import "@github/relative-time-element";
import Collapse from "bootstrap/js/dist/collapse";
import Dropdown from "bootstrap/js/dist/dropdown";
import { startLive } from "./live.js";
import { showToast } from "./toasts.js";

// Named so that the bundler keeps the modules: they attach themselves by data attributes.
void [Collapse, Dropdown];

function syncThemeSwitch() {
  const choice = document.documentElement.dataset.themeChoice;
  for (const button of document.querySelectorAll("[data-theme-choice-button]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoiceButton === choice));
  }
}

async function copyText(button) {
  const source = document.getElementById(button.dataset.copy);
  const text = (source.value ?? source.href ?? source.textContent).trim();
  try {
    await navigator.clipboard.writeText(text);
    showToast("Copied.", "success");
  } catch {
    const range = document.createRange();
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    showToast("Selected: press Ctrl+C to copy.", "info");
  }
}

document.addEventListener("click", (event) => {
  const theme = event.target.closest("[data-theme-choice-button]");
  if (theme) {
    document.dispatchEvent(new CustomEvent("videoproc:theme", { detail: theme.dataset.themeChoiceButton }));
    syncThemeSwitch();
  }
  const copy = event.target.closest("[data-copy]");
  if (copy) void copyText(copy);
  const opener = event.target.closest("[data-dialog]");
  if (opener) document.getElementById(opener.dataset.dialog).showModal();
  if (event.target.closest("[data-dialog-close]")) event.target.closest("dialog").close();
});

// A list of which several can be chosen: its bar shows while any is.
function countChosen(form) {
  const chosen = form.querySelectorAll("[data-choose]:checked").length;
  form.querySelector("[data-chosen-bar]").hidden = chosen === 0;
  form.querySelector("[data-chosen-count]").textContent = String(chosen);
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-choose]")) countChosen(event.target.form);
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-choose-none]");
  if (!button) return;
  for (const box of button.form.querySelectorAll("[data-choose]")) box.checked = false;
  countChosen(button.form);
});

// A select or tick box that applies itself at once, such as the library's filters.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-autosubmit]")) event.target.form.requestSubmit();
});

document.body.addEventListener("htmx:responseError", (event) => {
  // Problems come as whole pages; the sentence in them is what the reader needs here.
  const page = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
  const sentence = page.querySelector("[data-problem-detail]")?.textContent.trim();
  showToast(sentence || "The server could not do this. Reload the page and try again.", "error");
});
document.body.addEventListener("htmx:sendError", () => {
  showToast("The server cannot be reached. Check your connection and try again.", "error");
});

// Sent with a fragment by the server (HX-Trigger).
document.body.addEventListener("notice", (event) => showToast(event.detail.text, event.detail.level));

// A summary of errors takes the focus, so that a screen reader starts there.
function focusErrors(root) {
  root.querySelector?.("[data-error-summary]")?.focus();
}

function startPlayers(root) {
  const videos = root.querySelectorAll?.("video[data-player], audio[data-player]") ?? [];
  if (videos.length) void import("./player.js").then(({ startPlayer }) => videos.forEach(startPlayer));
}

document.body.addEventListener("htmx:afterSwap", (event) => {
  // With an outerHTML swap the new element is the target's replacement; its parent holds it.
  const root = event.detail.target.isConnected ? event.detail.target : document.body;
  focusErrors(root);
  startPlayers(document.body);
});

for (const bar of document.querySelectorAll("[data-chosen-bar]")) countChosen(bar.closest("form"));
syncThemeSwitch();
focusErrors(document);
startPlayers(document);
for (const toast of document.querySelectorAll("[data-message]")) {
  showToast(toast.querySelector("span").textContent.trim(), toast.dataset.message, toast.querySelector("form"));
}
if (document.body.dataset.signedIn) startLive();
if (document.getElementById("queue")) void import("./queue.js").then(({ startQueue }) => startQueue());
