#include "statistics.h"

#include "vectors.h"

#include <float.h>
#include <math.h>

#define BLOCK 2048

WIDE double total(const float *at, ptrdiff_t size)
{
    Floats16 lanes = {0};
    double sum = 0;
    ptrdiff_t i = 0;
    for (; i + LANES <= size; i += LANES)
        lanes += LOAD(at + i);
    for (; i < size; i++)
        sum += at[i];
    GATHER(sum, lanes, LANES);
    return sum;
}

/* Sum of squares of a block, in float64. */
WIDE static double squares_exactly(const float *at, ptrdiff_t size)
{
    Doubles8 lanes = {0};
    double sum = 0;
    ptrdiff_t i = 0;
    for (; i + HALF <= size; i += HALF)
        lanes += DOUBLES(at + i) * DOUBLES(at + i);
    for (; i < size; i++)
        sum += (double)at[i] * at[i];
    GATHER(sum, lanes, HALF);
    return sum;
}

/* Sum of squares. Blocks in float32, added up in float64; a block whose squares do not fit float32 again. */
WIDE double squares(const float *at, ptrdiff_t size)
{
    double whole = 0;
    for (ptrdiff_t begin = 0; begin < size; begin += BLOCK) {
        ptrdiff_t end = begin + BLOCK < size ? begin + BLOCK : size, i = begin;
        Floats16 lanes[4] = {{0}};
        float sum = 0;
        for (; i + 4 * LANES <= end; i += 4 * LANES)
            for (int k = 0; k < 4; k++)
                lanes[k] += LOAD(at + i + k * LANES) * LOAD(at + i + k * LANES);
        for (; i + LANES <= end; i += LANES)
            lanes[0] += LOAD(at + i) * LOAD(at + i);
        for (; i < end; i++)
            sum += at[i] * at[i];
        lanes[0] += lanes[1] + (lanes[2] + lanes[3]);
        GATHER(sum, lanes[0], LANES);
        whole += sum > 1e-28f && sum <= FLT_MAX ? sum : squares_exactly(at + begin, end - begin);
    }
    return whole;
}

/* Of the population. A NaN among the values makes all four NaN. */
WIDE Moments moments(const float *at, ptrdiff_t size)
{
    Doubles8 sums[2] = {{0}}, squares[2] = {{0}};
    Floats16 low, high;
    float least = at[0], most = at[0];
    double sum = 0, square = 0;
    ptrdiff_t i = 0, whole = size - size % LANES;
    for (int lane = 0; lane < LANES; lane++)
        low[lane] = high[lane] = at[0];
    for (; i < whole; i += LANES) {
        Floats16 value = LOAD(at + i);
        sums[0] += DOUBLES(at + i);
        sums[1] += DOUBLES(at + i + HALF);
        low = PICK(value < low, value, low);
        high = PICK(value > high, value, high);
    }
    for (; i < size; i++) {
        sum += at[i];
        least = at[i] < least ? at[i] : least;
        most = at[i] > most ? at[i] : most;
    }
    for (int lane = 0; lane < LANES; lane++) {
        least = low[lane] < least ? low[lane] : least;
        most = high[lane] > most ? high[lane] : most;
    }
    sums[0] += sums[1];
    GATHER(sum, sums[0], HALF);
    sum /= size;
    if (sum != sum) { /* a NaN, or infinities of both signs */
        for (i = 0; i < size && at[i] == at[i]; i++)
            ;
        if (i < size)
            least = most = NAN;
    }
    for (i = 0; i < whole; i += LANES)
        for (int half = 0; half < 2; half++) {
            Doubles8 off = DOUBLES(at + i + half * HALF) - sum;
            squares[half] += off * off;
        }
    for (; i < size; i++)
        square += (at[i] - sum) * (at[i] - sum);
    squares[0] += squares[1];
    GATHER(square, squares[0], HALF);
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
