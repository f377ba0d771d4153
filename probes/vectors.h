/* Sixteen floats at a time, said outright: the compiler finds it in a loop only with -ffast-math, or not at all. */
#pragma once
#include <stdint.h>

/* Faster code for newer processors, chosen when the module is loaded. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDE
#endif

/* Part of a WIDE function, and compiled as that one. */
#define INSIDE static inline __attribute__((always_inline))

#define LANES 16
#define HALF (LANES / 2)

/* In memory they lie anywhere. */
typedef float Floats16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef float Floats8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t Ints16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef double Doubles8 __attribute__((vector_size(64), aligned(8), may_alias));

#define LOAD(at) (*(const Floats16 *)(at))
#define DOUBLES(at) __builtin_convertvector(*(const Floats8 *)(at), Doubles8)
/* `yes` where `mask` is all ones, `no` where it is zero */
#define PICK(mask, yes, no) ((Floats16)(((mask) & (Ints16)(yes)) | (~(mask) & (Ints16)(no))))
/* all lanes together, into `sum` */
#define GATHER(sum, vector, lanes) \
    for (int lane_ = 0; lane_ < (lanes); lane_++) \
        (sum) += (vector)[lane_]
