"use strict";
(() => {
  const every = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const form = document.getElementById("filters");

  /* Rows that match the filters; all that is drawn of a row goes with it. */
  function filter() {
    const wanted = Object.fromEntries(new FormData(form));
    const words = (wanted.text || "").toLowerCase().split(/\s+/).filter(Boolean);
    const has = (value, list) => !value || list.split(" ").includes(value);
    let shown = 0;
    let all = 0;
    for (const board of every(".board")) {
      const inside = (!wanted.task || wanted.task === board.dataset.task) && (!wanted.dataset || wanted.dataset === board.dataset.dataset);
      const kept = new Set();
      for (const row of every(".ranking tbody tr", board)) {
        const d = row.dataset;
        const fits = inside && (!wanted.division || wanted.division === d.division) && has(wanted.tag, d.tag) && words.every((w) => d.words.includes(w));
        all += 1;
        if (fits) kept.add(d.s);
      }
      for (const part of every("[data-s]", board)) part.toggleAttribute("hidden", !kept.has(part.dataset.s));
      const whole = kept.size === board.querySelectorAll(".ranking tbody tr").length;
      for (const part of every(".frontier", board)) part.toggleAttribute("hidden", !whole);
      board.hidden = kept.size === 0;
      shown += kept.size;
    }
    document.getElementById("count").textContent = shown === all ? `${all} systems` : `${shown} of ${all} systems`;
  }

  /* Sorting: first click best or A to Z first, second click the other way; what is not known stays last. */
  function sort(heading) {
    const table = heading.closest("table");
    const column = [...heading.parentNode.children].indexOf(heading);
    const value = (row) => row.children[column].dataset.v;
    const rows = every("tbody tr", table);
    const known = rows.filter((row) => value(row) !== "");
    const numbers = known.every((row) => !Number.isNaN(Number(value(row))));
    const first = numbers && !heading.classList.contains("place") ? "descending" : "ascending";
    const second = first === "ascending" ? "descending" : "ascending";
    const order = heading.getAttribute("aria-sort") === first ? second : first;
    const sign = order === "ascending" ? 1 : -1;
    const compare = (a, b) => (numbers ? Number(value(a)) - Number(value(b)) : value(a).localeCompare(value(b)));
    known.sort((a, b) => sign * compare(a, b));
    table.tBodies[0].append(...known, ...rows.filter((row) => value(row) === ""));
    for (const other of heading.parentNode.children) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", order);
  }

  /* A row that is pointed at stands out in the plots of its table. */
  function highlight(event) {
    const board = event.currentTarget;
    const over = event.type === "mouseleave" ? null : event.target.closest(".ranking tr[data-s], .legend [data-s], .plot [data-s]");
    const series = over && board.querySelector(`.figures [data-s="${over.dataset.s}"]`) ? over.dataset.s : null;
    if (board.dataset.over === (series || "")) return;
    board.dataset.over = series || "";
    for (const part of every(".figures [data-s]", board)) part.classList.toggle("faded", series !== null && part.dataset.s !== series);
  }

  /* On a page of many records, what is behind a system is drawn when it is opened, from one compressed block. */
  const packed = document.getElementById("details");
  let unpacked = null;
  function unpack() {
    const bytes = Uint8Array.from(atob(packed.textContent), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  }
  async function draw(part) {
    const details = await (unpacked ??= unpack());
    if (part.childElementCount === 1) part.insertAdjacentHTML("beforeend", details[part.id]);
  }
  async function drawn(id) {
    const details = await (unpacked ??= unpack());
    const holder = Object.keys(details).find((key) => details[key].includes(`id="${id}"`));
    if (holder) await draw(document.getElementById(holder));
    if (holder) location.replace(location.href); // what was not there when the link was followed becomes its target
    return document.getElementById(id);
  }

  /* A link to a closed part opens it. */
  async function open() {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = document.getElementById(id) || (packed && id ? await drawn(id) : null);
    if (!target) return;
    for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
    target.scrollIntoView();
  }

  for (const heading of every(".ranking th[aria-sort]")) heading.addEventListener("click", () => sort(heading));
  for (const board of every(".board")) {
    board.addEventListener("mouseover", highlight);
    board.addEventListener("mouseleave", highlight);
  }
  if (form) {
    form.hidden = false;
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(filter));
    filter();
  }
  if (packed) {
    const opened = (event) => event.target.open && event.target.matches("details.system") && draw(event.target);
    document.addEventListener("toggle", opened, true);
  }
  window.addEventListener("hashchange", open);
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (link && link.getAttribute("href") === location.hash) open();
  });
  open();
})();
