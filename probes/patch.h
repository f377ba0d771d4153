/* What stands in the place of a function of torch (patch.c), and what a call of it does (patched.c). */
#pragma once
#include "lane.h"

typedef struct {
    PyObject_HEAD
    PyObject *dict, *weak;
    Lane *lane;
    int stage, outermost;
    PyObject *name, *original; /* a hook's is the same in Python, which is not called */
    PyObject *told, *other, *failed;
} Patch;

PyObject *call_patch(Patch *self, PyObject *args, PyObject *kwargs);
