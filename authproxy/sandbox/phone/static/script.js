// Keeps codes and notifications current without a reload. Everything works without this script.
"use strict";

const CHECK_EVERY = 3000;

// Replaces a part of this page by the current one. If the fetched page lacks it, the phone is locked.
const refresh = async (part) => {
  const answer = await fetch(part.dataset.refresh, { headers: { "X-Asked-By": "script" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const child = part.firstElementChild;
  const now = page.querySelector(child.id ? `#${child.id}` : `.${child.className}`);
  if (!now) {
    location.reload();
  } else if (child.id) {
    // A live region stays and gets new content, only if something changed, because screen readers announce it.
    if (child.innerHTML.trim() !== now.innerHTML.trim()) child.innerHTML = now.innerHTML;
  } else {
    part.innerHTML = now.outerHTML;
  }
};

const countdown = (part) => {
  const shown = part.querySelector("[role=timer] span");
  const bar = part.querySelector("rect");
  bar.replaceChildren(); // stops its animation, which would not restart in a part that was inserted later
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

// Moves the focus to the error, if there is one.
document.getElementById("problem")?.focus();
