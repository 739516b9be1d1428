-- Arguments of audit.append that are refused.
SELECT audit.append('', 'acme');
SELECT audit.append(NULL, 'acme');
SELECT audit.append('x', 'acme', targets => array_fill('t'::text, ARRAY[1001]));
SELECT audit.append('x', 'acme', targets => '{a,NULL}');
SELECT audit.append('x', 'acme', targets => ARRAY[repeat('t', 1001)]);
SELECT audit.append('x', 'acme', outcome => 'maybe');
SELECT audit.append('x', 'acme', details => '[]');
SELECT audit.append('x', 'acme', details => '7');
SELECT audit.append('x', 'acme', details => 'null');
SELECT audit.append('x', 'acme', details => '"text"');
SELECT audit.append('x');
SELECT count(*) FROM audit.event;
