/* A forward pass that a routine sample looks into: what Layers does to it (layers.py). */
#pragma once
#include "readings.h"

/* As of Layers.in_c: how each layer is seen, functions that modules hold or None, what stands for warnings.warn. */
typedef struct {
    PyObject *layers, *functions, *warnings, *plain, *ours, *key; /* layers: NULL where Layers itself has to do it */
    PyObject *inside, *hooked; /* the module whose pass it is; the dictionaries that have a hook of ours meanwhile */
    int exchanged;
} Pass;

int take_pass(Pass *pass, PyObject *from); /* 0 with an error set */
void forget_pass(Pass *pass);

int begin_pass(Pass *pass, PyObject *module); /* 1, or -1 with an error set */
void end_pass(Pass *pass);
