/* run/http.c over TLS: certificates, and HTTP/2. The servers are openssl s_server and nghttpd, with
 * certificates made for this run of the tests. */
#include "http_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

#define FILE_BYTES (20 << 20)

static char folder[] = "/tmp/sendoff-tls-XXXXXX";

struct server {
        int pid, port;
};

/* ---- servers ---- */

static int spawn(char *const *words, int out)
{
        int pid = fork();

        if (pid != 0)
                return pid;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (chdir(folder) < 0 || dup2(open("/dev/null", O_RDWR | O_CLOEXEC), 0) < 0 || dup2(out, 1) < 0 ||
            dup2(out, 2) < 0)
                _exit(1);
        execvp(words[0], words);
        _exit(127);
}

/* Until then it holds what this program listens on. */
static bool is_another_program(int pid)
{
        char path[64], own[512] = "", its[512] = "";

        snprintf(path, sizeof(path), "/proc/%d/exe", pid);
        return readlink("/proc/self/exe", own, sizeof(own) - 1) > 0 &&
               readlink(path, its, sizeof(its) - 1) > 0 && strcmp(own, its) != 0;
}

/* Where the process listens: its sockets in /proc/PID/fd, and those of them in /proc/PID/net/tcp that listen;
 * 0 nowhere yet. */
static int port_of_inode(int pid, unsigned long wanted)
{
        char path[64], line[512];
        unsigned port, state;
        unsigned long inode;
        int found = 0;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/net/tcp", pid);
        file = fopen(path, "re");
        while (file && fgets(line, sizeof(line), file))
                if (sscanf(line, " %*d: %*8x:%x %*x:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %lu", &port, &state,
                           &inode) == 3 &&
                    state == 0x0a && inode == wanted)
                        found = (int)port;
        if (file)
                fclose(file);
        return found;
}

static int listens_at(int pid)
{
        char path[64], name[64];
        unsigned long inode;
        struct dirent *entry;
        int port = 0;
        DIR *fds;

        snprintf(path, sizeof(path), "/proc/%d/fd", pid);
        fds = opendir(path);
        while (fds && !port && (entry = readdir(fds))) {
                ssize_t n = readlinkat(dirfd(fds), entry->d_name, name, sizeof(name) - 1);

                name[n < 0 ? 0 : n] = '\0';
                if (sscanf(name, "socket:[%lu]", &inode) == 1)
                        port = port_of_inode(pid, inode);
        }
        if (fds)
                closedir(fds);
        return port;
}

static void server_start(struct server *s, char *const *words)
{
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC), status;
        uint64_t end = uv_hrtime() + 30ULL * 1000000000;

        s->pid = spawn(words, null);
        close(null);
        assert_true(s->pid > 0);
        while (!is_another_program(s->pid) || (s->port = listens_at(s->pid)) == 0) {
                if (waitpid(s->pid, &status, WNOHANG) == s->pid)
                        fail_msg("%s ended with %d; is it installed? (tools/packages test)", words[0],
                                 status);
                assert_true(uv_hrtime() < end);
                usleep(1000);
        }
}

static void server_stop(struct server *s)
{
        kill(s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
}

/* HTTP/1.0 over TLS; each connection ends with its reply. */
static void start_s_server(struct server *s, const char *certificate)
{
        char *pem = mem_printf("%s.pem", certificate);
        char *words[] = { (char[]){ "openssl" },
                          (char[]){ "s_server" },
                          (char[]){ "-www" },
                          (char[]){ "-accept" },
                          (char[]){ "127.0.0.1:0" },
                          (char[]){ "-cert" },
                          pem,
                          (char[]){ "-key" },
                          (char[]){ "leaf.key" },
                          NULL };

        server_start(s, words);
        free(pem);
}

/* HTTP/2 over TLS and nothing else; serves the folder, and gives back what is posted. */
static void start_nghttpd(struct server *s)
{
        char *words[] = { (char[]){ "nghttpd" },   (char[]){ "-a" },
                          (char[]){ "127.0.0.1" }, (char[]){ "--echo-upload" },
                          (char[]){ "-d" },        folder,
                          (char[]){ "0" },         (char[]){ "leaf.key" },
                          (char[]){ "leaf.pem" },  NULL };

        server_start(s, words);
}

/* ---- certificates ---- */

#define NEW_KEY "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
#define SIGN    "openssl x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -in leaf.csr "

static int make_certificates(void **state)
{
        static const char script[] =
                "exec 2>/dev/null; set -e; cd \"$0\"\n" NEW_KEY
                "-x509 -keyout ca.key -out ca.pem -subj /CN=ca\n" NEW_KEY
                "-keyout leaf.key -out leaf.csr -subj /CN=leaf\n"
                "echo subjectAltName=DNS:localhost,IP:127.0.0.1 > here\n"
                "echo subjectAltName=DNS:elsewhere.example > elsewhere\n" SIGN
                "-out leaf.pem -days 2 -extfile here\n" SIGN "-out expired.pem -days -1 -extfile here\n" SIGN
                "-out elsewhere.pem -days 2 -extfile elsewhere\n"
                "openssl req -x509 -key leaf.key -out self.pem -days 2 -subj /CN=localhost "
                "-addext subjectAltName=DNS:localhost,IP:127.0.0.1\n"
                "echo hello > hello.txt\n";
        char *words[] = { (char[]){ "sh" }, (char[]){ "-c" }, NULL, folder, NULL };
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC), status;
        char *copy = mem_dup(script), *path = NULL, *piece = mem_alloc(FILE_BYTES);

        assert_non_null(mkdtemp(folder));
        words[2] = copy;
        assert_int_equal(waitpid(spawn(words, null), &status, 0) > 0, 1);
        assert_int_equal(status, 0);
        path = mem_printf("%s/big", folder);
        close(null);
        null = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        pattern(piece, 0, FILE_BYTES);
        assert_int_equal(write(null, piece, FILE_BYTES), FILE_BYTES);
        close(null);
        free(copy);
        free(path);
        free(piece);
        return 0;
}

static int remove_certificates(void **state)
{
        char *command = mem_printf("rm -rf %s", folder);
        int r = system(command);

        free(command);
        return r;
}

static void open_with_ca(struct bench *bench, const char *name)
{
        struct http_config config = bench_config();
        char *path = name ? mem_printf("%s/%s", folder, name) : NULL;

        config.ca_file = path;
        config.redirects_max = 1;
        bench_open(bench, &config);
        free(path);
}

/* ---- certificates that are valid, and that are not ---- */

static void assert_tls(const char *certificate, const char *ca, const char *host, const char *why)
{
        struct server server;
        struct bench bench;
        struct call call;
        char *url, *reason;

        start_s_server(&server, certificate);
        open_with_ca(&bench, ca);
        url = mem_printf("https://%s:%d/", host, server.port);
        call_init(&call, &bench, "GET", url);
        call_run(&call);
        if (why) {
                reason = mem_printf("the certificate of %s:%d is not valid: %s", host, server.port, why);
                assert_int_equal(call.how.outcome, RUN_FAILED);
                assert_reason(&call, reason);
                assert_false(call.how.may_pass);
                free(reason);
        } else {
                assert_answered(&call, 200);
                assert_non_null(strstr(call_text(&call), "s_server"));
        }
        call_fini(&call);
        free(url);
        bench_close(&bench);
        server_stop(&server);
}

static void a_valid_certificate_is_accepted(void **state)
{
        assert_tls("leaf", "ca.pem", "localhost", NULL);
        assert_tls("leaf", "ca.pem", "127.0.0.1", NULL);
}

static void a_self_signed_certificate_needs_to_be_named(void **state)
{
        assert_tls("self", "self.pem", "localhost", NULL);
        assert_tls("self", "ca.pem", "localhost", "SSL certificate problem: self-signed certificate");
        assert_tls("self", NULL, "localhost", "SSL certificate problem: self-signed certificate");
}

static void a_certificate_of_a_stranger_is_refused(void **state)
{
        assert_tls("leaf", NULL, "localhost",
                   "SSL certificate problem: unable to get local issuer certificate");
}

static void an_expired_certificate_is_refused(void **state)
{
        assert_tls("expired", "ca.pem", "localhost", "SSL certificate problem: certificate has expired");
}

static void a_certificate_of_another_host_is_refused(void **state)
{
        assert_tls("elsewhere", "ca.pem", "localhost",
                   "SSL: no alternative certificate subject name matches target host name 'localhost'");
        assert_tls("elsewhere", "ca.pem", "127.0.0.1",
                   "SSL: no alternative certificate subject name matches target host name '127.0.0.1'");
}

static void certificates_that_cannot_be_read_are_told(void **state)
{
        struct server server;
        struct bench bench;
        struct call call;
        char *url;

        start_s_server(&server, "leaf");
        open_with_ca(&bench, "missing.pem");
        url = mem_printf("https://localhost:%d/", server.port);
        call_init(&call, &bench, "GET", url);
        call_run(&call);
        assert_int_equal(call.how.outcome, RUN_FAILED);
        assert_non_null(strstr(call.how.reason, "cannot be read (option http_ca_file)"));
        assert_false(call.how.may_pass);
        call_fini(&call);
        free(url);
        bench_close(&bench);
        server_stop(&server);
}

/* ---- no TLS at all ---- */

static void say_http(struct visit *v)
{
        visit_say(v, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
}

static void a_plain_server_is_no_tls(void **state)
{
        struct bench bench;
        struct call call;
        char *url, *start;

        open_with_ca(&bench, NULL);
        bench.origin.heard = say_http;
        bench.origin.answer = NULL;
        url = mem_printf("https://127.0.0.1:%d/", bench.origin.port);
        start = mem_printf("no TLS with 127.0.0.1:%d: ", bench.origin.port);
        call_init(&call, &bench, "GET", url);
        call_run(&call);
        assert_int_equal(call.how.outcome, RUN_FAILED);
        assert_memory_equal(call.how.reason, start, strlen(start));
        assert_true(call.how.may_pass);
        call_fini(&call);
        free(url);
        free(start);
        bench_close(&bench);
}

static void tls_that_takes_too_long_is_told(void **state)
{
        struct http_config config = bench_config();
        struct bench bench;
        struct call call;
        char *url, *reason;

        config.connect_timeout_ms = 150;
        bench_open(&bench, &config);
        bench.origin.deaf = true;
        url = mem_printf("https://127.0.0.1:%d/", bench.origin.port);
        reason = mem_printf("no TLS connection to 127.0.0.1:%d within 150ms (option http_connect_timeout)",
                            bench.origin.port);
        call_init(&call, &bench, "GET", url);
        call_run(&call);
        assert_int_equal(call.how.outcome, RUN_FAILED);
        assert_reason(&call, reason);
        assert_true(call.how.may_pass);
        call_fini(&call);
        free(url);
        free(reason);
        bench_close(&bench);
}

static char secure_url[128];

static void lead_to_tls(struct visit *v)
{
        char *text =
                mem_printf("HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", secure_url);

        visit_say(v, text);
        free(text);
}

static void a_redirect_may_lead_to_tls(void **state)
{
        struct server server;
        struct bench bench;
        struct call call;

        start_s_server(&server, "leaf");
        open_with_ca(&bench, "ca.pem");
        snprintf(secure_url, sizeof(secure_url), "https://localhost:%d/", server.port);
        bench.origin.answer = lead_to_tls;
        call_init(&call, &bench, "GET", "/");
        call_run(&call);
        assert_answered(&call, 200);
        assert_non_null(strstr(call_text(&call), "s_server"));
        call_fini(&call);
        bench_close(&bench);
        server_stop(&server);
}

/* ---- HTTP/2 ---- */

struct h2 {
        struct server server;
        struct bench bench;
        char *base;
};

static int h2_setup(void **state)
{
        struct h2 *h2 = mem_alloc(sizeof(*h2));

        start_nghttpd(&h2->server);
        open_with_ca(&h2->bench, "ca.pem");
        h2->base = mem_printf("https://localhost:%d", h2->server.port);
        *state = h2;
        return 0;
}

static int h2_teardown(void **state)
{
        struct h2 *h2 = *state;

        bench_close(&h2->bench);
        server_stop(&h2->server);
        free(h2->base);
        free(h2);
        return 0;
}

static void h2_init(struct call *call, struct h2 *h2, const char *method, const char *path)
{
        char *url = mem_printf("%s%s", h2->base, path);

        call_init(call, &h2->bench, method, url);
        free(url);
}

static void http2_is_spoken_where_it_is_offered(void **state)
{
        struct call call;
        char *server;

        h2_init(&call, *state, "GET", "/hello.txt");
        call_run(&call);
        assert_answered(&call, 200);
        assert_string_equal(call_text(&call), "hello\n");
        assert_string_equal(call.words, "");
        server = call_header(&call, "server");
        assert_memory_equal(server, "nghttpd", 7);
        free(server);
        call_fini(&call);
}

static void a_status_of_http2_is_an_answer(void **state)
{
        struct call call;

        h2_init(&call, *state, "GET", "/missing");
        call_run(&call);
        assert_answered(&call, 404);
        call_fini(&call);
}

static void head_of_http2_has_no_body(void **state)
{
        struct call call;
        char *length;

        h2_init(&call, *state, "HEAD", "/big");
        call_run(&call);
        assert_answered(&call, 200);
        length = call_header(&call, "content-length");
        assert_int_equal(atoi(length), FILE_BYTES);
        assert_int_equal(call.data_len, 0);
        free(length);
        call_fini(&call);
}

static void bodies_go_both_ways_over_http2(void **state)
{
        static const uint64_t sizes[] = { 1, 1000, 65536, 300000, 5 << 20 };

        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                struct call call;

                h2_init(&call, *state, i % 2 ? "POST" : "PUT", "/echo");
                call_body_pattern(&call, sizes[i]);
                call.count_only = true;
                call_run(&call);
                assert_answered(&call, 200);
                assert_int_equal(call.data_len, sizes[i]);
                assert_int_equal(call.data_sum, pattern_sum(sizes[i]));
                call_fini(&call);
        }
}

#define MANY 64

static bool none_runs(void *arg)
{
        return *(unsigned *)arg == 0;
}

static void many_are_asked_at_once_over_http2(void **state)
{
        struct call *calls = mem_alloc(MANY * sizeof(*calls));
        unsigned running = MANY;

        for (int i = 0; i < MANY; i++) {
                h2_init(&calls[i], *state, "GET", "/hello.txt");
                calls[i].running = &running;
                call_start(&calls[i]);
        }
        bench_until(&((struct h2 *)*state)->bench, none_runs, &running);
        for (int i = 0; i < MANY; i++) {
                assert_answered(&calls[i], 200);
                assert_string_equal(call_text(&calls[i]), "hello\n");
                call_fini(&calls[i]);
        }
        free(calls);
}

static void pause_here(struct call *call)
{
        call->paused = true;
        run_pause(call->run);
}

/* One that is paused does not hold up the other on the same connection. */
static void a_paused_run_over_http2_holds_up_nobody(void **state)
{
        struct h2 *h2 = *state;
        struct call paused, other;
        uint64_t before;

        h2_init(&paused, h2, "GET", "/big");
        paused.count_only = true;
        paused.on_data = pause_here;
        call_start(&paused);
        while (!paused.paused)
                bench_turns(&h2->bench, 1);
        before = paused.data_len;
        for (int i = 0; i < 3; i++) {
                h2_init(&other, h2, "GET", i ? "/hello.txt" : "/big");
                other.count_only = true;
                call_run(&other);
                assert_answered(&other, 200);
                call_fini(&other);
        }
        assert_int_equal(paused.data_len, before);
        paused.on_data = NULL;
        while (paused.paused) {
                paused.paused = false;
                run_resume(paused.run);
        }
        call_until_end(&paused);
        assert_answered(&paused, 200);
        assert_int_equal(paused.data_sum, pattern_sum(FILE_BYTES));
        call_fini(&paused);
}

static void a_run_over_http2_may_be_paused_again_and_again(void **state)
{
        struct h2 *h2 = *state;
        struct call call;
        unsigned pauses = 0;

        h2_init(&call, h2, "GET", "/big");
        call.count_only = true;
        call.on_data = pause_here;
        call_start(&call);
        while (!call.ended) {
                while (!call.paused && !call.ended)
                        bench_turns(&h2->bench, 1);
                if (call.ended)
                        break;
                call.paused = false;
                pauses++;
                run_resume(call.run);
        }
        assert_answered(&call, 200);
        assert_true(pauses > 100);
        assert_int_equal(call.data_sum, pattern_sum(FILE_BYTES));
        call_fini(&call);
}

static void stop_here(struct call *call)
{
        run_stop(call->run, CONNECTION_ABORTED, "cancelled");
}

static void stopping_one_run_over_http2_leaves_the_others(void **state)
{
        struct h2 *h2 = *state;
        struct call stopped, other;

        h2_init(&stopped, h2, "GET", "/big");
        h2_init(&other, h2, "GET", "/big");
        stopped.count_only = other.count_only = true;
        other.on_data = pause_here;
        call_start(&other);
        while (!other.paused)
                bench_turns(&h2->bench, 1);
        stopped.on_data = stop_here;
        call_run(&stopped);
        assert_int_equal(stopped.how.outcome, RUN_STOPPED);
        assert_int_equal(other.how.outcome, RUN_NONE);
        other.on_data = NULL;
        other.paused = false;
        run_resume(other.run);
        call_until_end(&other);
        assert_answered(&other, 200);
        assert_int_equal(other.data_sum, pattern_sum(FILE_BYTES));
        call_fini(&stopped);
        call_fini(&other);
}

static void an_http2_server_that_dies_is_told(void **state)
{
        struct h2 *h2 = *state;
        struct call call;

        h2_init(&call, h2, "GET", "/big");
        call.count_only = true;
        call.on_data = pause_here;
        call_start(&call);
        while (!call.paused)
                bench_turns(&h2->bench, 1);
        kill(h2->server.pid, SIGKILL);
        call.on_data = NULL;
        call.paused = false;
        run_resume(call.run);
        call_until_end(&call);
        assert_int_equal(call.how.outcome, RUN_FAILED);
        assert_true(call.how.may_pass);
        assert_non_null(strstr(call.how.reason, " was cut short after "));
        call_fini(&call);
}

#define H2(f) cmocka_unit_test_setup_teardown(f, h2_setup, h2_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_valid_certificate_is_accepted),
                cmocka_unit_test(a_self_signed_certificate_needs_to_be_named),
                cmocka_unit_test(a_certificate_of_a_stranger_is_refused),
                cmocka_unit_test(an_expired_certificate_is_refused),
                cmocka_unit_test(a_certificate_of_another_host_is_refused),
                cmocka_unit_test(certificates_that_cannot_be_read_are_told),
                cmocka_unit_test(a_plain_server_is_no_tls),
                cmocka_unit_test(tls_that_takes_too_long_is_told),
                cmocka_unit_test(a_redirect_may_lead_to_tls),
                H2(http2_is_spoken_where_it_is_offered),
                H2(a_status_of_http2_is_an_answer),
                H2(head_of_http2_has_no_body),
                H2(bodies_go_both_ways_over_http2),
                H2(many_are_asked_at_once_over_http2),
                H2(a_paused_run_over_http2_holds_up_nobody),
                H2(a_run_over_http2_may_be_paused_again_and_again),
                H2(stopping_one_run_over_http2_leaves_the_others),
                H2(an_http2_server_that_dies_is_told),
        };

        return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
