// Tells the page that a download has begun, so that it shows the progress.

const announce = () => {
  // The server needs a moment to begin.
  for (const wait of [300, 1500, 4000]) {
    setTimeout(() => document.body.dispatchEvent(new Event('download')), wait);
  }
};

document.addEventListener('click', (event) => {
  if (event.target.closest?.('a[download]')) announce();
});

document.addEventListener('submit', (event) => {
  if (event.target.hasAttribute('data-download') && !event.submitter?.hasAttribute('formaction')) announce();
});
