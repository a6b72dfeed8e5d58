// Zoom and pan of the lanes. Places within them are percentages: wider lanes are closer, scrolling moves along.
(() => {
  const box = document.querySelector(".lanes");
  if (!box) return;
  document.documentElement.classList.add("js");
  const duration = Number(box.dataset.duration);
  const track = box.querySelector(".ticks");
  const tools = document.querySelector(".lane-tools");
  const detail = document.querySelector(".lane-detail");
  const hours = duration >= 3600e9;
  // A pixel is never less than a tenth of a millisecond, and no browser lays out more than some ten million pixels.
  const most = () => Math.max(1, Math.min(duration / 1e5 / width(), 4e6 / width()));
  let zoom = 1;

  const names = () => box.querySelector(".axis .lane-name").offsetWidth;
  const width = () => Math.max(1, box.clientWidth - names());
  const two = (n) => String(n).padStart(2, "0");
  const clock = (ns, step) => {
    const whole = Math.floor(ns / 1e9 + 1e-9);
    const text = hours ? `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}` : `${Math.floor(whole / 60)}:${two(whole % 60)}`;
    if (step >= 1e9) return text;
    const digits = step >= 1e8 ? 1 : step >= 1e7 ? 2 : step >= 1e6 ? 3 : 4;
    return text + (ns / 1e9 - whole).toFixed(digits).slice(1);
  };

  // Ticks for what is in view: a round step that leaves room for its labels.
  const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500].map((ms) => ms * 1e6)
    .concat([1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400].map((s) => s * 1e9));
  const whole = [...track.children];
  const ticks = () => {
    const visible = width();
    const perPixel = duration / (visible * zoom);
    if (zoom === 1 && visible > 640) return track.replaceChildren(...whole);
    const step = steps.find((s) => s / perPixel >= 92) ?? steps.at(-1);
    const from = Math.max(0, Math.floor((box.scrollLeft - visible) * perPixel / step));
    const to = Math.min(Math.floor(duration / step), Math.ceil((box.scrollLeft + 2 * visible) * perPixel / step));
    const labels = [];
    for (let i = from; i <= to; i++) {
      const label = document.createElement("span");
      label.style.left = `${(i * step / duration) * 100}%`;
      label.textContent = clock(i * step, step);
      labels.push(label);
    }
    track.replaceChildren(...labels);
  };

  const button = (text, label, act) => {
    const element = Object.assign(document.createElement("button"), { type: "button", textContent: text, ariaLabel: label, title: label });
    element.addEventListener("click", act);
    return element;
  };
  const level = Object.assign(document.createElement("span"), { className: "zoom" });

  // Keeps the moment under `pixel` (from the left end of the lanes' view) where it is.
  const zoomTo = (wanted, pixel = width() / 2) => {
    const next = Math.min(most(), Math.max(1, wanted));
    const moment = (box.scrollLeft + pixel) / (width() * zoom);
    zoom = next;
    box.style.setProperty("--zoom", zoom);
    box.scrollLeft = moment * width() * zoom - pixel;
    level.textContent = zoom < 10 ? `${Number(zoom.toPrecision(2))}×` : `${Math.round(zoom).toLocaleString("en-US")}×`;
    ticks();
  };
  const show = (ns) => { box.scrollLeft = (ns / duration) * width() * zoom - width() / 2; };

  // Events and states, in order of time; one of them may be chosen.
  const items = [...box.querySelectorAll("[data-at]")].sort((a, b) => a.dataset.at - b.dataset.at);
  let chosen = null;
  const choose = (item, move) => {
    chosen?.classList.remove("chosen");
    chosen = item;
    if (!item) { detail.hidden = true; return; }
    item.classList.add("chosen");
    const lane = item.closest(".lane").querySelector(".lane-name").textContent;
    detail.textContent = `${lane} · ${item.title}`;
    detail.hidden = false;
    if (move) {
      show(Number(item.dataset.at));
      const row = item.closest(".lane");
      const above = row.offsetTop - 34 < box.scrollTop;
      if (above || row.offsetTop + row.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = row.offsetTop - 80;
    }
  };
  const shown = (item) => !item.closest(".lane").hidden;
  const step = (by) => {
    const list = items.filter(shown);
    if (!list.length) return;
    const at = list.indexOf(chosen);
    choose(list[at < 0 ? (by > 0 ? 0 : list.length - 1) : Math.min(list.length - 1, Math.max(0, at + by))], true);
  };

  tools.append(
    button("−", "Zoom out", () => zoomTo(zoom / 2)), button("+", "Zoom in", () => zoomTo(zoom * 2)),
    button("Whole run", "Show the whole run", () => zoomTo(1)), level,
    button("‹ Previous", "Previous event", () => step(-1)), button("Next ›", "Next event", () => step(1)),
  );
  const lanes = [...box.querySelectorAll(".lane:not(.axis):not(.federation)")];
  if (lanes.length > 12) {
    const search = Object.assign(document.createElement("input"), { type: "search", placeholder: "Filter lanes", ariaLabel: "Filter the lanes by name" });
    search.addEventListener("input", () => {
      const words = search.value.toLowerCase();
      for (const lane of lanes) lane.hidden = !lane.firstChild.textContent.toLowerCase().includes(words);
    });
    tools.append(search);
  }
  tools.hidden = false;
  document.querySelector(".hint").hidden = false;

  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      "+": () => zoomTo(zoom * 2), "=": () => zoomTo(zoom * 2), "-": () => zoomTo(zoom / 2), "0": () => zoomTo(1),
      n: () => step(1), p: () => step(-1), Escape: () => choose(null),
      ArrowLeft: () => { box.scrollLeft -= width() / 6; }, ArrowRight: () => { box.scrollLeft += width() / 6; },
      Home: () => { box.scrollLeft = 0; }, End: () => { box.scrollLeft = box.scrollWidth; },
    }[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  box.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoomTo(zoom * 2 ** (-event.deltaY / 240), event.clientX - box.getBoundingClientRect().left - names());
  }, { passive: false });
  box.addEventListener("scroll", ticks, { passive: true });
  addEventListener("resize", () => zoomTo(zoom));

  // Dragging with a mouse; fingers scroll by themselves.
  let from = null;
  box.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" && event.button === 0) from = { x: event.clientX, y: event.clientY, left: box.scrollLeft, top: box.scrollTop, far: false };
  });
  addEventListener("pointermove", (event) => {
    if (!from) return;
    from.far ||= Math.abs(event.clientX - from.x) > 4;
    if (!from.far) return;
    box.classList.add("grabbing");
    box.scrollLeft = from.left - (event.clientX - from.x);
    box.scrollTop = from.top - (event.clientY - from.y);
  });
  addEventListener("pointerup", () => {
    const dragged = from?.far;
    from = null;
    box.classList.remove("grabbing");
    if (dragged) addEventListener("click", (event) => event.stopPropagation(), { capture: true, once: true });
  });
  box.addEventListener("click", (event) => choose(event.target.closest("[data-at]"), false));
  box.addEventListener("dblclick", (event) => zoomTo(zoom * 4, event.clientX - box.getBoundingClientRect().left - names()));

  // A call's row opens its hops, wherever it is clicked.
  for (const row of document.querySelectorAll(".samples .sample")) {
    const hops = row.nextElementSibling?.querySelector("details");
    if (!hops) continue;
    row.style.cursor = "pointer";
    row.addEventListener("click", () => { if (!String(getSelection())) hops.open = !hops.open; });
  }
  zoomTo(1);
})();
