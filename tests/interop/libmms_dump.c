/* Plays URL with libmms (what Xine, Totem and others use) and writes what it delivers to FILE. */
#include <libmms/mms.h>
#include <stdio.h>

int main(int argc, char** argv) {
    char buffer[8192];
    int size;
    if (argc != 3) return 2;
    mms_t* stream = mms_connect(NULL, NULL, argv[1], 1000000000);
    FILE* out = fopen(argv[2], "wb");
    if (!stream || !out) return 1;
    while ((size = mms_read(NULL, stream, buffer, sizeof buffer)) > 0) fwrite(buffer, 1, (size_t)size, out);
    mms_close(stream);
    return fclose(out) == 0 ? 0 : 1;
}
