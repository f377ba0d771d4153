#include "tensors.h"

#include <stdlib.h>

Torch torch_;

static int is_true(PyObject *found)
{
    Py_XDECREF(found);
    return found == Py_True;
}

/* Type, elements and address: what is right for a tensor of whose memory the rest is known. */
static int placed(PyObject *tensor, PyObject *dtype, void **at, Py_ssize_t *size)
{
    PyObject *type = (PyObject *)Py_TYPE(tensor), *found;
    if (type != torch_.tensor && type != torch_.parameter)
        return 0;
    found = PyObject_GetAttr(tensor, torch_.dtype);
    Py_XDECREF(found);
    if (found != dtype || !(found = PyObject_CallMethodObjArgs(tensor, torch_.numel, NULL)))
        goto other;
    *size = PyLong_AsSsize_t(found);
    Py_DECREF(found);
    if (!(found = PyObject_CallMethodObjArgs(tensor, torch_.data_ptr, NULL)))
        goto other;
    *at = PyLong_AsVoidPtr(found);
    Py_DECREF(found);
    if (!PyErr_Occurred())
        return *at != NULL || !*size;
other:
    PyErr_Clear();
    return 0;
}

int plain(PyObject *tensor, PyObject *dtype, void **at, Py_ssize_t *size)
{
    int ours = placed(tensor, dtype, at, size) && is_true(PyObject_GetAttr(tensor, torch_.is_cpu)) &&
               is_true(PyObject_CallMethodObjArgs(tensor, torch_.is_contiguous, NULL));
    PyErr_Clear();
    return ours;
}

int floats(PyObject *tensor, Floats *part)
{
    return plain(tensor, torch_.float32, (void **)&part->at, &part->size);
}

/* Is a tensor that was plain floats still where it was? */
int still(PyObject *tensor, const float *at, Py_ssize_t size)
{
    Floats now;
    return at && placed(tensor, torch_.float32, (void **)&now.at, &now.size) && now.at == at && now.size == size;
}

/* The axes of a tensor; their number, 0 where there are too many, or -1 with an error set. */
Py_ssize_t shape(PyObject *tensor, Py_ssize_t axes[AXES])
{
    PyObject *sizes = PyObject_GetAttr(tensor, torch_.shape);
    Py_ssize_t count = sizes ? PyTuple_Size(sizes) : -1;
    if (count > AXES)
        count = 0;
    for (Py_ssize_t axis = 0; axis < count; axis++)
        axes[axis] = PyLong_AsSsize_t(PyTuple_GetItem(sizes, axis));
    Py_XDECREF(sizes);
    return count;
}

static Py_ssize_t divisor(Py_ssize_t a, Py_ssize_t b)
{
    while (b) {
        Py_ssize_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* As subsample.strided: an odd distance that shares no factor with the row length. */
Py_ssize_t distance(PyObject *tensor, Py_ssize_t size, Py_ssize_t most)
{
    Py_ssize_t axes[AXES], count, row, step;
    if (size <= most)
        return 1;
    count = shape(tensor, axes);
    row = count > 0 ? axes[count - 1] : 1;
    step = ((size + most - 1) / most) | 1;
    while (divisor(step, row) > 1)
        step += 2;
    return step;
}

/* About `most` elements: the tensor's own memory, or copied to `*kept`, which is to be freed. */
int sampled(PyObject *tensor, Py_ssize_t most, Floats *part, float **kept)
{
    *kept = NULL;
    if (!floats(tensor, part) || !part->size)
        return 0;
    Py_ssize_t step = distance(tensor, part->size, most), count = (part->size + step - 1) / step;
    if (PyErr_Occurred())
        return -1;
    if (step == 1)
        return 1;
    float *to = *kept = malloc(count * sizeof(float));
    if (!to) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        to[i] = part->at[i * step];
    *part = (Floats){to, count};
    return 1;
}

/* Logits (N, C) and labels (N,) of classes. */
int batch(PyObject *logits, PyObject *labels, Batch *found)
{
    Floats part;
    Py_ssize_t axes[AXES], size;
    if (!floats(logits, &part) || !part.size || !plain(labels, torch_.int64, (void **)&found->label, &size))
        return 0;
    Py_ssize_t dims = shape(logits, axes);
    if (dims != 2 || axes[0] != size)
        return dims < 0 ? -1 : 0;
    found->at = part.at;
    found->size = size;
    found->width = axes[1];
    return 1;
}
