#include "readings.h"

#include <math.h>

Names names;

void take_names(PyObject *rows, PyObject *Left, PyObject *Said)
{
    put(&names.rows, rows);
    put(&names.Left, Left);
    put(&names.Said, Said);
    const char *reductions[] = {"reduction", "size_average", "reduce"};
    for (int i = 0; i < 3; i++)
        names.reductions[i] = PyUnicode_InternFromString(reductions[i]);
    names.f_back = PyUnicode_InternFromString("f_back");
    names.f_lasti = PyUnicode_InternFromString("f_lasti");
    names.next_functions = PyUnicode_InternFromString("next_functions");
    names.param_groups = PyUnicode_InternFromString("param_groups");
    names.lr = PyUnicode_InternFromString("lr");
    names.target = PyUnicode_InternFromString("target");
    names.tensors = PyUnicode_InternFromString("tensors");
    names.entered = PyUnicode_InternFromString("entered");
    names.call = PyUnicode_InternFromString("call");
    names.arm = PyUnicode_InternFromString("arm");
    names.begins = PyUnicode_InternFromString("begins");
    names.before = PyUnicode_InternFromString("before");
    names.after = PyUnicode_InternFromString("after");
    names.momentum = PyUnicode_InternFromString("momentum");
    names.training = PyUnicode_InternFromString("training");
    names.cpu = PyUnicode_InternFromString("cpu");
    names.forward_hooks = PyUnicode_InternFromString("_forward_hooks");
    names.warn = PyUnicode_InternFromString("warn");
    names.begin = PyUnicode_InternFromString("begin");
    names.end = PyUnicode_InternFromString("end");
    names.betas = PyUnicode_InternFromString("betas");
}

/* inputs.rows; -1 with an error set */
long long rows_of(PyObject *batch)
{
    PyObject *found;
    while (batch && (PyList_CheckExact(batch) || PyTuple_CheckExact(batch))) {
        int list = PyList_CheckExact(batch);
        if (!(list ? PyList_Size(batch) : PyTuple_Size(batch)))
            return 0;
        batch = list ? PyList_GetItem(batch, 0) : PyTuple_GetItem(batch, 0);
    }
    if (!batch)
        return 0;
    if ((PyObject *)Py_TYPE(batch) == torch_.tensor)
        return rows(batch);
    if (!(found = PyObject_CallFunctionObjArgs(names.rows, batch, NULL)))
        return -1;
    long long count = PyLong_AsLongLong(found);
    Py_DECREF(found);
    return count;
}

/* The node that made the value of the loss call: where that was changed in place since, the one before. */
PyObject *node_of(PyObject *value)
{
    PyObject *node = get(&torch_.grad_fn, value), *version, *next = NULL;
    if (!node || !(version = get(&torch_.version, value)))
        return node;
    long changed = PyLong_AsLong(version);
    Py_DECREF(version);
    if (changed && node != Py_None && (next = PyObject_GetAttr(node, names.next_functions)) && PyTuple_Size(next) > 0) {
        PyObject *before = PyTuple_GetItem(PyTuple_GetItem(next, 0), 0);
        if (before && before != Py_None)
            put(&node, before);
    }
    Py_XDECREF(next);
    PyErr_Clear();
    return node;
}

#define DEPTH 64 /* as in lane.py */

/* Are all of the `wanted` nodes among those that `root` was made from? */
int leads(PyObject *root, PyObject **wanted, int count)
{
    PyObject *queue[DEPTH] = {get(&torch_.grad_fn, root)}, *below;
    Py_ssize_t last = queue[0] && queue[0] != Py_None ? 1 : 0;
    int left = count;
    for (Py_ssize_t i = 0; i < last; i++) {
        for (int k = 0; k < count; k++)
            left -= wanted[k] == queue[i];
        if (!left)
            break;
        PyObject *next = PyObject_GetAttr(queue[i], names.next_functions);
        for (Py_ssize_t k = 0; next && k < PyTuple_Size(next) && last < DEPTH; k++)
            if ((below = PyTuple_GetItem(PyTuple_GetItem(next, k), 0)) && below != Py_None) {
                Py_INCREF(below);
                queue[last++] = below;
            }
        Py_XDECREF(next);
    }
    Py_XDECREF(queue[0]);
    for (Py_ssize_t i = 1; i < last; i++)
        Py_DECREF(queue[i]);
    PyErr_Clear();
    return !left;
}

/* The learning rates of an optimizer into `at`, and their number; -1 where there are more or they are not plain. */
Py_ssize_t rates(PyObject *optimizer, float *at, Py_ssize_t most)
{
    PyObject *found = PyObject_GetAttr(optimizer, names.param_groups);
    Py_ssize_t groups = found && PyList_CheckExact(found) ? PyList_Size(found) : -1;
    int plain = groups >= 0 && groups <= most;
    for (Py_ssize_t i = 0; plain && i < groups; i++) {
        PyObject *group = PyList_GetItem(found, i), *rate = PyDict_Check(group) ? PyDict_GetItem(group, names.lr) : NULL;
        plain = rate && (PyFloat_CheckExact(rate) || PyLong_CheckExact(rate));
        at[i] = plain ? (float)PyFloat_AsDouble(rate) : 0;
    }
    Py_XDECREF(found);
    if (PyErr_Occurred())
        PyErr_Clear(), plain = 0;
    return plain ? groups : -1;
}

/* May the gradient that stands for all hold a number that is not finite? NonFinite.look knows for sure. */
int suspicious(PyObject *parameter)
{
    PyObject *gradient;
    Floats part;
    if (parameter == Py_None || !(gradient = get(&torch_.grad, parameter)))
        return 0;
    int found = gradient != Py_None && (!floats(gradient, &part) || !isfinite(total(part.at, part.size)));
    Py_DECREF(gradient);
    return found;
}
