/* The arithmetic of a sampled step: one call a phase, on the tensors' own memory.

   Between the operations of a model every call of numpy or torch finds cold caches, and costs more than its work. A
   function here takes contiguous float32 tensors on the CPU and gives None for any other: the probe then does the
   same with torch and numpy, on any device. Results are bytes of float64 (or int64) for numpy.frombuffer, unless said
   otherwise. Those that end in _into write into the record of a routine sample (routine.py), float32 from a place on. */

#include "tensors.h"

#include <math.h>
#include <stdlib.h>

static PyObject *moments_of(PyObject *module, PyObject *args)
{
    PyObject *tensor;
    Py_ssize_t most;
    Floats part;
    float *kept;
    if (!PyArg_ParseTuple(args, "On", &tensor, &most))
        return NULL;
    int ours = sampled(tensor, most, &part, &kept);
    if (ours <= 0)
        return ours ? NULL : none();
    Moments found = moments(part.at, part.size);
    free(kept);
    return Py_BuildValue("dddd", found.mean, found.std, found.least, found.most);
}

typedef struct {
    double mean, std, dead, saturated;
} Activation;

/* 1, 0 where the tensor is none for us, -1 with an error set. `seen` as in kernel.activation, or Py_None. */
static int activation(PyObject *tensor, const Py_ssize_t *axes, Py_ssize_t dims, Py_ssize_t most, double low,
                      double high, PyObject *seen, int channels, int64_t now, int64_t window, Activation *found)
{
    Floats part, whole;
    float *kept;
    int ours = dims < 2 || !floats(tensor, &whole) ? 0 : sampled(tensor, most, &part, &kept);
    if (ours <= 0)
        return ours;
    Moments all = moments(part.at, part.size);
    double flat = isfinite(low) ? (double)outside(part.at, part.size, (float)low, (float)high) / part.size : NAN;
    double dead = NAN;
    free(kept);
    if (seen != Py_None) {
        Py_ssize_t axis = channels ? 1 : dims - 1, units = axes[axis], inner = 1, silent = 0;
        for (Py_ssize_t after = axis + 1; after < dims; after++)
            inner *= axes[after];
        if (PyByteArray_Size(seen) != units * (Py_ssize_t)sizeof(int64_t)) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_ValueError, "one number for each unit is needed");
            return -1;
        }
        int64_t *last = (int64_t *)PyByteArray_AsString(seen);
        fired(whole.at, whole.size, units, inner, last, now);
        for (Py_ssize_t unit = 0; unit < units; unit++)
            silent += now - last[unit] >= window;
        if (now >= window)
            dead = (double)silent / units;
    }
    *found = (Activation){all.mean, all.std, dead, flat};
    return 1;
}

static PyObject *activation_of(PyObject *module, PyObject *args)
{
    PyObject *tensor, *seen;
    Py_ssize_t most, axes[AXES], dims;
    int channels;
    double low, high;
    long long now, window;
    Activation found;
    if (!PyArg_ParseTuple(args, "OnddOpLL", &tensor, &most, &low, &high, &seen, &channels, &now, &window))
        return NULL;
    if ((dims = shape(tensor, axes)) < 0)
        PyErr_Clear(); /* no tensor */
    int done = activation(tensor, axes, dims, most, low, high, seen, channels, now, window, &found);
    if (done <= 0)
        return done ? NULL : none();
    return Py_BuildValue("dddd", found.mean, found.std, found.dead, found.saturated);
}

static PyObject *classes_of(PyObject *module, PyObject *args)
{
    PyObject *logits, *labels;
    Py_ssize_t step, bins;
    long long ignored;
    int counted;
    Batch in;
    if (!PyArg_ParseTuple(args, "OOLnnp", &logits, &labels, &ignored, &step, &bins, &counted))
        return NULL;
    int ours = batch(logits, labels, &in);
    if (ours <= 0)
        return ours ? NULL : none();
    PyObject *result = PyBytes_FromStringAndSize(NULL, (2 * bins + (counted ? 3 * in.width : 0)) * sizeof(int64_t));
    if (!result)
        return NULL;
    Classes found = classes(&in, ignored, step, bins, counted, (int64_t *)PyBytes_AsString(result));
    PyObject *all = Py_BuildValue("nnnOddO", found.rows, found.kept, found.right, found.within ? Py_True : Py_False,
                                  found.logz, found.of_target, result);
    Py_DECREF(result);
    return all;
}

/* straight into a record */

#define RECORD_HEAD 24 /* segment, step, time */

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
static PyObject *moments_into(PyObject *module, PyObject *args)
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
static PyObject *classes_into(PyObject *module, PyObject *args)
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
static PyObject *layer(PyObject *module, PyObject *args)
{
    PyObject *plan = PyTuple_GetItem(args, 0), *output = PyTuple_GetItem(args, 3);
    if (plan && output && !layer_into(plan, output))
        *PyByteArray_AsString(PyTuple_GetItem(plan, 1)) = (char)255;
    PyErr_Clear();
    return none();
}

static PyMethodDef functions[] = {
    {"norms", norms, METH_O, NULL},
    {"snapshot", snapshot, METH_VARARGS, NULL},
    {"compare", compare, METH_VARARGS, NULL},
    {"moments", moments_of, METH_VARARGS, NULL},
    {"activation", activation_of, METH_VARARGS, NULL},
    {"classes", classes_of, METH_VARARGS, NULL},
    {"gradients_into", gradients_into, METH_VARARGS, NULL},
    {"compare_into", compare_into, METH_VARARGS, NULL},
    {"moments_into", moments_into, METH_VARARGS, NULL},
    {"classes_into", classes_into, METH_VARARGS, NULL},
    {"layer", layer, METH_VARARGS, NULL},
    {"lane_type", lane_type, METH_VARARGS, NULL},
    {NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_kernel", NULL, -1, functions};

/* `name` of module `from`; what is missing is an ImportError, and the probes go on without this module. */
static PyObject *take(PyObject *from, const char *name)
{
    PyObject *found = from ? PyObject_GetAttrString(from, name) : NULL;
    if (!found)
        PyErr_SetString(PyExc_ImportError, "torch is not as expected");
    return found;
}

PyMODINIT_FUNC PyInit__kernel(void)
{
    PyObject *torch = PyImport_ImportModule("torch"), *nn = take(torch, "nn");
    torch_ = (Torch){
        .tensor = take(torch, "Tensor"),
        .parameter = take(nn, "Parameter"),
        .float32 = take(torch, "float32"),
        .int64 = take(torch, "int64"),
        .dtype = PyUnicode_InternFromString("dtype"),
        .shape = PyUnicode_InternFromString("shape"),
        .is_cpu = PyUnicode_InternFromString("is_cpu"),
        .is_contiguous = PyUnicode_InternFromString("is_contiguous"),
        .data_ptr = PyUnicode_InternFromString("data_ptr"),
        .numel = PyUnicode_InternFromString("numel"),
        .grad = PyUnicode_InternFromString("grad"),
    };
    Py_XDECREF(torch);
    Py_XDECREF(nn);
    PyObject *module = PyErr_Occurred() ? NULL : PyModule_Create(&definition);
    if (module && PyModule_AddIntConstant(module, "VERSION", VERSION)) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
