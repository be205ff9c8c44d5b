/* libmms_dump URL FILE [BYTES]: plays with libmms (what Xine, Totem and others use), to the end or so many bytes, and
 * writes what it delivers. */
#include <libmms/mms.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
    char buffer[8192];
    long left = argc > 3 ? atol(argv[3]) : -1;
    int size = 0;
    if (argc < 3) return 2;
    mms_t* stream = mms_connect(NULL, NULL, argv[1], 1000000000);
    FILE* out = fopen(argv[2], "wb");
    if (!stream || !out) return 1;
    while (left != 0 && (size = mms_read(NULL, stream, buffer, left < 0 || left > (long)sizeof buffer ? (int)sizeof buffer : (int)left)) > 0) {
        fwrite(buffer, 1, (size_t)size, out);
        if (left > 0) left -= size;
    }
    mms_close(stream);
    if (fclose(out) != 0) return 1;
    return left > 0 || (left < 0 && size < 0); /* it ended early */
}
