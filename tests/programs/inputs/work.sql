CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, place TEXT, amount REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO item SELECT i, 'item ' || (i * 7919 % 20011), substr('abcdefghijklmnopqrstuvwxyz', 1 + i % 20, 6), i * 0.25 FROM n;
CREATE INDEX by_name ON item(name);
SELECT place, count(*), sum(amount), max(name) FROM item GROUP BY place ORDER BY place;
SELECT length(group_concat(name, ', ')) FROM (SELECT name FROM item ORDER BY name DESC);
CREATE VIRTUAL TABLE words USING fts5(text);
INSERT INTO words SELECT name || ' at ' || place FROM item WHERE id % 10 = 0;
SELECT count(*) FROM words WHERE words MATCH 'at AND item';
SELECT json_group_array(json_object('n', name)) FROM (SELECT name FROM item ORDER BY id LIMIT 5);
BEGIN; DELETE FROM item WHERE id % 3 = 0; ROLLBACK;
VACUUM;
PRAGMA integrity_check;
SELECT count(*) FROM item;
