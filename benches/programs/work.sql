-- Many small values through the page cache, an index, sorting and joining.
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, place TEXT, amount REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
INSERT INTO item SELECT i, 'item ' || (i * 7919 % 60013), substr('abcdefghijklmnopqrstuvwxyz', 1 + i % 20, 6), i * 0.25 FROM n;
CREATE INDEX by_name ON item(name);
CREATE INDEX by_place ON item(place, amount);
SELECT place, count(*), sum(amount), max(name) FROM item GROUP BY place ORDER BY place;
SELECT count(*) FROM item a JOIN item b ON a.name = 'item ' || b.id WHERE b.id % 3 = 0;
SELECT length(group_concat(name, ', ')) FROM (SELECT name FROM item ORDER BY name DESC);
UPDATE item SET name = upper(name) || '!' WHERE id % 2 = 0;
SELECT count(DISTINCT name), min(name), max(name) FROM item;
DELETE FROM item WHERE id % 5 = 0;
SELECT count(*), round(sum(amount), 2) FROM item;
