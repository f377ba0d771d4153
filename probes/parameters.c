/* All parameters of a model and their gradients, in one call. */

#include "tensors.h"

#include <math.h>
#include <stdlib.h>

PyObject *norms(PyObject *module, PyObject *tensors)
{
    Py_ssize_t count = PyList_Size(tensors);
    PyObject *result = count < 0 ? NULL : PyBytes_FromStringAndSize(NULL, count * sizeof(double));
    if (!result)
        return NULL;
    double *norm = (double *)PyBytes_AsString(result);
    for (Py_ssize_t i = 0; i < count; i++) {
        Floats part;
        if (!floats(PyList_GetItem(tensors, i), &part)) {
            Py_DECREF(result);
            return none();
        }
        norm[i] = sqrt(squares(part.at, part.size));
    }
    return result;
}

/* Of one parameter in a snapshot: where it lies, and which of its elements are taken. These of all parameters follow
   the last Part. */
typedef struct {
    const float *at;
    Py_ssize_t size, step, count;
} Part;

/* snapshot(tensors, most, held): `held` is a bytearray, perhaps of an earlier snapshot, which tells what is known. */
PyObject *snapshot(PyObject *module, PyObject *args)
{
    PyObject *tensors, *held;
    Py_ssize_t most, total = 0;
    if (!PyArg_ParseTuple(args, "O!nO!", &PyList_Type, &tensors, &most, &PyByteArray_Type, &held))
        return NULL;
    Py_ssize_t count = PyList_Size(tensors), bytes = count * sizeof(Part);
    int known = PyByteArray_Size(held) >= bytes;
    if (!known && PyByteArray_Resize(held, bytes))
        return NULL;
    Part *parts = (Part *)PyByteArray_AsString(held);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *tensor = PyList_GetItem(tensors, i);
        if (!known || !still(tensor, parts[i].at, parts[i].size)) {
            Floats part;
            if (!floats(tensor, &part)) {
                PyByteArray_Resize(held, 0);
                return none();
            }
            Py_ssize_t step = distance(tensor, part.size, most);
            parts[i] = (Part){part.at, part.size, step, (part.size + step - 1) / step};
        }
        total += parts[i].count;
    }
    if (PyErr_Occurred() || PyByteArray_Resize(held, bytes + total * sizeof(float)))
        return NULL;
    parts = (Part *)PyByteArray_AsString(held);
    float *values = (float *)(parts + count);
    for (Py_ssize_t i = 0; i < count; i++)
        for (Py_ssize_t k = 0; k < parts[i].count; k++)
            *values++ = parts[i].at[k * parts[i].step];
    Py_INCREF(held);
    return held;
}

/* Norms as they were, and shares by which they changed; 0 where a tensor lies elsewhere now or is another. */
static int compared(PyObject *tensors, PyObject *held, double *norm, double *ratio)
{
    Py_ssize_t count = PyList_Size(tensors);
    const Part *parts = (const Part *)PyByteArray_AsString(held);
    const float *old = (const float *)(parts + count);
    if (PyByteArray_Size(held) < count * (Py_ssize_t)sizeof(Part))
        return 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        Floats now = {parts[i].at, parts[i].size};
        Part part = parts[i];
        PyObject *tensor = PyList_GetItem(tensors, i);
        double weight = 0, change = 0;
        if (!still(tensor, part.at, part.size) && (!floats(tensor, &now) || now.size != part.size))
            return 0;
        for (Py_ssize_t k = 0; k < part.count; k++) {
            double value = *old++, moved = now.at[k * part.step] - value;
            weight += value * value;
            change += moved * moved;
        }
        norm[i] = sqrt(weight) * sqrt((double)part.size / (part.count ? part.count : 1));
        ratio[i] = weight > 0 ? sqrt(change) / sqrt(weight) : NAN;
    }
    return 1;
}

PyObject *compare(PyObject *module, PyObject *args)
{
    PyObject *tensors, *held;
    if (!PyArg_ParseTuple(args, "O!O!", &PyList_Type, &tensors, &PyByteArray_Type, &held))
        return NULL;
    Py_ssize_t count = PyList_Size(tensors);
    PyObject *result = PyBytes_FromStringAndSize(NULL, 2 * count * sizeof(double));
    if (!result)
        return NULL;
    double *norm = (double *)PyBytes_AsString(result);
    if (!compared(tensors, held, norm, norm + count)) {
        Py_DECREF(result);
        return none();
    }
    return result;
}

/* straight into a record */

/* The norm of all gradients, those of each at `place`. */
PyObject *gradients_into(PyObject *module, PyObject *args)
{
    PyObject *record, *parameters;
    Py_ssize_t place;
    double whole = 0;
    if (!PyArg_ParseTuple(args, "O!nO!", &PyByteArray_Type, &record, &place, &PyList_Type, &parameters))
        return NULL;
    Py_ssize_t count = PyList_Size(parameters);
    float *each = numbers(record, place, count);
    if (!each)
        return none();
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *gradient = get(&torch_.grad, PyList_GetItem(parameters, i));
        Floats part;
        if (!gradient)
            return NULL;
        int had = gradient != Py_None, ours = had && floats(gradient, &part);
        Py_DECREF(gradient); /* the parameter holds it */
        if (had && !ours)
            return none();
        double norm = had ? sqrt(squares(part.at, part.size)) : NAN;
        each[i] = (float)norm;
        whole += had ? norm * norm : 0;
    }
    return PyFloat_FromDouble(sqrt(whole));
}

/* Have all stayed finite? */
PyObject *compare_into(PyObject *module, PyObject *args)
{
    PyObject *record, *parameters, *held;
    Py_ssize_t norms, ratios;
    if (!PyArg_ParseTuple(args, "O!nnO!O!", &PyByteArray_Type, &record, &norms, &ratios, &PyList_Type, &parameters,
                          &PyByteArray_Type, &held))
        return NULL;
    Py_ssize_t count = PyList_Size(parameters);
    float *norm = numbers(record, norms, count), *ratio = numbers(record, ratios, count);
    double *found = norm && ratio ? malloc(2 * (count + 1) * sizeof(double)) : NULL;
    if (!found)
        return norm && ratio ? PyErr_NoMemory() : none();
    int ours = compared(parameters, held, found, found + count), finite = 1;
    for (Py_ssize_t i = 0; ours && i < count; i++) {
        norm[i] = (float)found[i];
        ratio[i] = (float)found[count + i];
        finite &= !(found[i] > 0) || isfinite(found[count + i]);
    }
    free(found);
    return ours ? PyBool_FromLong(finite) : none();
}
