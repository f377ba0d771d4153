/* The arithmetic of a sampled step: one call a phase, on the tensors' own memory.

   Between the operations of a model every call of numpy or torch finds cold caches, and costs more than its work. A
   function here takes contiguous float32 tensors on the CPU and gives None for any other: the probe then does the
   same with torch and numpy, on any device. Results are bytes of float64 (or int64) for numpy.frombuffer, unless said
   otherwise. */

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

/* 1, 0 where the tensor is none for us, -1 with an error set. `seen` as in kernel.activation, or Py_None. */
int activation(PyObject *tensor, const Py_ssize_t *axes, Py_ssize_t dims, Py_ssize_t most, double low,
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
    {"seen", seen, METH_VARARGS, NULL},
    {"lane_type", lane_type, METH_VARARGS, NULL},
    {NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_kernel", NULL, -1, functions};

/* What torch lacks is an ImportError, and the probes go on without this module. */
PyMODINIT_FUNC PyInit__kernel(void)
{
    PyObject *torch = PyImport_ImportModule("torch");
    int known = torch && take_torch(torch);
    Py_XDECREF(torch);
    if (!known) {
        PyErr_SetString(PyExc_ImportError, "torch is not as expected");
        return NULL;
    }
    PyObject *module = PyModule_Create(&definition);
    if (module && PyModule_AddIntConstant(module, "VERSION", VERSION)) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
