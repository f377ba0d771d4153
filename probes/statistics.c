#include "statistics.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Faster code for newer processors, chosen when the module is loaded. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDE
#endif

#define LANES 16
#define BLOCK 512

WIDE double total(const float *at, ptrdiff_t size)
{
    float lanes[LANES] = {0};
    double sum = 0;
    ptrdiff_t i = 0;
    for (; i + LANES <= size; i += LANES)
        for (int lane = 0; lane < LANES; lane++)
            lanes[lane] += at[i + lane];
    for (; i < size; i++)
        sum += at[i];
    for (int lane = 0; lane < LANES; lane++)
        sum += lanes[lane];
    return sum;
}

/* Sum of squares. Blocks in float32 lanes, added up in float64; a block whose squares do not fit float32 again. */
WIDE double squares(const float *at, ptrdiff_t size)
{
    double whole = 0;
    for (ptrdiff_t begin = 0; begin < size; begin += BLOCK) {
        ptrdiff_t end = begin + BLOCK < size ? begin + BLOCK : size, i = begin;
        float lanes[LANES] = {0}, sum = 0;
        for (; i + LANES <= end; i += LANES)
            for (int lane = 0; lane < LANES; lane++)
                lanes[lane] += at[i + lane] * at[i + lane];
        for (; i < end; i++)
            sum += at[i] * at[i];
        for (int lane = 0; lane < LANES; lane++)
            sum += lanes[lane];
        if (sum > 1e-30f && sum <= FLT_MAX)
            whole += sum;
        else
            for (i = begin; i < end; i++)
                whole += (double)at[i] * at[i];
    }
    return whole;
}

/* Of the population. A NaN among the values makes all four NaN. */
WIDE Moments moments(const float *at, ptrdiff_t size)
{
    double sums[LANES] = {0}, sum = 0, square = 0;
    float low[LANES], high[LANES], least = at[0], most = at[0];
    ptrdiff_t i = 0;
    for (int lane = 0; lane < LANES; lane++)
        low[lane] = high[lane] = at[0];
    for (; i + LANES <= size; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            float value = at[i + lane];
            sums[lane] += value;
            low[lane] = value < low[lane] ? value : low[lane];
            high[lane] = value > high[lane] ? value : high[lane];
        }
    for (; i < size; i++) {
        sum += at[i];
        least = at[i] < least ? at[i] : least;
        most = at[i] > most ? at[i] : most;
    }
    for (int lane = 0; lane < LANES; lane++) {
        sum += sums[lane];
        least = low[lane] < least ? low[lane] : least;
        most = high[lane] > most ? high[lane] : most;
        sums[lane] = 0;
    }
    sum /= size;
    if (sum != sum) { /* a NaN, or infinities of both signs */
        for (i = 0; i < size && at[i] == at[i]; i++)
            ;
        if (i < size)
            least = most = NAN;
    }
    for (i = 0; i + LANES <= size; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            double off = at[i + lane] - sum;
            sums[lane] += off * off;
        }
    for (; i < size; i++) {
        double off = at[i] - sum;
        square += off * off;
    }
    for (int lane = 0; lane < LANES; lane++)
        square += sums[lane];
    return (Moments){sum, sqrt(square / size), least, most};
}

/* How many are below `low` or above `high`. */
WIDE ptrdiff_t outside(const float *at, ptrdiff_t size, float low, float high)
{
    ptrdiff_t count = 0;
    for (ptrdiff_t i = 0; i < size; i++)
        count += at[i] < low || at[i] > high;
    return count;
}

/* Sets seen[unit] to `now` for every unit that fired; units lie `inner` apart in blocks of units * inner. */
void fired(const float *at, ptrdiff_t size, ptrdiff_t units, ptrdiff_t inner, int64_t *seen, int64_t now)
{
    ptrdiff_t left = 0;
    for (ptrdiff_t unit = 0; unit < units; unit++)
        left += seen[unit] != now;
    for (ptrdiff_t begin = 0; begin < size && left; begin += units * inner)
        for (ptrdiff_t unit = 0; unit < units; unit++) {
            if (seen[unit] == now)
                continue;
            const float *value = at + begin + unit * inner, *end = value + inner;
            while (value < end && *value <= 0)
                value++;
            if (value < end) {
                seen[unit] = now;
                left--;
            }
        }
}

/* exp(x) of x <= 0 to 2 units in the last place; 0 below -87; NaN stays. Cephes' polynomial, without a branch. */
static inline float power(float x)
{
    float bounded = x < -87.0f ? -87.0f : x;
    float whole = (bounded * 1.44269504f + 12582912.0f) - 12582912.0f; /* nearest, as 1.5 * 2^23 leaves no bits */
    float rest = (bounded - whole * 0.693359375f) + whole * 2.12194440e-4f;
    float y = 1.9875691500e-4f;
    y = y * rest + 1.3981999507e-3f;
    y = y * rest + 8.3334519073e-3f;
    y = y * rest + 4.1665795894e-2f;
    y = y * rest + 1.6666665459e-1f;
    y = y * rest + 5.0000001201e-1f;
    y = y * rest * rest + rest + 1.0f;
    union {
        float real;
        int32_t bits;
    } two = {.bits = ((x == x ? (int32_t)whole : 0) + 127) << 23};
    return x < -87.0f ? 0.0f : y * two.real;
}

/* Sum of exp(value - highest) over a row, in float32 lanes. */
WIDE static double exponentials(const float *row, ptrdiff_t classes, float highest)
{
    float lanes[LANES] = {0};
    double sum = 0;
    ptrdiff_t i = 0;
    for (; i + LANES <= classes; i += LANES)
        for (int lane = 0; lane < LANES; lane++)
            lanes[lane] += power(row[i + lane] - highest);
    for (; i < classes; i++)
        sum += power(row[i] - highest);
    for (int lane = 0; lane < LANES; lane++)
        sum += lanes[lane];
    return sum;
}

WIDE static ptrdiff_t highest_of(const float *row, ptrdiff_t classes)
{
    float lanes[LANES], highest = row[0];
    ptrdiff_t i = 0;
    int odd = 0;
    for (int lane = 0; lane < LANES; lane++)
        lanes[lane] = row[0];
    for (; i + LANES <= classes; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            float value = row[i + lane];
            lanes[lane] = value > lanes[lane] ? value : lanes[lane];
            odd |= value != value;
        }
    for (; i < classes; i++) {
        highest = row[i] > highest ? row[i] : highest;
        odd |= row[i] != row[i];
    }
    for (int lane = 0; lane < LANES; lane++)
        highest = lanes[lane] > highest ? lanes[lane] : highest;
    for (i = 0; i < classes; i++)
        if (odd ? row[i] != row[i] : row[i] == highest)
            return i; /* the first NaN, as numpy and torch have it, or the first maximum */
    return 0;
}
/* `counts`: 2 * bins, and 3 * width more where `counted`. */
Classes classes(const Batch *in, int64_t ignored, ptrdiff_t step, ptrdiff_t bins, int counted, int64_t *counts)
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
