// The sentence of the element under the pointer or with the focus. Escape hides it.
function tips() {
  const tip = $("tip");
  let owner = null;
  const hide = () => {
    owner?.removeAttribute("aria-describedby");
    owner = null;
    tip.hidden = true;
  };
  const showFor = (target) => {
    const next = target instanceof Element ? target.closest("[data-tip]") : null;
    if (next === owner) return;
    hide();
    const sentence = next && SENTENCES[next.dataset.tip];
    if (!sentence) return;
    owner = next;
    owner.setAttribute("aria-describedby", "tip");
    tip.textContent = sentence;
    tip.hidden = false;
    const box = next.getBoundingClientRect();
    const left = Math.min(Math.max(8, box.left), innerWidth - tip.offsetWidth - 8);
    const beneath = box.bottom + 6 + tip.offsetHeight < innerHeight;
    tip.style.left = `${left}px`;
    tip.style.top = `${beneath ? box.bottom + 6 : Math.max(4, box.top - tip.offsetHeight - 6)}px`;
  };
  document.addEventListener("pointerover", (event) => showFor(event.target));
  document.addEventListener("pointerleave", hide);
  document.addEventListener("focusin", (event) => showFor(event.target));
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", hide, true);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
}
