#include "pen.h"

#include <string.h>

#define PAD 0xFFFFFFFFu
#define TAIL 80 /* places in the header of the ring */
#define DROPPED 64
#define PLACE 96
#define CHECKED 1024 /* bytes of a payload that the CRC covers, as in ring.py */

/* CRC-32 of zlib with tables of 16: half a kilobyte to load where the usual tables take eight. */
static uint32_t crcs[8][16];

void make_crcs(void)
{
    for (uint32_t n = 0; n < 16; n++) {
        uint32_t crc = n;
        for (int bit = 0; bit < 4; bit++)
            crc = crc & 1 ? 0xEDB88320u ^ (crc >> 1) : crc >> 1;
        crcs[0][n] = crc;
    }
    for (int table = 1; table < 8; table++)
        for (int n = 0; n < 16; n++)
            crcs[table][n] = crcs[0][crcs[table - 1][n] & 15] ^ (crcs[table - 1][n] >> 4);
}

/* `size` is a multiple of 4, as that of every record here is. */
static uint32_t crc32(const unsigned char *at, size_t size)
{
    uint32_t crc = 0xFFFFFFFFu, word;
    for (; size; at += 4, size -= 4) {
        memcpy(&word, at, 4);
        word ^= crc;
        crc = 0;
        for (int table = 0; table < 8; table++)
            crc ^= crcs[7 - table][(word >> 4 * table) & 15];
    }
    return ~crc;
}

void write_record(const Pen *pen, uint32_t schema, unsigned char *record, uint32_t payload)
{
    uint64_t place[2], tail, dropped;
    memcpy(place, pen->map + PLACE, sizeof place);
    memcpy(&tail, pen->map + TAIL, sizeof tail);
    uint64_t size = (HEAD + payload + 4 + 7) & ~7ull, at = place[0] % pen->length, room = pen->length - at;
    if (place[0] + (room >= size ? size : room + size) > tail + pen->length) {
        memcpy(&dropped, pen->map + DROPPED, sizeof dropped);
        dropped++;
        memcpy(pen->map + DROPPED, &dropped, sizeof dropped);
        return;
    }
    uint32_t crc;
    if (room < size) {
        if (room >= HEAD + 4) {
            uint32_t pad[5] = {0, PAD};
            memcpy(pad + 2, &place[1], sizeof place[1]);
            pad[4] = crc32((unsigned char *)pad, HEAD);
            memcpy(pen->map + pen->ring + at, pad, sizeof pad);
        }
        place[0] += room;
        at = 0;
    }
    uint32_t head[2] = {payload, schema};
    memcpy(record, head, sizeof head);
    memcpy(record + sizeof head, &place[1], sizeof place[1]);
    unsigned char *there = pen->map + pen->ring + at;
    crc = crc32(record, HEAD + (payload < CHECKED ? payload : CHECKED));
    memcpy(record + HEAD + payload, &crc, sizeof crc);
    memcpy(there + HEAD, record + HEAD, payload + sizeof crc);
    __atomic_thread_fence(__ATOMIC_RELEASE); /* of a longer payload the CRC does not tell whether it is all there */
    memcpy(there, record, HEAD);
    place[0] += size;
    place[1]++;
    memcpy(pen->map + PLACE, place, sizeof place);
}
