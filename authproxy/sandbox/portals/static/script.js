// The monitoring screen: shows each measurement as it comes, and says when none will come any more.
"use strict";
(() => {
  const screen = document.getElementById("zaslon");
  if (screen === null) return;
  const state = screen.querySelector("[role=status]");
  const says = (text) => { if (state.textContent !== text) state.textContent = text; };
  const shows = (message) => {
    const measured = JSON.parse(message.data);
    for (const place of screen.querySelectorAll("[data-of]")) place.textContent = measured[place.dataset.of];
    says(screen.dataset.live);
  };
  const ended = () => says(screen.dataset.ended);
  if (screen.dataset.over === "events") {
    const stream = new EventSource("/nadzor/tok");
    stream.onmessage = shows;
    // The browser connects again by itself, unless the answer was none of the stream.
    stream.onerror = () => { if (stream.readyState === EventSource.CLOSED) ended(); };
  } else {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/nadzor/ws`);
    socket.onmessage = shows;
    socket.onclose = ended;
  }
})();
