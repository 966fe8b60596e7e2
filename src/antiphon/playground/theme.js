// Light or dark: as the system says, until somebody switches.

const STORED = 'antiphon.theme';

export function themeSwitch(button) {
  const system = matchMedia('(prefers-color-scheme: dark)');
  const show = () => {
    const chosen = localStorage.getItem(STORED);
    if (chosen) document.documentElement.dataset.theme = chosen;
    button.setAttribute('aria-pressed', String(chosen ? chosen === 'dark' : system.matches));
  };
  system.addEventListener('change', show);
  button.addEventListener('click', () => {
    localStorage.setItem(STORED, button.getAttribute('aria-pressed') === 'true' ? 'light' : 'dark');
    show();
  });
  show();
}
