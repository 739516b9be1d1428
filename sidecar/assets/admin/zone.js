// Tells the server the time zone of the browser, so that pages show times of that zone.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

if (zone && !document.cookie.split('; ').includes(`audit_zone=${zone}`)) {
  const secure = location.protocol === 'https:' ? '; Secure' : '';
  document.cookie = `audit_zone=${zone}; Path=/admin; Max-Age=31536000; SameSite=Lax${secure}`;
}
