// Dragging in one's own queue. The buttons of each row do the same for keyboards and without scripts.
import { showToast } from "./toasts.js";

let dragged = null;

const rowAt = (event) => event.target.closest?.("[data-queue-job]");
const isBefore = (row, event) => {
  const box = row.getBoundingClientRect();
  return event.clientY < box.top + box.height / 2;
};

function clearMarks() {
  for (const row of document.querySelectorAll("[data-drop]")) delete row.dataset.drop;
}

function target(event) {
  const row = rowAt(event);
  const sameLine = row && dragged && row !== dragged && row.parentElement === dragged.parentElement;
  return sameLine ? row : null;
}

export function startQueue() {
  document.addEventListener("dragstart", (event) => {
    dragged = rowAt(event) ?? null;
    if (!dragged) return;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", dragged.dataset.jobLabel);
    dragged.dataset.dragged = "";
  });
  document.addEventListener("dragover", (event) => {
    const row = target(event);
    clearMarks();
    if (!row) return;
    event.preventDefault();
    row.dataset.drop = isBefore(row, event) ? "before" : "after";
  });
  document.addEventListener("drop", (event) => {
    const row = target(event);
    if (!row) return;
    event.preventDefault();
    const values = { [isBefore(row, event) ? "before" : "after"]: row.dataset.queueJob };
    const csrf = dragged.querySelector("[name=csrfmiddlewaretoken]").value;
    window.htmx
      .ajax("POST", dragged.dataset.queueMove, { target: "#queue", swap: "outerHTML", values: { ...values, csrfmiddlewaretoken: csrf } })
      .catch(() => showToast("The job could not be moved. Reload the page and try again.", "error"));
  });
  document.addEventListener("dragend", () => {
    clearMarks();
    if (dragged) delete dragged.dataset.dragged;
    dragged = null;
  });
}
