/* What the lane reads of the user's objects. */
#pragma once
#include "tensors.h"

/* Attributes and methods, and nested.rows and the tuples of stages.py, looked up once. */
typedef struct {
    PyObject *next_functions, *param_groups, *lr, *target, *tensors, *entered, *call, *momentum, *betas, *training, *cpu, *f_back, *f_lasti;
    PyObject *forward_hooks, *warn, *begin, *end;
    PyObject *reductions[3]; /* as in lane.py */
    PyObject *rows, *Left, *Said, *arm, *begins, *before, *after;
} Names;

extern Names names;

void take_names(PyObject *rows, PyObject *Left, PyObject *Said);

long long rows_of(PyObject *batch);
PyObject *node_of(PyObject *value);
int leads(PyObject *root, PyObject **wanted, int count);
Py_ssize_t rates(PyObject *optimizer, float *at, Py_ssize_t most);
int suspicious(PyObject *parameter);

static inline void put(PyObject **field, PyObject *value) /* a new reference to `value`, which may be NULL */
{
    PyObject *old = *field;
    Py_XINCREF(value);
    *field = value;
    Py_XDECREF(old);
}
