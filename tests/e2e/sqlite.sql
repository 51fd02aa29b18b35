-- SPDX-License-Identifier: GPL-2.0-or-later
-- A database in memory of some 130 MB: rows, indexes, joins, changes; the output is the same on every machine.
PRAGMA temp_store = memory;
PRAGMA cache_spill = off;

CREATE TABLE account (id INTEGER PRIMARY KEY, branch INTEGER, balance INTEGER, name TEXT, note TEXT);
CREATE TABLE entry (id INTEGER PRIMARY KEY, account INTEGER, amount INTEGER, tag TEXT);

WITH RECURSIVE row(n, x) AS (
        VALUES (1, 20) UNION ALL SELECT n + 1, (x * 1103515245 + 12345) % 2147483648 FROM row WHERE n < 100000
)
INSERT INTO account SELECT n, x % 97, x % 100000, hex(sha3(x, 224)), hex(sha3(x, 512)) || hex(sha3(x + n, 512)) FROM row;

WITH RECURSIVE row(n, x) AS (
        VALUES (1, 7) UNION ALL SELECT n + 1, (x * 1103515245 + 12345) % 2147483648 FROM row WHERE n < 120000
)
INSERT INTO entry SELECT n, 1 + (x / 7) % 100000, x % 2001 - 1000, hex(sha3(x, 224)) FROM row;

CREATE INDEX account_name ON account (name);
CREATE INDEX account_branch ON account (branch, balance);
CREATE INDEX entry_account ON entry (account);
CREATE INDEX entry_tag ON entry (tag, amount);

SELECT 'entries', count(*), sum(amount), min(tag), max(tag) FROM entry;
SELECT 'joined', count(*), sum(e.amount * a.branch), max(a.balance + e.amount)
        FROM entry e JOIN account a ON a.id = e.account WHERE a.branch < 50;
SELECT 'by name', count(*) FROM account a JOIN entry e ON e.tag = a.name;

BEGIN;
UPDATE account SET balance = balance + (SELECT coalesce(sum(amount), 0) FROM entry WHERE account = account.id);
UPDATE account SET note = hex(sha3(note, 512)) || name WHERE branch % 9 = 1;
DELETE FROM entry WHERE id % 11 = 4;
COMMIT;

BEGIN;
UPDATE entry SET amount = 0 WHERE id < 20000;
DELETE FROM account WHERE id > 90000;
ROLLBACK;

SELECT 'branch', branch, count(*), sum(balance), sum(length(note)) FROM account GROUP BY branch ORDER BY branch LIMIT 20;
SELECT 'windows', sum(d) FROM (
        SELECT balance - lag(balance, 1, 0) OVER (PARTITION BY branch ORDER BY name) AS d FROM account
);
SELECT 'distinct', count(DISTINCT tag), count(DISTINCT account) FROM entry;
SELECT 'index against table', (SELECT sum(balance) FROM account INDEXED BY account_branch WHERE branch >= 0),
        (SELECT sum(balance) FROM account NOT INDEXED);
REINDEX;
PRAGMA integrity_check;
PRAGMA foreign_key_check;
.sha3sum --sha3-256
SELECT 'pages', page_count > 25000 FROM pragma_page_count;
