/* Statistics of numbers in memory; no Python here. NaN and infinity are numbers like others: never compile with
   -ffast-math. */
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef struct {
    double mean, std, least, most;
} Moments;

typedef struct {
    ptrdiff_t rows, kept, right;
    int within;
    double logz, of_target;
} Classes;

/* Logits (size, width) and labels (size,). */
typedef struct {
    const float *at;
    const int64_t *label;
    ptrdiff_t size, width;
} Batch;

double total(const float *at, ptrdiff_t size);
double squares(const float *at, ptrdiff_t size);
Moments moments(const float *at, ptrdiff_t size);
ptrdiff_t outside(const float *at, ptrdiff_t size, float low, float high);
void fired(const float *at, ptrdiff_t size, ptrdiff_t units, ptrdiff_t inner, int64_t *seen, int64_t now);
Classes classes(const Batch *in, int64_t ignored, ptrdiff_t step, ptrdiff_t bins, int counted, int64_t *counts);
