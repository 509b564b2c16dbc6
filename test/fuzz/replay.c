/* Feeds files, and the files of directories, to a target: the corpus without a fuzzer. An input that ends the process is
 * named. Nothing replayed is a failure. */
#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT_MAX (1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char current[4096];
static int replayed;

static void name_input(int signal_number)
{
    static const char said[] = "the input that did it: ";

    if (write(2, said, sizeof(said) - 1) < 0 || write(2, current, strlen(current)) < 0 || write(2, "\n", 1) < 0) {
        _exit(2);
    }
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = file ? malloc(INPUT_MAX) : NULL, *exact;
    size_t size = data ? fread(data, 1, INPUT_MAX, file) : 0;
    int ok = data && !ferror(file);

    if (file) {
        fclose(file);
    }
    exact = malloc(size ? size : 1);
    if (!ok || !exact) {
        perror(path);
        free(data);
        free(exact);
        return 0;
    }
    memcpy(exact, data, size);
    free(data);
    snprintf(current, sizeof(current), "%s", path);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    replayed++;
    return 1;
}

static int replay_directory(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    int ok = directory != NULL;

    while (directory && (entry = readdir(directory))) {
        char name[4096];

        if (entry->d_name[0] != '.') {
            snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
            ok &= replay_file(name);
        }
    }
    if (directory) {
        closedir(directory);
    }
    return ok;
}

int main(int argc, char **argv)
{
    int i, ok = 1;

    signal(SIGABRT, name_input);
    signal(SIGSEGV, name_input);
    for (i = 1; i < argc; i++) {
        struct stat info;
        int is_directory = !stat(argv[i], &info) && S_ISDIR(info.st_mode);

        ok &= is_directory ? replay_directory(argv[i]) : replay_file(argv[i]);
    }
    printf("%d inputs\n", replayed);
    return ok && replayed ? 0 : 1;
}
