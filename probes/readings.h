/* What the lane reads of the user's objects. */
#pragma once
#include "tensors.h"

/* Attributes and methods, and inputs.rows and lane.Left, looked up once. */
typedef struct {
    PyObject *item, *grad_fn, *requires_grad, *version, *next_functions, *param_groups, *lr, *target, *call, *momentum, *betas;
    PyObject *is_cpu, *rows, *Left, *arm, *begins, *before, *after;
} Names;

extern Names names;

long long rows_of(PyObject *batch);
int is_true(PyObject *object, PyObject *name);
PyObject *node_of(PyObject *value);
int rates(PyObject *optimizer, float *at, Py_ssize_t groups);
int suspicious(PyObject *parameter);

static inline void put(PyObject **field, PyObject *value) /* a new reference to `value`, which may be NULL */
{
    PyObject *old = *field;
    Py_XINCREF(value);
    *field = value;
    Py_XDECREF(old);
}
