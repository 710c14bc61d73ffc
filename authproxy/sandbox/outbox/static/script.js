// Shows new messages by itself, and adds a button that copies a code. Without this script the page has a link, and the code is text.
"use strict";

const EVERY_MS = 2000;
const said = document.body.dataset;

function addButtons(place) {
  for (const line of place.querySelectorAll(".code")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = said.copy;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(line.querySelector("code").textContent);
      button.textContent = said.copied;
    });
    line.append(" ", button);
  }
}

function identifiers(place) {
  return Array.from(place.querySelectorAll("li[id]"), (item) => item.id);
}

async function refresh(list) {
  const answer = await fetch(location.pathname + location.search.replace(/[?&](?:cleared|lang=[a-z]*)/g, ""));
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("messages");
  const before = identifiers(list);
  const after = identifiers(fresh);
  if (before.join() === after.join()) return;
  // Do not disturb somebody who is about to copy a code.
  if (list.contains(document.activeElement) || String(document.getSelection()) !== "") return;
  list.replaceChildren(...fresh.childNodes);
  addButtons(list);
  const news = document.getElementById("news");
  news.textContent = "";
  if (after.some((id) => !before.includes(id))) news.textContent = news.dataset.news;
}

addButtons(document);
const list = document.getElementById("messages");
if (list) {
  document.getElementById("refresh").hidden = true;
  setInterval(() => {
    if (!document.hidden) refresh(list).catch(() => {});
  }, EVERY_MS);
}
