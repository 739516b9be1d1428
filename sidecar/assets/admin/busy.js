// Shows that a query is running, and lets the reader stop it.

const status = document.querySelector('[data-busy]');

document.querySelector('form.filters')?.addEventListener('submit', (event) => {
  if (event.target.hasAttribute('data-download') || !status) return;
  // A fast answer must not make the page flicker.
  setTimeout(() => { status.hidden = false; }, 300);
});

status?.querySelector('button').addEventListener('click', () => {
  window.stop();
  status.hidden = true;
});

// A page that the browser keeps must not look busy when the reader comes back.
window.addEventListener('pageshow', () => { if (status) status.hidden = true; });
