// Opens an event below its row, and closes it again. htmx loads it.

document.documentElement.classList.add('scripted');

document.addEventListener('click', (event) => {
  const button = event.target.closest?.('button.expand');
  if (!button) return;
  const detail = button.closest('tr').nextElementSibling;
  const isOpen = detail?.classList.contains('detail');
  button.setAttribute('aria-expanded', String(!isOpen));
  if (isOpen) {
    detail.remove();
    event.stopImmediatePropagation();
  }
}, true);
