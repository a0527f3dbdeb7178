PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE jobs (
  seq INTEGER PRIMARY KEY,         -- the number in the id, in the order of acceptance
  id TEXT NOT NULL,                -- as in the URL; the end of it is the permission
  state INTEGER NOT NULL,          -- 1 scheduled, 2 ready, 3 running, 4 succeeded, 5 failed,
                                   -- 6 dead, 7 cancelled, 8 held
  queue TEXT NOT NULL,
  created_ms INTEGER NOT NULL,     -- times are milliseconds since 1970-01-01 UTC; 0: not yet
  run_at_ms INTEGER NOT NULL,      -- not started before
  finished_ms INTEGER NOT NULL,
  crashes INTEGER NOT NULL,        -- runs that were cut short
  cancel_asked INTEGER NOT NULL,   -- 1: cancelled while it was running
  -- the last run, or the one under way; those before it are in runs
  run INTEGER NOT NULL,            -- from 1; 0: none yet
  run_started_ms INTEGER,
  run_ended_ms INTEGER,
  run_outcome INTEGER,             -- 0 under way, 1 succeeded, 2 failed, 3 crashed, 4 stopped,
                                   -- 5 put back
  connection_status INTEGER,       -- 0 normal, 1 aborted, 2 timed out, 3 both
  status INTEGER,                  -- HTTP status; 0: none
  exit_code INTEGER,               -- -1: none
  signal INTEGER,                  -- 0: none
  cpu_ms INTEGER,                  -- -1: unknown
  peak_rss_kb INTEGER,             -- -1: unknown
  reason TEXT,                     -- why it failed
  -- the request
  method TEXT NOT NULL,
  target TEXT NOT NULL,
  headers TEXT NOT NULL,           -- Name: value lines
  host TEXT NOT NULL,
  remote TEXT NOT NULL,            -- who asked
  local TEXT NOT NULL,             -- the address it came in at
  body_len INTEGER NOT NULL,
  body BLOB,                       -- the bytes, or
  body_file TEXT                   -- the file files/{body_file} that holds them
);
INSERT INTO jobs VALUES(1,'00000001a5fgpj4wmq9mmspeqqdx',4,'default',1795252528213,1795252528213,1795252528222,0,0,1,1795252528213,1795252528222,1,0,201,-1,0,-1,-1,'','GET','/warn.php','','127.0.0.1:8123','unix:','127.0.0.1:8123',0,NULL,NULL);
INSERT INTO jobs VALUES(2,'00000002p4fagbf28ajck7zqpbvq',3,'default',1795252528280,1795252528280,0,0,0,1,1795252528280,0,0,0,0,-1,0,-1,-1,'','POST','/sleep.php?n=30',replace(replace('Content-Type: application/x-www-form-urlencoded\r\n','\r',char(13)),'\n',char(10)),'127.0.0.1:8123','unix:','127.0.0.1:8123',3,X'613d62',NULL);
INSERT INTO jobs VALUES(3,'00000003gzpr5z8fz0ye7j1cehyd',2,'default',1795252528359,1795252528359,0,0,0,0,0,0,0,0,0,-1,0,-1,-1,'','POST','/warn.php','','127.0.0.1:8123','unix:','127.0.0.1:8123',5,X'7761697473',NULL);
INSERT INTO jobs VALUES(4,'000000040h7s2xmvbzq9t87rn0a0',2,'default',1795252528381,1795252528381,0,0,0,0,0,0,0,0,0,-1,0,-1,-1,'','POST','/warn.php','','127.0.0.1:8123','unix:','127.0.0.1:8123',9,X'776169747320746f6f',NULL);
CREATE TABLE replies (             -- what the last run answered
  seq INTEGER PRIMARY KEY,
  status INTEGER NOT NULL,
  headers TEXT NOT NULL,
  cut INTEGER NOT NULL,            -- 1: the body was cut at output_max
  log TEXT,                        -- what it wrote to its error output
  body_len INTEGER NOT NULL,
  body BLOB,
  body_file TEXT
);
INSERT INTO replies VALUES(1,201,replace(replace('X-One: 1\r\nContent-type: text/html; charset=UTF-8\r\n','\r',char(13)),'\n',char(10)),0,replace('careful\n','\n',char(10)),5,X'6d6164650a',NULL);
CREATE TABLE runs (                -- earlier runs; columns as in jobs
  seq INTEGER NOT NULL,
  run INTEGER NOT NULL,
  run_started_ms INTEGER,
  run_ended_ms INTEGER,
  run_outcome INTEGER,
  connection_status INTEGER,
  status INTEGER,
  exit_code INTEGER,
  signal INTEGER,
  cpu_ms INTEGER,
  peak_rss_kb INTEGER,
  reason TEXT,
  PRIMARY KEY (seq, run)
) WITHOUT ROWID;
CREATE TABLE numbers (
  seq_max INTEGER NOT NULL         -- no seq up to here is given out again, purged or not
);
INSERT INTO numbers VALUES(0);
CREATE INDEX jobs_ready ON jobs (state, seq, body_len) WHERE state = 2;
CREATE INDEX jobs_running ON jobs (state, seq, body_len) WHERE state = 3;
CREATE INDEX jobs_ended ON jobs (state, seq) WHERE state IN (4, 5, 6, 7);
CREATE INDEX jobs_finished ON jobs (finished_ms) WHERE finished_ms > 0;
CREATE INDEX jobs_files ON jobs (body_file) WHERE body_file IS NOT NULL;
CREATE INDEX replies_files ON replies (body_file) WHERE body_file IS NOT NULL;
COMMIT;
PRAGMA user_version = 1;
