"use strict";
// Niceties only: the page says everything without this script.
(() => {
  const series = JSON.parse(document.getElementById("series").textContent);
  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  // Theme: the system's choice, until someone presses the button.
  const system = matchMedia("(prefers-color-scheme: dark)");
  let dark = null;
  const theme = make("button", { type: "button", className: "theme" });
  const label = () => { theme.textContent = (dark ?? system.matches) ? "Light" : "Dark"; };
  theme.addEventListener("click", () => {
    dark = !(dark ?? system.matches);
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
    label();
  });
  system.addEventListener("change", label);
  label();
  document.body.append(theme);

  // Copying the replay command, where the browser allows it (not every one does for a local file).
  const command = document.getElementById("replay-command");
  if (navigator.clipboard) {
    const copy = make("button", { type: "button" }, "Copy");
    copy.addEventListener("click", async () => {
      try { await navigator.clipboard.writeText(command.textContent); copy.textContent = "Copied"; }
      catch { getSelection().selectAllChildren(command); copy.textContent = "Selected"; }
      setTimeout(() => { copy.textContent = "Copy"; }, 1500);
    });
    command.after(copy);
  }

  // Read-out under the pointer, with one cursor through all charts.
  const hours = series.duration >= 3600e9;
  const two = (n) => String(n).padStart(2, "0");
  const clock = (ns) => {
    const s = Math.floor(ns / 1e9);
    return hours ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
  };
  const latency = (ns) => ns >= 1e9 ? `${(ns / 1e9).toPrecision(3)} s` : ns >= 1e6 ? `${(ns / 1e6).toPrecision(3)} ms` : `${Math.round(ns / 1e3)} µs`;
  const count = (n) => n.toLocaleString("en-US");
  const containing = (points, at) => points.find((p) => at >= p[0] && at < p[0] + p[1]);
  const nearest = (points, at) => points.reduce((best, p) => Math.abs(p[0] - at) < Math.abs(best[0] - at) ? p : best, points[0]);
  const interval = (p) => `${clock(p[0])} to ${clock(p[0] + p[1])}`;
  const faults = (at) => series.bands
    .map(([start, end], i) => at >= start && (end === null || at < end) ? ` · F${i + 1}` : "").join("");
  const readouts = {
    latency: (at) => {
      const p = containing(series.latency, at);
      if (!p || p[2] === 0) return `${clock(at)}${faults(at)}\nno calls that succeeded`;
      return `${interval(p)}${faults(at)}\n${count(p[2])} calls\nmedian ${latency(p[3])}\n90th ${latency(p[4])}\n99th ${latency(p[5])}\nslowest ${latency(p[6])}`;
    },
    rate: (at) => {
      const p = containing(series.rate, at);
      if (!p) return `${clock(at)}${faults(at)}\nno calls`;
      return `${interval(p)}${faults(at)}\n${count(p[2])} succeeded\n${count(p[3])} failed, path broken\n${count(p[4])} failed unexpectedly`;
    },
    convergence: (at) => {
      const p = nearest(series.convergence, at);
      return `from ${clock(p[0])}\n${p[1] === null ? "not settled" : `settled after ${latency(p[1])}`}`;
    },
    likelihood: (at) => {
      const p = nearest(series.likelihood, at);
      return `from ${clock(p[0])}\n${count(p[2])} of ${count(p[1])} runs fail`;
    },
  };
  series.levels.forEach(({ bytes, points }, i) => {
    const amount = (n) => !bytes ? count(n) : n < 1024 ? `${n} B` : n < 1048576 ? `${(n / 1024).toPrecision(3)} KiB` : `${(n / 1048576).toPrecision(3)} MiB`;
    readouts[`level${i}`] = (at) => {
      const p = containing(points, at);
      return p ? `${interval(p)}${faults(at)}\nmean ${amount(p[2])}\nmost ${amount(p[3])}` : `${clock(at)}\nnot seen`;
    };
  });
  const cursors = document.querySelectorAll(".cursor");
  const hide = () => {
    for (const c of cursors) c.style.visibility = "hidden";
    for (const r of document.querySelectorAll(".readout")) r.style.visibility = "hidden";
  };
  for (const plot of document.querySelectorAll(".plot")) {
    const canvas = plot.closest(".canvas");
    const readout = make("div", { className: "readout" });
    canvas.append(readout);
    plot.addEventListener("pointermove", (event) => {
      const box = plot.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      hide();
      for (const c of cursors) {
        c.setAttribute("x1", `${share * 100}%`);
        c.setAttribute("x2", `${share * 100}%`);
        c.style.visibility = "visible";
      }
      readout.textContent = readouts[plot.dataset.plot](share * series.duration);
      const outer = canvas.getBoundingClientRect();
      const x = event.clientX - outer.left;
      const beside = x + 16 + readout.offsetWidth > outer.width ? x - 16 - readout.offsetWidth : x + 16;
      readout.style.left = `${Math.max(0, beside)}px`;
      readout.style.top = "24px";
      readout.style.visibility = "visible";
    });
    plot.addEventListener("pointerleave", hide);
  }

  // Filter of the timeline: by kind, and by what is typed.
  const filter = document.querySelector(".filter");
  if (filter) {
    const rows = [...document.querySelectorAll(".timeline tbody tr")];
    const hiddenKinds = new Set();
    const search = make("input", { type: "search", placeholder: "Filter", ariaLabel: "Filter the events by text" });
    const apply = () => {
      const words = search.value.toLowerCase();
      for (const row of rows) {
        row.hidden = hiddenKinds.has(row.dataset.kind) || !row.textContent.toLowerCase().includes(words);
      }
    };
    for (const kind of [...new Set(rows.map((row) => row.dataset.kind))].sort()) {
      const button = make("button", { type: "button", ariaPressed: "true" }, kind);
      button.addEventListener("click", () => {
        const hidden = !hiddenKinds.delete(kind);
        if (hidden) hiddenKinds.add(kind);
        button.ariaPressed = String(!hidden);
        apply();
      });
      filter.append(button);
    }
    search.addEventListener("input", apply);
    filter.append(search);
    filter.hidden = false;
  }
})();
