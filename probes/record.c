/* A routine sample, straight into its record (routine.py): float32 from a place on. */

#include "tensors.h"

#include <stdlib.h>

/* Numbers of a record from `place` on, at least `count`; NULL without them, or without a place (below 0). */
float *numbers(PyObject *record, Py_ssize_t place, Py_ssize_t count)
{
    Py_ssize_t size = (PyByteArray_Size(record) - RECORD_HEAD) / (Py_ssize_t)sizeof(float);
    return place < 0 || place + count > size ? NULL : (float *)(PyByteArray_AsString(record) + RECORD_HEAD) + place;
}

static void number(PyObject *record, Py_ssize_t place, double value)
{
    float *at = numbers(record, place, 1);
    if (at)
        *at = (float)value;
}

/* places: mean, std, least, most */
PyObject *moments_into(PyObject *module, PyObject *args)
{
    PyObject *record, *tensor;
    Py_ssize_t places[4], most;
    Floats part;
    float *kept;
    if (!PyArg_ParseTuple(args, "O!(nnnn)On", &PyByteArray_Type, &record, places, places + 1, places + 2, places + 3,
                          &tensor, &most))
        return NULL;
    int ours = sampled(tensor, most, &part, &kept);
    if (ours <= 0)
        return ours ? NULL : PyBool_FromLong(0);
    Moments found = moments(part.at, part.size);
    free(kept);
    const double values[] = {found.mean, found.std, found.least, found.most};
    for (int i = 0; i < 4; i++)
        number(record, places[i], values[i]);
    return PyBool_FromLong(1);
}

/* places: accuracy, confidence, predicted, targets, right, log Z, probability of the target, ignored */
PyObject *classes_into(PyObject *module, PyObject *args)
{
    PyObject *record, *logits, *labels;
    Py_ssize_t places[8], step, bins;
    long long ignored;
    int counted;
    Batch in;
    if (!PyArg_ParseTuple(args, "O!(nnnnnnnn)OOLnnp", &PyByteArray_Type, &record, places, places + 1, places + 2,
                          places + 3, places + 4, places + 5, places + 6, places + 7, &logits, &labels, &ignored, &step,
                          &bins, &counted))
        return NULL;
    int ours = batch(logits, labels, &in);
    if (ours <= 0)
        return ours ? NULL : PyBool_FromLong(0);
    int64_t *counts = malloc((2 * bins + (counted ? 3 * in.width : 0)) * sizeof(int64_t));
    if (!counts)
        return PyErr_NoMemory();
    Classes found = classes(&in, ignored, step, bins, counted, counts);
    if (found.kept) {
        const int64_t *from = counts;
        for (int i = 1; i < (counted ? 5 : 2); from += i == 1 ? 2 * bins : in.width, i++) {
            Py_ssize_t width = i == 1 ? 2 * bins : in.width;
            float *at = i < 3 || found.within ? numbers(record, places[i], width) : NULL;
            for (Py_ssize_t k = 0; at && k < width; k++)
                at[k] = (float)from[k];
        }
        number(record, places[0], (double)found.right / found.kept);
        number(record, places[5], found.logz / found.kept);
        if (found.within)
            number(record, places[6], found.of_target / found.kept);
        number(record, places[7], 1 - (double)found.kept / found.rows);
    }
    free(counts);
    return PyBool_FromLong(1);
}

/* One call of an activation layer; 0 where it is not as the plan says, perhaps with an error set. */
static int layer_into(PyObject *plan, PyObject *output)
{
    PyObject *record, *calls, *names, *at, *fired, *samples, *widths, *seen = Py_None;
    Py_ssize_t places[4], most, axes[AXES], rows = 1;
    double low, high;
    long long window, now = 0;
    Activation found;
    if (!PyArg_ParseTuple(plan, "OOOO(nnnn)ddOOOnL", &record, &calls, &names, &at, places, places + 1, places + 2,
                          places + 3, &low, &high, &fired, &samples, &widths, &most, &window))
        return 0;
    unsigned char call = (unsigned char)*PyByteArray_AsString(calls);
    PyObject *name = call < PyTuple_Size(names) ? PyTuple_GetItem(names, call) : NULL;
    Py_ssize_t dims = name ? shape(output, axes) : 0;
    if (dims < 2)
        return 0;
    int channels = dims > 3;
    if (dims == 3) {
        PyObject *width = PyLong_FromSsize_t(axes[1]);
        channels = width ? PySet_Contains(widths, width) : -1;
        Py_XDECREF(width);
    }
    if (channels < 0)
        return 0;
    for (Py_ssize_t axis = 0; axis < (channels ? 1 : dims - 1); axis++)
        rows *= axes[axis];
    if (fired != Py_None) {
        PyObject *counted = PyDict_GetItem(samples, name);
        seen = PyDict_GetItem(fired, name);
        if (!counted || !seen)
            return 0;
        now = PyLong_AsLongLong(counted) + rows;
    }
    if (activation(output, axes, dims, most, low, high, seen, channels, now, window, &found) <= 0)
        return 0;
    if (fired != Py_None) {
        PyObject *counted = PyLong_FromLongLong(now);
        int kept = counted ? PyDict_SetItem(samples, name, counted) : -1;
        Py_XDECREF(counted);
        if (kept < 0)
            return 0;
    }
    const double values[] = {found.mean, found.std, found.dead, found.saturated};
    Py_ssize_t place = PyLong_AsSsize_t(PyTuple_GetItem(at, call));
    for (int i = 0; i < 4; i++)
        number(record, places[i] < 0 ? -1 : places[i] + place, values[i]);
    (*PyByteArray_AsString(calls))++;
    return 1;
}

/* The forward hook of a layer, bound to its plan: (plan, module, args, output). It lets no error through. */
PyObject *layer(PyObject *module, PyObject *args)
{
    PyObject *plan = PyTuple_GetItem(args, 0), *output = PyTuple_GetItem(args, 3);
    if (plan && output && !layer_into(plan, output))
        *PyByteArray_AsString(PyTuple_GetItem(plan, 1)) = (char)255;
    PyErr_Clear();
    return none();
}
