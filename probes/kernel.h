/* What the parts of the extension share. The limited API of Python 3.10 and raw pointers only: one build serves
   every later Python and every torch, and no header of either numpy or torch is needed. */
#pragma once
#define Py_LIMITED_API 0x030a0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define VERSION 10 /* of what Python and C expect of each other; native.py has the same */

/* Functions of the module, of lane.c, mode.c, parameters.c and record.c. */
PyObject *lane_type(PyObject *module, PyObject *args);
PyObject *norms(PyObject *module, PyObject *tensors);
PyObject *snapshot(PyObject *module, PyObject *args);
PyObject *compare(PyObject *module, PyObject *args);
PyObject *gradients_into(PyObject *module, PyObject *args);
PyObject *compare_into(PyObject *module, PyObject *args);
PyObject *moments_into(PyObject *module, PyObject *args);
PyObject *classes_into(PyObject *module, PyObject *args);
PyObject *layer(PyObject *module, PyObject *args);
PyObject *seen(PyObject *module, PyObject *given);

#define RECORD_HEAD 24 /* bytes of a record before its numbers: segment, step, time; see emit.py */
float *numbers(PyObject *record, Py_ssize_t place, Py_ssize_t count);

static inline PyObject *none(void)
{
    Py_RETURN_NONE;
}
