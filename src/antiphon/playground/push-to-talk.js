// The button to hold while speaking, and the space bar that does the same.

/** Call `press` and `release` as the button or the space bar is held and let go. */
export function pushToTalk(button, { press, release }) {
  let held = false;
  const down = () => {
    if (held) return;
    held = true;
    press();
  };
  const up = () => {
    if (!held) return;
    held = false;
    release();
  };
  button.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    down();
  });
  for (const end of ['pointerup', 'pointercancel', 'lostpointercapture']) button.addEventListener(end, up);
  button.addEventListener('contextmenu', (event) => event.preventDefault()); // a long press on a phone
  addEventListener('keydown', (event) => {
    if (event.code !== 'Space' || button.hidden || takesSpace(event.target, button)) return;
    event.preventDefault();
    if (!event.repeat) down();
  });
  addEventListener('keyup', (event) => {
    if (event.code === 'Space') up();
  });
  addEventListener('blur', up);
}

/** Tell whether the space bar means something to `target` itself. */
function takesSpace(target, button) {
  return target !== button && target.closest('input, textarea, select, button, summary, dialog') !== null;
}
