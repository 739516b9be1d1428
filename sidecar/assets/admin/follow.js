// Loads new events every few seconds. It waits while the reader has an event open, and while nobody sees the page.

const SECONDS = 5;

setInterval(() => {
  const results = document.querySelector('[data-follow]');
  if (results && !document.hidden && !results.querySelector('tr.detail')) {
    results.dispatchEvent(new Event('follow'));
  }
}, SECONDS * 1000);
