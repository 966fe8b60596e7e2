// Tabs of the inspector, and the one view at a time of a phone.

/** Make a list of tabs work with the mouse and the arrow keys. */
export function tabs(list) {
  const all = [...list.querySelectorAll('[role=tab]')];
  const choose = (chosen) => {
    for (const tab of all) {
      tab.setAttribute('aria-selected', String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
      document.getElementById(tab.getAttribute('aria-controls')).hidden = tab !== chosen;
    }
  };
  for (const tab of all) tab.addEventListener('click', () => choose(tab));
  list.addEventListener('keydown', ({ key }) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (!step) return;
    const next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length];
    choose(next);
    next.focus();
  });
}

/** Make the buttons at the bottom of a phone choose what is shown. */
export function views(nav) {
  nav.addEventListener('click', ({ target }) => {
    const { shows } = target.dataset;
    if (!shows) return;
    document.body.dataset.view = shows;
    for (const button of nav.children) {
      if (button === target) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
    }
  });
}
