// Comfort: codes and notifications stay current without a reload. Everything works without it.
"use strict";

const CHECK_EVERY = 3000;

// Takes what a page shows now into this one. A page without that part is that of a locked phone.
const refresh = async (part) => {
  const answer = await fetch(part.dataset.refresh, { headers: { "X-Asked-By": "script" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const child = part.firstElementChild;
  const now = page.querySelector(child.id ? `#${child.id}` : `.${child.className}`);
  if (!now) {
    location.reload();
  } else if (child.id) {
    // A live region is kept and filled anew, and only where something changed: readers announce it.
    if (child.innerHTML.trim() !== now.innerHTML.trim()) child.innerHTML = now.innerHTML;
  } else {
    part.innerHTML = now.outerHTML;
  }
};

const countdown = (part) => {
  const shown = part.querySelector("[role=timer] span");
  const bar = part.querySelector("rect");
  bar.replaceChildren(); // its own animation, which does not begin again in a part that was put in later
  const ends = Date.now() + 1000 * Number(part.firstElementChild.dataset.left);
  const tick = setInterval(async () => {
    const left = Math.max(0, ends - Date.now()) / 1000;
    shown.textContent = Math.ceil(left);
    bar.setAttribute("width", left);
    if (left > 0) return;
    clearInterval(tick);
    try {
      await refresh(part);
      countdown(part);
    } catch {
      location.reload();
    }
  }, 250);
};

for (const part of document.querySelectorAll("[data-refresh]")) {
  if (part.querySelector("[data-left]")) {
    countdown(part);
  } else {
    setInterval(() => refresh(part).catch(() => {}), CHECK_EVERY);
  }
}

// Where something was wrong, that is what comes first.
document.getElementById("problem")?.focus();
