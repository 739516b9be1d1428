-- A hold is placed once, and released as it was placed.
SET ROLE audit_admin;
SELECT audit.place_legal_hold('acme', 'case 7', target => 'customer:1');
SELECT audit.place_legal_hold('acme', 'case 8');
SELECT audit.place_legal_hold('acme', 'again', target => 'customer:1');
SELECT audit.release_legal_hold('acme', 'done', actor => 'user:1');
SELECT audit.place_legal_hold('acme', '');
SELECT audit.place_legal_hold('acme', NULL);
SELECT audit.place_legal_hold('acme', '  ');
SELECT audit.release_legal_hold('acme', '');
SELECT audit.release_legal_hold('acme', NULL);
SELECT audit.release_legal_hold('acme', '  ');
SELECT legal_holds FROM audit.retention('acme');
SELECT audit.release_legal_hold('acme', 'settled');
SELECT audit.release_legal_hold('acme', 'settled', 'customer:1');
SELECT audit.release_legal_hold('acme', 'settled');
SELECT audit.place_legal_hold('acme', 'anew');
SELECT action, details->>'reason' AS reason FROM audit.events('acme', category => 'audit') ORDER BY id;
