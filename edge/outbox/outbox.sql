-- create --
-- A movement carries its epoch's id, not a number of a row elsewhere: whatever else of a damaged file is
-- lost, each readable movement can still be delivered under its own number. An epoch's row is written
-- with its first movement, so that opening writes nothing and works on a full disk.
CREATE TABLE IF NOT EXISTS epochs (
  opened   INTEGER PRIMARY KEY,                       -- order in which the epochs began
  epoch    BLOB    NOT NULL UNIQUE CHECK (length(epoch) = 16),
  last     INTEGER NOT NULL CHECK (last >= 0),        -- last number given
  applied  INTEGER NOT NULL DEFAULT 0 CHECK (applied BETWEEN 0 AND last),
  head     TEXT    NOT NULL DEFAULT '',               -- the cloud's chain head when that was applied
  stopped  TEXT                                       -- why the cloud applies no more of it
) STRICT;
CREATE TABLE IF NOT EXISTS movements (
  epoch          BLOB    NOT NULL,
  seq            INTEGER NOT NULL CHECK (seq > 0),
  written_at_us  INTEGER NOT NULL,                    -- gateway clock
  body           BLOB    NOT NULL,                    -- JSON as it goes on the wire
  PRIMARY KEY (epoch, seq)
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS told (
  epoch   BLOB    NOT NULL,
  until   INTEGER NOT NULL,                           -- numbers up to this one …
  told_s  INTEGER NOT NULL,                           -- … were first told applied by then (held time)
  PRIMARY KEY (epoch, until)
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS gateway (
  only         INTEGER PRIMARY KEY CHECK (only = 1),
  incarnation  INTEGER NOT NULL,                      -- of the cloud, as last told
  held_s       REAL    NOT NULL                       -- seconds this file was open, by a monotonic clock
) STRICT;
INSERT OR IGNORE INTO gateway (only, incarnation, held_s) VALUES (1, 0, 0);

-- read_gateway --
-- What the cloud's database was last time, and how long this file was open.
SELECT incarnation, held_s FROM gateway WHERE only = 1;

-- write_gateway --
-- Held time is written along with whatever is written anyway; what a crash loses of it is held longer.
UPDATE gateway SET incarnation = ?, held_s = ? WHERE only = 1;

-- list_epochs --
-- In the order in which they began, which is the order in which they are delivered.
SELECT epoch, last, applied, head, stopped FROM epochs ORDER BY opened;

-- list_runs --
-- Which numbers of an epoch are held, as unbroken runs: one, unless the file was damaged.
SELECT min(seq), max(seq)
FROM (SELECT seq, seq - row_number() OVER (ORDER BY seq) AS run FROM movements WHERE epoch = ?)
GROUP BY run ORDER BY 1;

-- write_last --
-- The epoch's row comes to be with its first movement.
INSERT INTO epochs (epoch, last) VALUES (?, ?) ON CONFLICT (epoch) DO UPDATE SET last = excluded.last;

-- write_movement --
-- Fails on a number that is there: a number is given once.
INSERT INTO movements (epoch, seq, written_at_us, body) VALUES (?, ?, ?, ?);

-- read_movements --
-- What is to be sent next, in order.
SELECT seq, body FROM movements WHERE epoch = ? AND seq > ? ORDER BY seq LIMIT ?;

-- read_written_at --
-- How old the oldest movement is that the cloud has not applied.
SELECT written_at_us FROM movements WHERE epoch = ? AND seq = ?;

-- write_applied --
-- What the cloud said last, also when it is lower than before.
UPDATE epochs SET applied = ?, head = ?, stopped = ? WHERE epoch = ?;

-- newest_told --
-- Until which number, and when, the cloud was last heard.
SELECT until, told_s FROM told WHERE epoch = ? ORDER BY until DESC LIMIT 1;

-- write_told --
-- Retention counts from the time at which a number was first told applied.
INSERT INTO told (epoch, until, told_s) VALUES (?, ?, ?);

-- move_told --
-- What is told within the same minute shares one row, so that 72 hours are at most 4,320 rows an epoch.
UPDATE told SET until = ? WHERE epoch = ? AND until = ?;

-- told_before --
-- The last number that was told long enough ago to be forgotten.
SELECT coalesce(max(until), 0) FROM told WHERE epoch = ? AND told_s <= ?;

-- forget_told --
-- Rows are kept while a restored cloud may have fallen behind them.
DELETE FROM told WHERE epoch = ? AND told_s <= ? AND until <= ?;

-- forget_movements --
-- What the cloud has applied and retention has passed.
DELETE FROM movements WHERE epoch = ? AND seq <= ?;

-- forget_epoch --
-- A finished epoch of which nothing is held any more.
DELETE FROM epochs WHERE epoch = ?;

-- forget_all_told --
-- Goes with its epoch.
DELETE FROM told WHERE epoch = ?;
