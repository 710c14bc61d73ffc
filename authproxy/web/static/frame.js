// On the page of a refusal in a frame: after the sign-in, the link leads back to the page of the whole window. Without
// this script it leads back to the page that has asked for the frame.
(function () {
  var page, links = document.querySelectorAll("a[data-back]"), at;
  try {
    page = window.top.location.pathname + window.top.location.search;
  } catch (elsewhere) {
    return;
  }
  for (at = 0; at < links.length; at += 1) {
    links[at].href = links[at].href.replace(/([?&]rt=)[^&#]*/, "$1" + encodeURIComponent(page));
  }
}());
