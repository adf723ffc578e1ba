// Light or dark: the system's choice until a button with `data-theme-toggle` says otherwise.
// A classic script in the head, so that a page never flashes in the wrong colours.
(() => {
  const KEPT = "imageedit.theme";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const current = () => root.dataset.theme ?? (system.matches ? "dark" : "light");

  let kept = null;
  try {
    kept = localStorage.getItem(KEPT);
  } catch {
    // A browser that keeps nothing has the system's choice.
  }
  if (kept === "light" || kept === "dark") root.dataset.theme = kept;

  function label() {
    for (const button of document.querySelectorAll("[data-theme-toggle]")) {
      const other = current() === "dark" ? "light" : "dark";
      button.setAttribute("aria-label", `Switch to ${other} colours`);
      button.title = `Switch to ${other} colours`;
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    label();
    system.addEventListener("change", label);
    document.addEventListener("click", (event) => {
      if (!event.target.closest("[data-theme-toggle]")) return;
      root.dataset.theme = current() === "dark" ? "light" : "dark";
      try {
        localStorage.setItem(KEPT, root.dataset.theme);
      } catch {
        // It holds for this page then.
      }
      label();
    });
  });
})();
