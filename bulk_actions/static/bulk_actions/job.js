// Keeps the figures of a job's page moving: asks once a second until the job has ended, and shows the page anew when its
// status has changed (other buttons, another transition), unless a dialog is open.
"use strict";

const EVERY_MS = 1000;

function show(page, figures) {
  for (const element of page.querySelectorAll("[data-figure]")) {
    element.textContent = figures[element.dataset.figure];
  }
  const bar = page.querySelector("progress");
  bar.value = figures.percent;
  bar.title = `${figures.percent} %`;
}

function dialogIsOpen() {
  const dialog = document.getElementById("modal-content");
  return dialog !== null && dialog.offsetParent !== null;
}

async function follow(page) {
  try {
    const answer = await fetch(page.dataset.url, { headers: { Accept: "application/json" } });
    if (answer.redirected || answer.status === 403 || answer.status === 404) return; // signed out, or nothing to follow
    if (answer.ok) {
      const figures = await answer.json();
      show(page, figures);
      if (figures.status !== page.dataset.status && !dialogIsOpen()) {
        window.location.reload();
        return;
      }
    }
  } catch {
    // The server is away for a moment: the next question may find it.
  }
  window.setTimeout(follow, EVERY_MS, page);
}

document.addEventListener("DOMContentLoaded", () => {
  const page = document.querySelector("[data-job]");
  if (page !== null && page.dataset.final === "no") window.setTimeout(follow, EVERY_MS, page);
});
