// Keeps what the server rendered up to date: one WebSocket for each page.
//
// Every message carries the whole small state of a job and a `seq` that only grows, so late and doubled
// messages are dropped. Figures are patched in place; when the state itself changes, the element asks the
// server for its new markup (htmx, event `refresh`). After a lost connection the snapshot tells which jobs
// moved on meanwhile.
import { showToast } from "./toasts.js";

const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 30000;
const NOTICE_AFTER_MS = 3000;
const POLL_AFTER_FAILURES = 3;
const POLL_EVERY_MS = 5000;
const SPEED_WORTH_SHOWING = 0.05;
const SIGNED_OUT = 4401;
const LIVE = new Set(["queued", "active", "paused"]);
const MILESTONES = [25, 50, 75, 100];

const latest = new Map();
const announced = new Map();
let failures = 0;
let noticeTimer = 0;

const cards = (id) => document.querySelectorAll(`[data-job-id="${CSS.escape(id)}"]`);
const liveCards = () => [...document.querySelectorAll("[data-job-id]")].filter((card) => LIVE.has(card.dataset.jobStatus));
const refresh = (element) => window.htmx.trigger(element, "refresh");

function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const two = (n) => String(n).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

function roughly(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  return minutes < 60 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}

// When a job begins and ends, in words as the server writes them.
function expected(job) {
  const { state, starts_at, ends_at, ends_earliest, ends_latest } = job.estimate;
  if (state === "estimating" || job.eta_seconds === null) return "estimating";
  const now = Date.parse(ends_at) - 1000 * job.eta_seconds;
  const until = (moment) => Math.max(0, Date.parse(moment) - now) / 1000;
  const words = starts_at ? roughly : duration;
  const [low, high] = [words(until(ends_earliest)), words(until(ends_latest))];
  const between = low === high ? "" : ` (${low} to ${high})`;
  if (!starts_at) return `${duration(job.eta_seconds)} left${between}`;
  const begins = until(starts_at) < 1 ? "starts now" : `starts in about ${roughly(until(starts_at))}`;
  return `${begins}, done in about ${roughly(job.eta_seconds)}${between}`;
}

function announce(card, words) {
  const region = document.getElementById("live-status");
  if (region) region.textContent = `${card.dataset.jobLabel}: ${words}`;
}

function announceProgress(card, job) {
  const reached = MILESTONES.findLast((mark) => job.progress >= mark) ?? 0;
  if (reached > (announced.get(job.id) ?? 0)) {
    announced.set(job.id, reached);
    announce(card, `${reached} %`);
  }
}

function patch(card, job) {
  const set = (field, text) => {
    for (const element of card.querySelectorAll(`[data-job-field="${field}"]`)) element.textContent = text;
  };
  for (const bar of card.querySelectorAll("progress")) bar.value = job.progress;
  set("progress", `${Math.floor(job.progress)} %`);
  set("speed", job.speed >= SPEED_WORTH_SHOWING ? `${job.speed.toFixed(1)}×` : "");
  if (job.estimate) set("eta", expected(job));
  if (job.queue_position) set("queue", `number ${job.queue_position} in the queue`);
}

function showTitle(job) {
  const base = document.body.dataset.title;
  if (document.querySelector(`[data-title-job="${CSS.escape(job.id)}"]`)) {
    document.title = job.status === "active" ? `(${Math.floor(job.progress)} %) ${base}` : base;
  }
}

function bring(card, { job, seq }) {
  if (seq <= Number(card.dataset.jobSeq)) return;
  if (card.dataset.jobStatus === job.status && Number(card.dataset.jobAttempt) === job.attempt) patch(card, job);
  else refresh(card);
}

function applyJob(job, seq) {
  const before = latest.get(job.id);
  if (before && seq <= before.seq) return;
  latest.set(job.id, { job, seq });
  const found = cards(job.id);
  for (const card of found) bring(card, latest.get(job.id));
  if (found.length) {
    if (before?.job.status === job.status) announceProgress(found[0], job);
    else if (found[0].dataset.jobStatus !== job.status) announce(found[0], job.status);
  } else if (!before) {
    for (const list of document.querySelectorAll("[data-live-list]")) refresh(list);
    // A long list does not move under the reader's hand: it offers to.
    for (const offer of document.querySelectorAll("[data-new-jobs]")) offer.hidden = false;
  }
  showTitle(job);
  if (!LIVE.has(job.status) && job.video) refreshVideo(job.video);
}

function refreshVideo(id) {
  for (const element of document.querySelectorAll(`[data-video-refresh="${CSS.escape(id)}"]`)) refresh(element);
}

function applySnapshot(message) {
  const known = new Set(message.jobs.map((job) => job.id));
  for (const job of message.jobs) applyJob(job, job.seq ?? message.seq);
  for (const card of liveCards()) if (!known.has(card.dataset.jobId)) refresh(card);
}

function receive(message) {
  if (message.type === "snapshot") applySnapshot(message);
  else if (message.job) applyJob(message.job, message.seq);
  if (message.type === "video.ready" && message.job?.video) refreshVideo(message.job.video);
}

function showConnection(connected) {
  clearTimeout(noticeTimer);
  const notice = document.getElementById("connection");
  if (connected) notice.hidden = true;
  else noticeTimer = setTimeout(() => (notice.hidden = false), NOTICE_AFTER_MS);
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/ws/v1/events`);
  socket.addEventListener("open", () => {
    failures = 0;
    showConnection(true);
  });
  socket.addEventListener("message", (event) => receive(JSON.parse(event.data)));
  socket.addEventListener("close", (event) => {
    if (event.code === SIGNED_OUT) {
      showToast("You have been signed out. Reload the page to sign in again.", "warning");
      return;
    }
    if (failures === 0) showConnection(false);
    failures += 1;
    const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (failures - 1));
    setTimeout(connect, delay * (0.5 + Math.random() / 2));
  });
}

export function startLive() {
  connect();
  // Markup asked for a moment ago may be older than what has arrived since.
  document.body.addEventListener("htmx:afterSettle", () => {
    for (const [id, state] of latest) for (const card of cards(id)) bring(card, state);
  });
  setInterval(() => {
    if (failures >= POLL_AFTER_FAILURES) liveCards().forEach(refresh);
  }, POLL_EVERY_MS);
}
