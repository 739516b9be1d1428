// Copies a text. A button has the address of the text in `data-copy`.

document.addEventListener('click', async (event) => {
  const button = event.target.closest?.('button[data-copy]');
  if (!button) return;
  const label = button.textContent;
  try {
    const response = await fetch(button.dataset.copy);
    if (!response.ok) throw new Error(response.status);
    await navigator.clipboard.writeText(await response.text());
    button.textContent = 'Copied';
  } catch {
    button.textContent = 'Not copied';
  }
  setTimeout(() => { button.textContent = label; }, 2000);
});
