/* Every fixed maximum of sendoff in one place. What a person may want to change is an option instead
 * (server/config.c, shown by `sendoff config`); what stands here is a bound of the program itself. Bytes
 * unless the name says otherwise. */
#ifndef SENDOFF_BASE_BOUNDS_H
#define SENDOFF_BASE_BOUNDS_H

#define HTTP_HEADERS_MAX    256         /* fields in one request or reply head */
#define HTTP_CHUNK_LINE_MAX 256         /* a chunk-size line with its extensions */
#define HTTP_TRAILER_MAX    (16 << 10)  /* the trailer section after the last chunk */
#define HTTP_PIPELINE_MAX   (64 << 10)  /* read ahead of a request that is still being answered */
#define CONN_OUT_HIGH       (256 << 10) /* unsent reply bytes at which the source is paused */
#define CONN_OUT_LOW        (64 << 10)  /* ...and at which it is resumed */
#define CONN_OUT_PRESSED    (16 << 10)  /* ...and at which it is paused while the door's memory is short */
#define CONN_READ_SIZE      (64 << 10)  /* one read from a connection */

#define PATH_SEGMENTS_MAX 256        /* segments in a URL path */
#define CGI_HEAD_MAX      (64 << 10) /* the head of a CGI reply */
#define CGI_HEADERS_MAX   256        /* fields in it */
#define FCGI_RECORD_MAX   65535      /* content of one FastCGI record (FastCGI 1.0, 3.3) */
#define FCGI_PARAMS_MAX   (1 << 20)  /* all parameters of one request, encoded */

#define JOB_TARGET_MAX   (16 << 10)
#define JOB_METHOD_MAX   32
#define JOB_REASON_MAX   512
#define JOB_RUNS_MAX     1000        /* runs of one job, crashes included */
#define JOB_CRASHES_MAX  3           /* DESIGN promise 2: the crash budget */
#define JOB_HEADERS_MAX  (256 << 10) /* the stored request's header block */
#define JOB_RETRIES_MAX  900         /* what may be asked */
#define JOB_WORDS_MAX    1024        /* words of a command line */
#define JOB_NOTE_SIZE    200         /* of a progress note, with its NUL */
#define CONTROL_LINE_MAX 1024        /* one line written to SENDOFF_CONTROL; a longer one is refused */
#define RUN_LOG_LINE     4096        /* of a run's log; a longer one is cut in pieces */
#define RUN_LOG_HEAD     (16 << 10)  /* of a run's log the first so many bytes are kept… */
#define RUN_LOG_TAIL     (48 << 10)  /* …and the last so many; what is between is left out, and said so */
#define RUN_LOGS_KEPT    10          /* logs of the last so many runs of a job */

#define STORE_BATCH_MAX  4096 /* operations in one group commit */
#define STORE_LIST_MAX   1000 /* rows in one page of a listing */
#define STORE_PURGE_STEP 200  /* finished jobs forgotten in one commit */
#define JOBS_WINDOW_MAX  4096 /* ready jobs known in memory; the rest wait on disk */

#define JOB_JSON_MAX       (4 << 20) /* the JSON of POST /v1/jobs */
#define CAUSE_MAX          512       /* the human sentence beside an error code */
#define WORKERS_MAX        1024
#define ACCESS_LOG_MAX     (1 << 20) /* unwritten access log lines; more are dropped and counted */
#define CONN_OUT_MAX       (1 << 20) /* unsent reply bytes of one connection, whatever happens */
#define RATE_ADDRESSES_MAX 16384     /* addresses whose rate is watched at once */

#endif
