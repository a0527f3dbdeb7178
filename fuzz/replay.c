/* Runs a fuzz target over every file of the folders given, so that what a fuzzer once found is tried in the
 * ordinary tests. Fails when there is no file. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
        static uint8_t data[1 << 20];
        FILE *f = fopen(path, "rb");
        uint8_t *exact;
        size_t n;

        if (!f)
                return 0;
        n = fread(data, 1, sizeof(data), f);
        fclose(f);
        exact = malloc(n ? n : 1);
        if (!exact)
                abort();
        memcpy(exact, data, n);
        LLVMFuzzerTestOneInput(exact, n);
        free(exact);
        return 1;
}

int main(int argc, char **argv)
{
        char path[4096];
        int count = 0;

        for (int i = 1; i < argc; i++) {
                DIR *dir = opendir(argv[i]);
                struct dirent *entry;

                while (dir && (entry = readdir(dir))) {
                        if (entry->d_name[0] == '.')
                                continue;
                        snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
                        count += replay_file(path);
                }
                if (dir)
                        closedir(dir);
        }
        fprintf(stderr, "%d inputs\n", count);
        return count > 0 ? 0 : 1;
}
