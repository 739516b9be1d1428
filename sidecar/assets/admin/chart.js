// Makes the bars of a chart one stop of the tab key. Arrow keys move between them.

const bars = (bar) => [...bar.closest('svg').querySelectorAll('a')];

document.addEventListener('focusin', (event) => {
  const bar = event.target.closest?.('.chart a');
  if (bar) bars(bar).forEach((other) => other.setAttribute('tabindex', other === bar ? '0' : '-1'));
});

document.addEventListener('keydown', (event) => {
  const bar = event.target.closest?.('.chart a');
  if (!bar || event.altKey || event.ctrlKey || event.metaKey) return;
  const all = bars(bar);
  const at = all.indexOf(bar);
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: all.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  all[Math.min(Math.max(to, 0), all.length - 1)].focus();
});
