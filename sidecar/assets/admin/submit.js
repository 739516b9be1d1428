// Sends the form of a viewer link. The host application opened the link, so nobody needs to press the button.

document.querySelector('form[data-submit]')?.requestSubmit();
