// For the page that waits for a phone: asks whether the wait is over, and then sends the form that the person could send.
"use strict";

const form = document.querySelector("form[data-state]");

const ask = async () => {
  const body = new URLSearchParams({ _csrf: form.elements._csrf.value });
  try {
    const answer = await fetch(form.dataset.state, { method: "POST", body });
    if (!answer.ok || (await answer.json()).state !== "pending") {
      form.requestSubmit(form.querySelector("button"));
      return;
    }
  } catch {
    // The connection may come back. The button stays available.
  }
  setTimeout(ask, 2000);
};

if (form) setTimeout(ask, 2000);
