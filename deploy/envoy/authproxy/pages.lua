-- The page that Envoy shows while the gateway or a portal is away: Slovene, or English for browsers that put
-- it first. `authproxy proxy-pages envoy FILE -c authproxy.yaml` writes this file anew with the names,
-- colours, logos and contacts of the settings. Browsers apply the style because its digest stands in the
-- policy: do not change the style by hand.

local pages = {
  [" sl"] = {
    policy = "default-src 'none'; style-src 'sha256-N8fjjxMqMFVrsEDGSZFXoqR14j6v0gsCs5ux3pHobIk='; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    body = [==[
<!doctype html>
<html lang="sl"><head><meta charset="utf-8"><title>Trenutno ni na voljo</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><base target="_top">
<style>
:root { color-scheme: light dark; --ground: #eef2f5; --sheet: #fff; --text: #17242d; --muted: #4a5a66; --line: #c5d0d8; --accent: #0b4f6c; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #0f171c; --sheet: #18232a; --text: #e8eef2; --muted: #aebcc6; --line: #3a4a55; --accent: #8fd0ec; }
}
* { box-sizing: border-box; }
html { font: 100%/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif; }
body { display: flex; flex-direction: column; min-height: 100vh; margin: 0; background: var(--ground); color: var(--text); overflow-wrap: break-word; }
header, footer { padding: 0 1rem; background: var(--sheet); }
header { border-bottom: 1px solid var(--line); box-shadow: inset 0 .25rem var(--accent); }
header > div, footer p { max-width: 42rem; margin: 0 auto; }
header > div { display: flex; gap: 1rem; align-items: center; padding: 1.25rem 0 1rem; }
header img { flex: none; max-width: 40%; object-fit: contain; }
header p { min-width: 0; margin: 0; line-height: 1.3; }
header b, header span { display: block; }
header b { font-size: 1.125rem; }
header span { color: var(--muted); font-size: .9375rem; }
main { width: calc(100% - 2rem); max-width: 42rem; margin: clamp(1rem, 4vw, 2.5rem) auto; padding: clamp(1.25rem, 5vw, 2.5rem); }
main { background: var(--sheet); border: 1px solid var(--line); border-radius: .5rem; }
h1 { margin: 0 0 1rem; font-size: clamp(1.5rem, 1.2rem + 1.5vw, 2rem); line-height: 1.2; text-wrap: balance; }
p { margin: 0 0 1rem; }
main > :last-child { margin: 0; color: var(--muted); }
a { color: var(--accent); text-underline-offset: .15em; }
a[href^="tel:"] { white-space: nowrap; }
main a, footer a { display: inline-block; padding: .6rem 0; }
code { display: block; color: var(--text); font: .875rem/1.5 ui-monospace, "Liberation Mono", monospace; overflow-wrap: anywhere; user-select: all; }
footer { margin-top: auto; border-top: 1px solid var(--line); font-size: .9375rem; color: var(--muted); }
footer p { padding: .35rem 0; }
:focus-visible { outline: .1875rem solid var(--text); outline-offset: .1875rem; }
@media print { body { background: none; } main { width: auto; padding: 0; border: 0; } }
</style></head>
<body><header><div><img src="data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCA0MCA0MCI+PHBhdGggZmlsbD0iIzBiNGY2YyIgc3Ryb2tlPSIjOGZkMGVjIiBzdHJva2Utd2lkdGg9IjEuNTAwIiBkPSJNMjAgMiA1IDh2MTFjMCA5LjUwMCA2LjMwMCAxNi4zMDAgMTUgMTkgOC43MDAtMi43MDAgMTUtOS41MDAgMTUtMTlWOHoiLz48cGF0aCBmaWxsPSIjZmZmIiBkPSJNMTMgMjlWMThhNyA3IDAgMCAxIDE0IDB2MTFoLTMuNTAwVjE4YTMuNTAwIDMuNTAwIDAgMCAwLTcgMHYxMXoiLz48L3N2Zz4=" alt="" height="44"><p><span>Bankart Varni Spletni Prehod</span></p></div></header>
<main><h1>Trenutno ni na voljo</h1>
<p>Vaše prijave trenutno ni mogoče preveriti. Če ste prijavljeni, vaša prijava še velja. Prosimo, osvežite stran čez nekaj trenutkov.</p>
<p>Oznaka zahteve: <code>$request_id</code></p></main></body></html>
]==],
  },
  [" en"] = {
    policy = "default-src 'none'; style-src 'sha256-N8fjjxMqMFVrsEDGSZFXoqR14j6v0gsCs5ux3pHobIk='; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    body = [==[
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Temporarily unavailable</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><base target="_top">
<style>
:root { color-scheme: light dark; --ground: #eef2f5; --sheet: #fff; --text: #17242d; --muted: #4a5a66; --line: #c5d0d8; --accent: #0b4f6c; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #0f171c; --sheet: #18232a; --text: #e8eef2; --muted: #aebcc6; --line: #3a4a55; --accent: #8fd0ec; }
}
* { box-sizing: border-box; }
html { font: 100%/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif; }
body { display: flex; flex-direction: column; min-height: 100vh; margin: 0; background: var(--ground); color: var(--text); overflow-wrap: break-word; }
header, footer { padding: 0 1rem; background: var(--sheet); }
header { border-bottom: 1px solid var(--line); box-shadow: inset 0 .25rem var(--accent); }
header > div, footer p { max-width: 42rem; margin: 0 auto; }
header > div { display: flex; gap: 1rem; align-items: center; padding: 1.25rem 0 1rem; }
header img { flex: none; max-width: 40%; object-fit: contain; }
header p { min-width: 0; margin: 0; line-height: 1.3; }
header b, header span { display: block; }
header b { font-size: 1.125rem; }
header span { color: var(--muted); font-size: .9375rem; }
main { width: calc(100% - 2rem); max-width: 42rem; margin: clamp(1rem, 4vw, 2.5rem) auto; padding: clamp(1.25rem, 5vw, 2.5rem); }
main { background: var(--sheet); border: 1px solid var(--line); border-radius: .5rem; }
h1 { margin: 0 0 1rem; font-size: clamp(1.5rem, 1.2rem + 1.5vw, 2rem); line-height: 1.2; text-wrap: balance; }
p { margin: 0 0 1rem; }
main > :last-child { margin: 0; color: var(--muted); }
a { color: var(--accent); text-underline-offset: .15em; }
a[href^="tel:"] { white-space: nowrap; }
main a, footer a { display: inline-block; padding: .6rem 0; }
code { display: block; color: var(--text); font: .875rem/1.5 ui-monospace, "Liberation Mono", monospace; overflow-wrap: anywhere; user-select: all; }
footer { margin-top: auto; border-top: 1px solid var(--line); font-size: .9375rem; color: var(--muted); }
footer p { padding: .35rem 0; }
:focus-visible { outline: .1875rem solid var(--text); outline-offset: .1875rem; }
@media print { body { background: none; } main { width: auto; padding: 0; border: 0; } }
</style></head>
<body><header><div><img src="data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCA0MCA0MCI+PHBhdGggZmlsbD0iIzBiNGY2YyIgc3Ryb2tlPSIjOGZkMGVjIiBzdHJva2Utd2lkdGg9IjEuNTAwIiBkPSJNMjAgMiA1IDh2MTFjMCA5LjUwMCA2LjMwMCAxNi4zMDAgMTUgMTkgOC43MDAtMi43MDAgMTUtOS41MDAgMTUtMTlWOHoiLz48cGF0aCBmaWxsPSIjZmZmIiBkPSJNMTMgMjlWMThhNyA3IDAgMCAxIDE0IDB2MTFoLTMuNTAwVjE4YTMuNTAwIDMuNTAwIDAgMCAwLTcgMHYxMXoiLz48L3N2Zz4=" alt="" height="44"><p><span>Bankart Secure Web Gateway</span></p></div></header>
<main><h1>Temporarily unavailable</h1>
<p>Your sign-in cannot be checked at the moment. If you are signed in, you stay signed in. Please reload the page in a few moments.</p>
<p>Request: <code>$request_id</code></p></main></body></html>
]==],
  },
}

-- local_reply_config gives its answers for people a field with host, language and id of the request.
function envoy_on_response(handle)
  local headers = handle:headers()
  local said = headers:get("x-authproxy-page")
  headers:remove("x-authproxy-page")
  if not said or tonumber(headers:get(":status")) < 502 then return end
  local host, id, language = string.match(said, "^([^ :]*)[^ ]* ([^ ]*) (.*)$")
  language = string.match(string.lower(language or ""), "^en") and "en" or "sl"
  local page = pages[string.lower(host or "") .. " " .. language] or pages[" " .. language]
  -- Once the body is there, Envoy has sent the headers.
  headers:replace("content-security-policy", page.policy)
  local body = string.gsub(page.body, "$request_id", id or "")
  handle:body():setBytes(body)
end
