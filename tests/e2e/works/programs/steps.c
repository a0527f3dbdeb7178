/* steps MARK STEP...: @FILE waits for a file, !TEXT prints, *N writes N bytes without a newline to
 * SENDOFF_CONTROL, anything else is a line for it. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *mark;

static void note(const char *what)
{
        FILE *f = fopen(mark, "a");

        fprintf(f, "%s %s\n", getenv("SENDOFF_RUN"), what);
        fclose(f);
}

static void say(const char *line)
{
        FILE *control = fopen(getenv("SENDOFF_CONTROL"), "w");

        if (line[0] == '*')
                for (int i = atoi(line + 1); i > 0; i--)
                        fputc('x', control);
        else
                fprintf(control, "%s\n", line);
        fclose(control);
}

int main(int argc, char **argv)
{
        char begin[128];

        mark = argv[1];
        snprintf(begin, sizeof(begin), "begin %d %s", (int)getpid(), getenv("SENDOFF_JOB"));
        note(begin);
        for (int i = 2; i < argc; i++) {
                const char *step = argv[i];

                if (step[0] == '@')
                        while (access(step + 1, F_OK) != 0)
                                usleep(20000);
                else if (step[0] == '!')
                        fputs(step + 1, stdout);
                else
                        say(step);
        }
        note("end");
        return 0;
}
