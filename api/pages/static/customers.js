// Customers: days in the reader's words; in the search arrow keys go from the field through what is found, and what cannot be
// answered is said.
(() => {
  "use strict";
  const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });
  const tell = (root) => root.querySelectorAll("[data-day]").forEach((each) => {
    each.textContent = day.format(new Date(each.dataset.day));
  });
  tell(document);
  document.body.addEventListener("htmx:load", (event) => tell(event.detail.elt));

  const input = document.getElementById("search");
  if (!input) return;

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.isComposing) return;
    const links = [...document.querySelectorAll("#found a.open")];
    const at = links.indexOf(document.activeElement);
    if (at < 0 && document.activeElement !== input) return;
    const inList = at >= 0;
    const to = {
      ArrowDown: links[Math.min(at + 1, links.length - 1)],
      ArrowUp: inList && (links[at - 1] || input),
      Home: inList && links[0],
      End: inList && links[links.length - 1],
      Escape: inList && input,
    }[event.key];
    if (to) {
      event.preventDefault();
      to.focus();
      to.scrollIntoView({ block: "nearest" });
    }
  });

  const failed = () => {
    document.getElementById("count").textContent = "The search was not answered. What is below may be of another text: search again.";
  };
  document.body.addEventListener("htmx:responseError", failed);
  document.body.addEventListener("htmx:sendError", failed);
})();
