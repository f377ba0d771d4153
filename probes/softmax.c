/* What a classifier predicts, from its logits. */

#include "statistics.h"

#include "vectors.h"

#include <math.h>
#include <string.h>

/* exp(x) of x <= 0 to 2 units in the last place; 0 below -87; NaN stays. Cephes' polynomial, without a branch. */
#define POWER(x, y) \
    { \
        Floats16 bounded_ = PICK((x) < -87.0f, (Floats16){0} - 87.0f, x); \
        Floats16 whole_ = (bounded_ * 1.44269504f + 12582912.0f) - 12582912.0f; /* 1.5 * 2^23 leaves no bits */ \
        Floats16 rest_ = (bounded_ - whole_ * 0.693359375f) + whole_ * 2.12194440e-4f; \
        whole_ = PICK((x) == (x), whole_, (Floats16){0}); \
        Ints16 bits_ = (__builtin_convertvector(whole_, Ints16) + 127) << 23; \
        (y) = rest_ * 1.9875691500e-4f + 1.3981999507e-3f; \
        (y) = (y) * rest_ + 8.3334519073e-3f; \
        (y) = (y) * rest_ + 4.1665795894e-2f; \
        (y) = (y) * rest_ + 1.6666665459e-1f; \
        (y) = (y) * rest_ + 5.0000001201e-1f; \
        (y) = ((y) * rest_ * rest_ + rest_ + 1.0f) * (Floats16)bits_; \
        (y) = PICK((x) < -87.0f, (Floats16){0}, y); \
    }

/* Sum of exp(value - highest) over a row. The end of a row is filled up with what adds nothing. */
INSIDE double exponentials(const float *row, ptrdiff_t classes, float highest)
{
    Floats16 lanes = {0}, value, power;
    double sum = 0;
    for (ptrdiff_t i = 0; i < classes; i += LANES) {
        if (i + LANES <= classes)
            value = LOAD(row + i) - highest;
        else {
            value = (Floats16){0} - INFINITY;
            for (int lane = 0; i + lane < classes; lane++)
                value[lane] = row[i + lane] - highest;
        }
        POWER(value, power);
        lanes += power;
    }
    GATHER(sum, lanes, LANES);
    return sum;
}

/* Place of the first maximum, or of the first NaN, as numpy and torch have it. */
INSIDE ptrdiff_t highest_of(const float *row, ptrdiff_t classes)
{
    float highest = row[0];
    Floats16 most;
    Ints16 known = {0};
    ptrdiff_t i = 0;
    known = ~known;
    for (int lane = 0; lane < LANES; lane++)
        most[lane] = row[0];
    for (; i + LANES <= classes; i += LANES) {
        Floats16 value = LOAD(row + i);
        most = PICK(value > most, value, most);
        known &= value == value;
    }
    int odd = 0;
    for (; i < classes; i++) {
        highest = row[i] > highest ? row[i] : highest;
        odd |= row[i] != row[i];
    }
    for (int lane = 0; lane < LANES; lane++) {
        highest = most[lane] > highest ? most[lane] : highest;
        odd |= !known[lane];
    }
    for (i = 0; i < classes; i++)
        if (odd ? row[i] != row[i] : row[i] == highest)
            return i;
    return 0;
}

/* `counts`: 2 * bins, and 3 * width more where `counted`. */
WIDE Classes classes(const Batch *in, int64_t ignored, ptrdiff_t step, ptrdiff_t bins, int counted, int64_t *counts)
{
    ptrdiff_t width = in->width, per = counted ? width : 0;
    int64_t *predicted = counts + 2 * bins, *target = predicted + per, *right = target + per;
    Classes found = {.within = 1};
    memset(counts, 0, (2 * bins + 3 * per) * sizeof(int64_t));
    for (ptrdiff_t i = 0; i < in->size; i += step) {
        const float *row = in->at + i * width;
        int64_t truth = in->label[i];
        found.rows++;
        if (truth == ignored)
            continue;
        ptrdiff_t best = highest_of(row, width);
        double sum = exponentials(row, width, row[best]);
        float most = 1.0f / (float)sum;
        int hit = best == truth, inside = truth >= 0 && truth < width;
        found.kept++;
        found.right += hit;
        found.logz += log(sum) + row[best];
        found.within &= inside;
        if (inside)
            found.of_target += exp((double)row[truth] - row[best]) / sum;
        if (most == most) {
            ptrdiff_t place = (ptrdiff_t)(most * bins);
            counts[(place < bins ? place : bins - 1) + hit * bins]++;
        }
        if (counted) {
            predicted[best]++;
            if (inside) {
                target[truth]++;
                right[truth] += hit;
            }
        }
    }
    return found;
}
