/* What the two parts of the extension share. The limited API of Python 3.10 and raw pointers only: one build serves
   every later Python and every torch, and no header of either numpy or torch is needed. */
#pragma once
#define Py_LIMITED_API 0x030a0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

#define VERSION 2 /* of what Python and C expect of each other; kernel.py has the same */

/* torch.Tensor and its attributes, looked up once. */
typedef struct {
    PyObject *tensor, *parameter, *float32, *int64;
    PyObject *dtype, *shape, *is_cpu, *is_contiguous, *data_ptr, *numel, *grad;
} Torch;

extern Torch torch_;

/* Of lane.c. */
PyObject *lane_type(PyObject *module, PyObject *args);
