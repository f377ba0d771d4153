/* A forward pass that a routine sample looks into: what Layers does to it (layers.py). */
#pragma once
#include "readings.h"

/* As of Plans.in_c: how each layer is seen (NULL where Layers itself has to do it), modules that torch computes in one
   kernel while they are evaluated, functions that modules hold or None, what stands for warnings.warn. */
typedef struct {
    PyObject *layers, *fused, *functions, *warnings, *plain, *ours, *key;
    PyObject *inside, *hooked; /* the module whose pass it is; the dictionaries that have a hook of ours meanwhile */
    int exchanged;
} Pass;

int take_pass(Pass *pass, PyObject *from); /* 0 with an error set */
void forget_pass(Pass *pass);

int can_pass(const Pass *pass); /* is it done here, as things are now? */
int begin_pass(Pass *pass, PyObject *module); /* 1, or -1 with an error set */
void end_pass(Pass *pass);
