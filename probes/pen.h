/* Records into the ring, by other means than ring.py and with the same bytes. */
#pragma once
#include <pthread.h>
#include <stdint.h>

#define HEAD 16 /* bytes of a record before its payload: length, schema, sequence; see ring.py */

/* Where the file of the ring is in memory, where in it the ring begins, its length, and the thread that may write. */
typedef struct {
    unsigned char *map;
    uint64_t ring, length;
    pthread_t thread;
} Pen;

void make_crcs(void);

/* As ring.Writer.write. `record` has HEAD bytes before its payload, whose size is a multiple of 4, and 4 behind it. */
void write_record(const Pen *pen, uint32_t schema, unsigned char *record, uint32_t payload);
