-- SPDX-License-Identifier: GPL-2.0-or-later
-- Sorts, hashes and indexes in a backend's own memory; the output is the same on every machine.
SET work_mem = '96MB';
SET maintenance_work_mem = '96MB';
SET max_parallel_workers_per_gather = 0;
SET max_parallel_maintenance_workers = 0;
SET enable_mergejoin = off;
SET enable_nestloop = off;

CREATE TABLE item AS
        SELECT n, md5(n::text) AS key, repeat(md5((n * 7)::text), 4) AS text, (n::bigint * 48271) % 1009 AS kind
        FROM generate_series(1, 90000) AS n;
SELECT 'sorted', md5(string_agg(left(key, 4), '')) FROM (SELECT key FROM item ORDER BY text, key) AS s;
SELECT 'ranks', sum(r * n) FROM (SELECT n, rank() OVER (PARTITION BY kind ORDER BY key) AS r FROM item) AS s;
SELECT 'joined', count(*), sum(a.n - b.n) FROM item a JOIN item b ON a.text = b.text AND a.key <= b.key;
SELECT 'groups', count(*), sum(c) FROM (SELECT left(key, 5), count(*) AS c, max(text) FROM item GROUP BY 1) AS s;
SELECT 'array', md5(array_agg(text ORDER BY key DESC)::text) FROM item WHERE kind < 300;
CREATE UNIQUE INDEX item_key ON item (key);
CREATE INDEX item_text ON item (text, kind);
UPDATE item SET text = reverse(text) WHERE kind % 5 = 0;
CREATE EXTENSION IF NOT EXISTS amcheck;
SELECT 'checked', bt_index_parent_check('item_key', true) IS NOT NULL, bt_index_parent_check('item_text', true) IS NOT NULL;
SELECT 'all', md5(string_agg(i::text, '' ORDER BY n)) FROM item AS i;
