// Nothing depends on this script. On pages for people who are signed in, the portal's or ours, it warns that the session is about to end,
// and extends it on request. On a page of ours whose only next step is one form, it sends that form.
"use strict";
(() => {
  const form = document.querySelector(".version:not([hidden]) form[data-continue]");
  if (form) return form.requestSubmit();

  const words = /* words */ {};
  const asked = document.documentElement.lang.slice(0, 2);
  const language = asked in words ? asked : "sl";
  const says = words[language];
  const plural = new Intl.PluralRules(language);
  const inSeconds = (n) => says.seconds[plural.select(n)].replace("{n}", n);
  const place = "/.authproxy/";
  const back = location.pathname.startsWith(place) ? "/" : location.pathname + location.search;

  let box, timer, ends, told, isKnown = false;

  const make = (name, values, ...children) => {
    const made = Object.assign(document.createElement(name), values);
    made.append(...children);
    return made;
  };

  function built() {
    const style = new CSSStyleSheet();
    style.replaceSync(`dialog{--accent:#0b4f6c;--accent-strong:#083a50;--on-accent:#fff;color-scheme:light dark;box-sizing:border-box;width:min(28rem,calc(100vw - 2rem));padding:1.5rem;border:1px solid;border-radius:.5rem;font:1rem/1.5 system-ui,sans-serif}::backdrop{background:#000a}h2{margin:0 0 .5rem;font-size:1.25rem;line-height:1.3}p{margin:0 0 1.25rem}section{display:flex;flex-wrap:wrap;gap:.75rem}button,a{box-sizing:border-box;flex:1 1 auto;min-height:2.75rem;text-align:center;padding:.5rem 1.25rem;border:2px solid;border-radius:.375rem;background:none;color:inherit;font:inherit;font-weight:600;text-decoration:none;cursor:pointer}.main{border-color:var(--accent);background:var(--accent);color:var(--on-accent)}.main:hover{border-color:var(--accent-strong);background:var(--accent-strong)}[hidden]{display:none}:focus-visible{outline:.1875rem solid;outline-offset:.1875rem}.heard{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}@media(prefers-color-scheme:dark){dialog{--accent:#8fd0ec;--accent-strong:#b9e3f5;--on-accent:#0a1d27}}@media print{dialog,::backdrop{display:none}}/* colours */`);
    const title = make("h2", { id: "title" }), seen = make("p"), heard = make("p", { id: "heard", className: "heard" });
    const extend = make("button", { type: "button", className: "main", textContent: says.extend, onclick: prolong });
    const signIn = make("a", { className: "main", textContent: says.sign_in });
    signIn.href = `${place}login?lang=${language}&rt=${encodeURIComponent(back)}`;
    const close = make("button", { type: "button", textContent: says.close, onclick: () => dialog.close() });
    const dialog = make("dialog", { lang: language }, title, seen, heard, make("section", {}, extend, signIn, close));
    dialog.setAttribute("role", "alertdialog");
    dialog.setAttribute("aria-labelledby", "title");
    dialog.setAttribute("aria-describedby", "heard");
    // The visible seconds change too fast to be read out. The text for screen readers changes only now and then.
    seen.setAttribute("aria-hidden", "true");
    heard.setAttribute("role", "status");
    const host = make("div");
    const root = host.attachShadow({ mode: "open" });
    // A style sheet that is made by a script is not subject to the portal's `style-src`.
    root.adoptedStyleSheets = [style];
    root.append(dialog);
    document.body.append(host);
    return { dialog, title, seen, heard, extend, signIn };
  }

  // Opens once for each message. A person who closes it is not asked again.
  function tell(what, title, text) {
    box ??= built();
    box.title.textContent = title;
    box.seen.textContent = box.heard.textContent = text;
    box.extend.hidden = what !== "extendable";
    box.signIn.hidden = what !== "over";
    if (told !== what && !box.dialog.open) box.dialog.showModal();
    told = what;
  }

  function later(run, seconds) {
    clearTimeout(timer);
    timer = setTimeout(run, Math.min(seconds * 1000, 2 ** 31 - 1));
  }

  async function ask(path, method) {
    const body = method === "POST" ? new URLSearchParams() : undefined;
    const answer = await fetch(place + path, { method, body, headers: { Accept: "application/json" }, cache: "no-store" });
    if (answer.status === 401) return null;
    if (!answer.ok) throw new Error(answer.status);
    return answer.json();
  }

  // If the gateway does not answer, no session has ended. The script asks again and says nothing.
  const look = () => ask("session", "GET").then(learn, () => later(look, 30));
  const prolong = () => ask("session/extend", "POST").then(learn, () => later(look, 5));

  function learn(session) {
    if (!session) {
      if (isKnown) tell("over", says.over, says.lost);
      return;
    }
    isKnown = true;
    ends = Date.now() + session.seconds_left * 1000;
    const spare = session.seconds_left - session.warned_before;
    if (spare > 0) {
      told = box?.dialog.close();
      later(look, spare);
    } else {
      const what = session.seconds_to_absolute_end > session.seconds_left ? "extendable" : "final";
      tell(what, says.title, sentence(session.seconds_left, what));
      count(1, what);
    }
  }

  const sentence = (left, what) => inSeconds(left) + (what === "final" ? " " + says.final : "");

  function count(ticks, what) {
    const left = Math.max(0, Math.round((ends - Date.now()) / 1000));
    box.seen.textContent = sentence(left, what);
    // Meanwhile another tab may have extended the session, or ended it.
    later(left === 0 || ticks % 20 === 0 ? look : () => count(ticks + 1, what), 1);
  }

  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  look();
})();
