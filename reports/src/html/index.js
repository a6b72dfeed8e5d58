"use strict";
// Niceties only: the page says everything without this script.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let dark = null;
  const theme = Object.assign(document.createElement("button"), { type: "button", className: "theme" });
  const label = () => { theme.textContent = (dark ?? system.matches) ? "Light" : "Dark"; };
  theme.addEventListener("click", () => {
    dark = !(dark ?? system.matches);
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
    label();
  });
  system.addEventListener("change", label);
  label();
  document.body.append(theme);
})();
