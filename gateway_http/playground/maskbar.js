// The buttons over the canvas.

import { $ } from "./element.js";
import { maskFile, readMask, save } from "./pictures.js";
import { Tools } from "./tools.js";

const ZOOM = 1.25;

/**
 * Bind them. `changed` is called with each change of the mask, `say` with what went wrong.
 * Returns `tell`, which shows how much is selected.
 */
export function bindMaskBar(stage, pictures, changed, say) {
  const tools = new Tools(stage, (what) => {
    if (what === "mask") changed();
    if (what === "tool") showTool();
    if (what === "view") showZoom();
  });
  const on = (id, act) => $(id).addEventListener("click", act);
  const change = (act) => () => {
    stage.refresh(act(pictures.mask));
    changed();
  };

  function showTool() {
    for (const button of document.querySelectorAll("[data-tool]")) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === tools.tool));
    }
    $("brush-size").value = tools.size;
    $("brush-size-told").textContent = `${tools.size} px`;
    stage.canvas.dataset.tool = tools.tool;
  }

  function showZoom() {
    $("zoom-fit").textContent = `${Math.round(stage.view.scale * 100)} %`;
  }

  function feather() {
    stage.feathered = !stage.feathered;
    $("feather").setAttribute("aria-pressed", String(stage.feathered));
  }

  for (const button of document.querySelectorAll("[data-tool]")) {
    button.addEventListener("click", () => tools.take(button.dataset.tool));
  }
  $("brush-size").addEventListener("input", ({ target }) => tools.resize(Number(target.value)));
  on("undo", change((mask) => mask.undo()));
  on("redo", change((mask) => mask.redo()));
  on("invert", change((mask) => mask.invert()));
  on("clear", change((mask) => mask.clear()));
  on("feather", feather);
  on("zoom-in", () => tools.zoom(ZOOM));
  on("zoom-out", () => tools.zoom(1 / ZOOM));
  on("zoom-fit", () => tools.zoom(0));
  on("load-mask", () => $("mask-file").click());
  on("save-mask", async () => {
    const [{ name }] = pictures.images;
    save(await maskFile(pictures.mask), `${name.replace(/\.[^.]*$/, "")}-mask.png`);
  });
  on("box-add", () => {
    const [left, top, width, height] = ["left", "top", "width", "height"].map((name) => Number($(`box-${name}`).value));
    pictures.mask.begin();
    stage.refresh(pictures.mask.rectangle(left, top, left + width, top + height, 255));
    pictures.mask.commit();
    changed();
  });
  $("mask-file").addEventListener("change", async ({ target }) => {
    const [file] = target.files;
    target.value = "";
    const { mask } = pictures;
    try {
      const levels = await readMask(file, mask.width, mask.height);
      stage.refresh(mask.load(levels));
      changed();
    } catch (error) {
      say(error.message);
    }
  });
  stage.canvas.addEventListener("viewchange", showZoom);

  document.addEventListener("keydown", (event) => {
    if (!pictures.mask || event.target.closest("input:not([type=range]), textarea, select")) return;
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey) {
      const redo = key === "y" || (key === "z" && event.shiftKey);
      if (!redo && key !== "z") return;
      event.preventDefault();
      change((mask) => (redo ? mask.redo() : mask.undo()))();
    } else if (event.target === stage.canvas && key === "i") change((mask) => mask.invert())();
    else if (event.target === stage.canvas && key === "f") feather();
  });

  showTool();
  return {
    tell(selected) {
      $("undo").disabled = !pictures.mask?.canUndo;
      $("redo").disabled = !pictures.mask?.canRedo;
      if (!pictures.mask) return;
      const share = (100 * selected) / pictures.mask.levels.length;
      const said = share < 0.1 ? "under 0.1" : share.toFixed(1);
      say(selected ? `The mask selects ${said} % of the picture; the rest stays as it is.` : "No mask: the whole picture may change.");
    },
  };
}
