/* Runs a fuzz target over every file of the folders given, so that what a fuzzer once found is tried in the
 * ordinary tests. Fails when a folder or a file cannot be read, or when there is no file at all: a replay of
 * nothing proves nothing. Hidden files are passed over. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input lies in memory of exactly its size, so that the sanitizer sees a step too far. */
static int replay_file(const char *path)
{
        FILE *f = fopen(path, "rb");
        uint8_t *data, *exact;
        size_t n;

        data = malloc(INPUT_MAX + 1);
        if (!f || !data || (n = fread(data, 1, INPUT_MAX + 1, f)) > INPUT_MAX || ferror(f)) {
                fprintf(stderr, "%s: cannot be read, or is larger than %d bytes\n", path, INPUT_MAX);
                exit(1);
        }
        fclose(f);
        exact = realloc(data, n ? n : 1);
        if (!exact)
                abort();
        LLVMFuzzerTestOneInput(exact, n);
        free(exact);
        return 1;
}

static int replay_folder(const char *folder)
{
        DIR *dir = opendir(folder);
        struct dirent *entry;
        char path[4096];
        int count = 0;

        if (!dir) {
                perror(folder);
                exit(1);
        }
        while ((entry = readdir(dir))) {
                if (entry->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
                count += replay_file(path);
        }
        closedir(dir);
        return count;
}

int main(int argc, char **argv)
{
        int count = 0;

        for (int i = 1; i < argc; i++)
                count += replay_folder(argv[i]);
        fprintf(stderr, "%d inputs\n", count);
        return count > 0 ? 0 : 1;
}
