// Copies a text. A button has the text in `data-copy-text`, or its address in `data-copy`.

document.addEventListener('click', async (event) => {
  const button = event.target.closest?.('button[data-copy], button[data-copy-text]');
  if (!button) return;
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.copyText ?? await load(button.dataset.copy));
    button.textContent = 'Copied';
  } catch {
    button.textContent = 'Not copied';
  }
  setTimeout(() => { button.textContent = label; }, 2000);
});

const load = async (address) => {
  const response = await fetch(address);
  if (!response.ok) throw new Error(response.status);
  return response.text();
};
