// What pages do beyond HTML: moments in the reader's zone, forms' tokens for htmx, parts that renew themselves.
(() => {
  "use strict";
  const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

  function length(seconds) {
    for (const [unit, size] of units) {
      if (seconds >= size) return `${Math.round(seconds / size)} ${unit}`;
    }
    return "0 s";
  }

  function tell(time) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) return;
    const passed = (Date.now() - at.getTime()) / 1000;
    const text = !("ago" in time.dataset) ? full.format(at) : passed >= 0 ? `${length(passed)} ago` : `in ${length(-passed)}`;
    if (time.textContent !== text) time.textContent = text;
  }

  function tellAll(root) {
    root.querySelectorAll("time[datetime]").forEach(tell);
    root.querySelectorAll("[data-clock]").forEach((label) => {
      label.textContent = clock.format(new Date(label.dataset.clock));
    });
  }

  tellAll(document);
  document.body.addEventListener("htmx:load", (event) => tellAll(event.detail.elt));
  setInterval(() => document.querySelectorAll("time[data-ago]").forEach(tell), 10000);

  document.body.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["x-form-token"] = document.body.dataset.token || "";
  });

  // An address holds the filters that are used, and not those that were left empty
  document.addEventListener("formdata", (event) => {
    if (event.target.method !== "get") return;
    for (const [name, value] of [...event.formData]) {
      if (value === "") event.formData.delete(name);
    }
  });

  // Makes one node like another. What is alike stays, with its focus, its scroll position and what is opened in it.
  function renew(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
      old.replaceWith(fresh);
    } else if (old.nodeType !== Node.ELEMENT_NODE) {
      old.nodeValue = fresh.nodeValue;
    } else {
      renewAttributes(old, fresh);
      renewChildren(old, fresh);
    }
  }

  function renewAttributes(old, fresh) {
    for (const { name, value } of [...fresh.attributes]) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    }
  }

  function renewChildren(old, fresh) {
    const next = [...fresh.childNodes];
    [...old.childNodes].forEach((child, place) => (place < next.length ? renew(child, next[place]) : child.remove()));
    old.append(...next.slice(old.childNodes.length));
  }

  // <section data-live="/address">: is sent again whenever it changed. Only a page that is looked at asks: browsers keep few
  // connections to one server, and a stream takes one.
  const live = [...document.querySelectorAll("[data-live]")];
  const again = 15000; // milliseconds after which a stream that was refused is asked for once more
  const patience = 10000; // milliseconds without a stream after which the page says that it is old
  const note = document.createElement("p");
  note.className = "error";
  note.setAttribute("role", "status");
  let source = null;
  let since = new Date(); // when there was a stream last; null while there is one
  let telling = 0;

  function show(event) {
    const { part, html } = JSON.parse(event.data);
    const found = live.find((each) => each.dataset.live === part);
    if (!found || found.contains(document.activeElement) && document.activeElement.matches("input, textarea, select")) return;
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    tellAll(fresh.content);
    renewChildren(found, fresh.content);
    if (window.htmx) htmx.process(found);
  }

  function isBack() {
    since = null;
    clearTimeout(telling);
    telling = 0;
    note.remove();
  }

  function isAway() {
    since ??= new Date();
    telling ||= setTimeout(() => {
      note.textContent = `Not renewed since ${full.format(since)}.`;
      if (!note.isConnected) document.getElementById("main").prepend(note);
    }, patience);
  }

  // Where the session is over each address leads to the door: so must a page that nobody loads again
  async function goWhenOver() {
    const answer = await fetch(location.href, { method: "HEAD", redirect: "manual" }).catch(() => null);
    if (answer?.type === "opaqueredirect") location.replace(location.pathname + location.search);
  }

  function leave() {
    since ??= new Date();
    clearTimeout(telling);
    telling = 0;
    source?.close();
    source = null;
  }

  function follow() {
    leave();
    if (document.hidden) return;
    const addresses = live.map((part) => ["part", part.dataset.live]);
    const mine = source = new EventSource(`/events?${new URLSearchParams(addresses)}`);
    mine.onopen = isBack;
    mine.onmessage = show;
    mine.onerror = () => {
      isAway();
      if (mine.readyState !== EventSource.CLOSED) return;
      goWhenOver();
      setTimeout(() => mine === source && follow(), again);
    };
  }

  if (live.length) {
    follow();
    document.addEventListener("visibilitychange", follow);
    addEventListener("pagehide", leave);
    addEventListener("pageshow", (event) => event.persisted && follow());
  }

  // "/" goes to the search of the page, where there is one
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, textarea, select, [contenteditable]")) return;
    const search = document.querySelector("input[type=search]");
    if (search) {
      event.preventDefault();
      search.focus();
    }
  });
})();
