// Light or dark: as the system says, until somebody switches.

import { keep, recall } from './stored.js';

const STORED = 'antiphon.theme';

export function themeSwitch(button) {
  const system = matchMedia('(prefers-color-scheme: dark)');
  let { chosen } = recall(STORED);
  if (chosen !== 'light' && chosen !== 'dark') chosen = null;
  const show = () => {
    if (chosen) document.documentElement.dataset.theme = chosen;
    button.setAttribute('aria-pressed', String(chosen ? chosen === 'dark' : system.matches));
  };
  system.addEventListener('change', show);
  button.addEventListener('click', () => {
    chosen = button.getAttribute('aria-pressed') === 'true' ? 'light' : 'dark';
    keep(STORED, { chosen });
    show();
  });
  show();
}
