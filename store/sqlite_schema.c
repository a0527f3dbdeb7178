/* The schema, and how a database is brought up to it: step i turns version i into version i + 1, each in a
 * transaction of its own, so that one cut short is done again at the next start. The comments are part of the
 * SQL: `.schema` in the sqlite3 shell shows them. A new version is one more string here and SCHEMA_VERSION
 * raised; a step that was released is never changed.
 *
 * The accepting transaction writes one row of jobs and the growing end of one index: seq rises, and
 * jobs_ready and jobs_running lead with a constant (or one of three). The other indexes are written when a
 * job ends, or is to wait: jobs_due, whose times come in any order, finds whose time has come, jobs_rest
 * lists. But every index costs its insertion something, even where it has no entry. Counting and choosing
 * what is listed never touch the rows themselves. */
#include "store/sqlite.h"

#include <stdio.h>

static const char version_1[] =
        "CREATE TABLE jobs (\n"
        "  seq INTEGER PRIMARY KEY,         -- the number in the id, in the order of acceptance\n"
        "  id TEXT NOT NULL,                -- as in the URL; the end of it is the permission\n"
        "  state INTEGER NOT NULL,          -- 1 scheduled, 2 ready, 3 running, 4 succeeded, 5 failed,\n"
        "                                   -- 6 dead, 7 cancelled, 8 held\n"
        "  queue TEXT NOT NULL,\n"
        "  created_ms INTEGER NOT NULL,     -- times are milliseconds since 1970-01-01 UTC; 0: not yet\n"
        "  run_at_ms INTEGER NOT NULL,      -- not started before\n"
        "  finished_ms INTEGER NOT NULL,\n"
        "  crashes INTEGER NOT NULL,        -- runs that were cut short\n"
        "  cancel_asked INTEGER NOT NULL,   -- 1: cancelled while it was running\n"
        "  -- the last run, or the one under way; those before it are in runs\n"
        "  run INTEGER NOT NULL,            -- from 1; 0: none yet\n"
        "  run_started_ms INTEGER,\n"
        "  run_ended_ms INTEGER,\n"
        "  run_outcome INTEGER,             -- 0 under way, 1 succeeded, 2 failed, 3 crashed, 4 stopped,\n"
        "                                   -- 5 put back\n"
        "  connection_status INTEGER,       -- 0 normal, 1 aborted, 2 timed out, 3 both\n"
        "  status INTEGER,                  -- HTTP status; 0: none\n"
        "  exit_code INTEGER,               -- -1: none\n"
        "  signal INTEGER,                  -- 0: none\n"
        "  cpu_ms INTEGER,                  -- -1: unknown\n"
        "  peak_rss_kb INTEGER,             -- -1: unknown\n"
        "  reason TEXT,                     -- why it failed\n"
        "  -- the request\n"
        "  method TEXT NOT NULL,\n"
        "  target TEXT NOT NULL,\n"
        "  headers TEXT NOT NULL,           -- Name: value lines\n"
        "  host TEXT NOT NULL,\n"
        "  remote TEXT NOT NULL,            -- who asked\n"
        "  local TEXT NOT NULL,             -- the address it came in at\n"
        "  body_len INTEGER NOT NULL,\n"
        "  body BLOB,                       -- the bytes, or\n"
        "  body_file TEXT                   -- the file files/{body_file} that holds them\n"
        ");\n"
        "CREATE INDEX jobs_ready ON jobs (state, seq, body_len) WHERE state = 2;\n"
        "CREATE INDEX jobs_running ON jobs (state, seq, body_len) WHERE state = 3;\n"
        "CREATE INDEX jobs_ended ON jobs (state, seq) WHERE state IN (4, 5, 6, 7);\n"
        "CREATE INDEX jobs_finished ON jobs (finished_ms) WHERE finished_ms > 0;\n"
        "CREATE INDEX jobs_files ON jobs (body_file) WHERE body_file IS NOT NULL;\n"
        "CREATE TABLE replies (             -- what the last run answered\n"
        "  seq INTEGER PRIMARY KEY,\n"
        "  status INTEGER NOT NULL,\n"
        "  headers TEXT NOT NULL,\n"
        "  cut INTEGER NOT NULL,            -- 1: the body was cut at output_max\n"
        "  log TEXT,                        -- what it wrote to its error output\n"
        "  body_len INTEGER NOT NULL,\n"
        "  body BLOB,\n"
        "  body_file TEXT\n"
        ");\n"
        "CREATE INDEX replies_files ON replies (body_file) WHERE body_file IS NOT NULL;\n"
        "CREATE TABLE runs (                -- earlier runs; columns as in jobs\n"
        "  seq INTEGER NOT NULL,\n"
        "  run INTEGER NOT NULL,\n"
        "  run_started_ms INTEGER,\n"
        "  run_ended_ms INTEGER,\n"
        "  run_outcome INTEGER,\n"
        "  connection_status INTEGER,\n"
        "  status INTEGER,\n"
        "  exit_code INTEGER,\n"
        "  signal INTEGER,\n"
        "  cpu_ms INTEGER,\n"
        "  peak_rss_kb INTEGER,\n"
        "  reason TEXT,\n"
        "  PRIMARY KEY (seq, run)\n"
        ") WITHOUT ROWID;\n"
        "CREATE TABLE numbers (\n"
        "  seq_max INTEGER NOT NULL         -- no seq up to here is given out again, purged or not\n"
        ");\n"
        "INSERT INTO numbers VALUES (0);";

/* Three runners, each with its own line of ready jobs; what was asked for a job; retries, progress, logs of
 * runs. Version 1 kept a log beside the reply, as it came: its lines get the time at which the run ended, and
 * a reply that was nothing but its log is none. What is said of an added column stands inside of the
 * statement, and must not be a comment to the end of a line: the table's text would end in it. */
static const char version_2[] =
        "ALTER TABLE jobs ADD COLUMN runner INTEGER NOT NULL DEFAULT 0 /* 0 fastcgi, 1 exec, 2 http */;\n"
        "ALTER TABLE jobs ADD COLUMN retries INTEGER NOT NULL DEFAULT 0 /* used so far */;\n"
        "ALTER TABLE jobs ADD COLUMN options TEXT /* what was asked: name=number, name=target lines */;\n"
        "ALTER TABLE jobs ADD COLUMN progress_done INTEGER /* NULL: nothing was said */;\n"
        "ALTER TABLE jobs ADD COLUMN progress_total INTEGER;\n"
        "ALTER TABLE jobs ADD COLUMN progress_note TEXT;\n"
        "ALTER TABLE jobs ADD COLUMN retry_of TEXT /* ids of other jobs, from here on */;\n"
        "ALTER TABLE jobs ADD COLUMN retried_as TEXT;\n"
        "ALTER TABLE jobs ADD COLUMN then_of TEXT;\n"
        "CREATE TABLE logs (                -- what runs wrote to their error output, and what befell them\n"
        "  seq INTEGER NOT NULL,\n"
        "  run INTEGER NOT NULL,\n"
        "  text TEXT NOT NULL,              -- lines: time, run, stream, text\n"
        "  PRIMARY KEY (seq, run)\n"
        ") WITHOUT ROWID;\n"
        "INSERT INTO logs SELECT seq, run, start || replace(lines, char(10), char(10) || start) || char(10)\n"
        "  FROM (SELECT seq, run, rtrim(log, char(10)) AS lines,\n"
        "               strftime('%Y-%m-%dT%H:%M:%fZ', run_ended_ms / 1000.0, 'unixepoch') || ' ' || run\n"
        "                 || ' stderr ' AS start\n"
        "          FROM replies JOIN jobs USING (seq) WHERE log IS NOT NULL);\n"
        "DELETE FROM replies WHERE status = 0;\n"
        "ALTER TABLE replies DROP COLUMN log;\n"
        "DROP INDEX jobs_ready;\n"
        "CREATE INDEX jobs_ready ON jobs (runner, seq, body_len) WHERE state = 2;\n"
        "CREATE INDEX jobs_due ON jobs (run_at_ms) WHERE state = 1;\n"
        "DROP INDEX jobs_ended;\n"
        "CREATE INDEX jobs_rest ON jobs (state, seq, body_len) WHERE state IN (1, 4, 5, 6, 7, 8);";

static const char *const steps[SCHEMA_VERSION] = { version_1, version_2 };

static int read_version(sqlite3 *db)
{
        sqlite3_stmt *s;
        int version = -1;

        if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL) == SQLITE_OK &&
            sqlite3_step(s) == SQLITE_ROW)
                version = sqlite3_column_int(s, 0);
        sqlite3_finalize(s);
        return version;
}

int schema_migrate(struct engine *e, struct cause *cause)
{
        int version = read_version(e->db);
        char end[64];

        if (version < 0)
                return engine_fault(e, "the schema's version cannot be read", cause);
        if (version > SCHEMA_VERSION)
                return cause_set(
                        cause, STORE_NEWER,
                        "%s has schema version %d, this sendoff knows %d: it was written by a later version",
                        e->path, version, SCHEMA_VERSION);
        for (; version < SCHEMA_VERSION; version++) {
                snprintf(end, sizeof(end), "PRAGMA user_version = %d; COMMIT", version + 1);
                if (sqlite3_exec(e->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
                    sqlite3_exec(e->db, steps[version], NULL, NULL, NULL) != SQLITE_OK ||
                    sqlite3_exec(e->db, end, NULL, NULL, NULL) != SQLITE_OK)
                        return engine_fault(e, "the schema cannot be brought up to date", cause);
        }
        return 0;
}
