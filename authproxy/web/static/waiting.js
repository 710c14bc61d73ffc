// On the page that waits for a phone: asks whether it has answered, and then sends the page's form. Without this script the page reloads itself.
"use strict";
(() => {
  const form = document.querySelector("form[data-waiting]");
  const place = `/.authproxy/step-up/status?c=${encodeURIComponent(form.elements.c.value)}`;
  // If the gateway does not answer, nothing is decided. The script asks again.
  const state = (answer) => (answer.ok ? answer.json().then((told) => told.state) : answer.status === 401 ? "over" : "pending");
  const look = () => fetch(place, { headers: { Accept: "application/json" }, cache: "no-store" }).then(state).catch(() => "pending").then(go);
  const go = (now) => (now === "pending" ? setTimeout(look, 2000) : form.requestSubmit());
  look();
})();
