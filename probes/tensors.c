#include "tensors.h"

#include <stdlib.h>

Torch torch_;

/* DLTensor of DLPack 1 (https://dmlc.github.io/dlpack/latest/c_api.html), and of its table of functions what is used. */
typedef struct {
    void *data;
    int32_t device, number, dims;
    uint8_t code, bits;
    uint16_t lanes;
    int64_t *axes, *strides;
    uint64_t offset;
} View;

typedef struct {
    uint32_t major, minor;
    void *older, *unused[3];
    int (*view)(void *tensor, View *found); /* 0, or -1 with an error set */
} Exchange;

enum { CPU = 1 };

static int (*view)(void *tensor, View *found); /* NULL with a torch that does not have it */

static void take_exchange(PyObject *tensor)
{
    PyObject *capsule = PyObject_GetAttrString(tensor, "__dlpack_c_exchange_api__");
    const Exchange *exchange = capsule ? PyCapsule_GetPointer(capsule, "dlpack_exchange_api") : NULL;
    view = exchange && exchange->major == 1 ? exchange->view : NULL;
    Py_XDECREF(capsule); /* the table stays */
    PyErr_Clear();
}

static int attribute(PyObject *tensor, const char *name, Attribute *found)
{
    found->descriptor = PyObject_GetAttrString(tensor, name);
    found->get = found->descriptor ? (descrgetfunc)PyType_GetSlot(Py_TYPE(found->descriptor), Py_tp_descr_get) : NULL;
    return found->get != NULL;
}

/* 0 where torch is not as expected. */
int take_torch(PyObject *torch)
{
    PyObject *nn = PyObject_GetAttrString(torch, "nn"), *base = NULL, *bases = NULL;
    PyObject *tensor = torch_.tensor = PyObject_GetAttrString(torch, "Tensor");
    torch_.parameter = nn ? PyObject_GetAttrString(nn, "Parameter") : NULL;
    Py_XDECREF(nn);
    torch_.float32 = PyObject_GetAttrString(torch, "float32");
    torch_.int64 = PyObject_GetAttrString(torch, "int64");
    if (!tensor || !torch_.parameter || !torch_.float32 || !torch_.int64)
        return 0;
    take_exchange(tensor);
    if ((bases = PyObject_GetAttrString(tensor, "__bases__")) && (base = PyTuple_GetItem(bases, 0)))
        torch_.rows = (lenfunc)PyType_GetSlot((PyTypeObject *)base, Py_mp_length);
    Py_XDECREF(bases);
    return torch_.rows && attribute(tensor, "dtype", &torch_.dtype) && attribute(tensor, "shape", &torch_.shape) &&
           attribute(tensor, "is_cpu", &torch_.is_cpu) &&
           attribute(tensor, "requires_grad", &torch_.requires_grad) && attribute(tensor, "grad", &torch_.grad) &&
           attribute(tensor, "grad_fn", &torch_.grad_fn) && attribute(tensor, "_version", &torch_.version) &&
           (torch_.is_contiguous = PyObject_GetAttrString(tensor, "is_contiguous")) &&
           (torch_.data_ptr = PyObject_GetAttrString(tensor, "data_ptr")) &&
           (torch_.numel = PyObject_GetAttrString(tensor, "numel")) &&
           (torch_.item = PyObject_GetAttrString(tensor, "item")) &&
           (torch_.is_grad_enabled = PyObject_GetAttrString(torch, "is_grad_enabled")) &&
           (torch_.is_autocast_enabled = PyObject_GetAttrString(torch, "is_autocast_enabled"));
}

static PyObject *call(PyObject *method, PyObject *tensor)
{
    return PyObject_CallFunctionObjArgs(method, tensor, NULL);
}

static int given_true(PyObject *found)
{
    if (!found)
        PyErr_Clear();
    Py_XDECREF(found);
    return found == Py_True;
}

int is_true(const Attribute *attribute, PyObject *tensor)
{
    return given_true(get(attribute, tensor));
}

/* As plain, by one call: without it each of five calls costs as much, and more where the caches are cold. */
static int plain_view(PyObject *tensor, PyObject *dtype, void **at, Py_ssize_t *size)
{
    View found;
    int64_t dense = 1;
    if (view(tensor, &found)) {
        PyErr_Clear();
        return 0;
    }
    int kind = found.code == 2 && found.bits == 32   ? dtype == torch_.float32
               : found.code == 0 && found.bits == 64 ? dtype == torch_.int64
                                                     : 0;
    if (!kind || found.device != CPU)
        return 0;
    int contiguous = 1;
    for (int axis = found.dims - 1; axis >= 0; axis--) {
        contiguous &= !found.strides || found.axes[axis] == 1 || found.strides[axis] == dense;
        dense *= found.axes[axis];
    }
    *at = (char *)found.data + found.offset;
    *size = dense;
    return contiguous || !dense;
}

/* Contiguous, of that type and on the CPU: its memory and elements. */
int plain(PyObject *tensor, PyObject *dtype, void **at, Py_ssize_t *size)
{
    PyObject *type = (PyObject *)Py_TYPE(tensor), *found;
    if (type != torch_.tensor && type != torch_.parameter)
        return 0;
    if (view)
        return plain_view(tensor, dtype, at, size);
    found = get(&torch_.dtype, tensor);
    Py_XDECREF(found);
    if (found != dtype || !(found = call(torch_.numel, tensor)))
        goto other;
    *size = PyLong_AsSsize_t(found);
    Py_DECREF(found);
    if (!(found = call(torch_.data_ptr, tensor)))
        goto other;
    *at = PyLong_AsVoidPtr(found);
    Py_DECREF(found);
    if (!PyErr_Occurred() && (*at || !*size))
        return is_true(&torch_.is_cpu, tensor) && given_true(call(torch_.is_contiguous, tensor));
other:
    PyErr_Clear();
    return 0;
}

/* The number in a tensor on the CPU that holds one; 0 if it is no such tensor. */
int number_of(PyObject *tensor, double *number)
{
    Floats part;
    if ((PyObject *)Py_TYPE(tensor) != torch_.tensor)
        return 0;
    if (floats(tensor, &part)) {
        *number = part.size == 1 ? *part.at : 0;
        return part.size == 1;
    }
    PyObject *found = is_true(&torch_.is_cpu, tensor) ? call(torch_.item, tensor) : NULL;
    *number = found ? PyFloat_AsDouble(found) : 0;
    int had = found && !PyErr_Occurred();
    Py_XDECREF(found);
    PyErr_Clear();
    return had;
}

/* Its first axis; 0 where it has none. */
Py_ssize_t rows(PyObject *tensor)
{
    View found;
    Py_ssize_t count;
    if (view && !view(tensor, &found))
        return found.dims ? found.axes[0] : 0;
    PyErr_Clear();
    count = torch_.rows(tensor);
    PyErr_Clear();
    return count < 0 ? 0 : count;
}

int floats(PyObject *tensor, Floats *part)
{
    return plain(tensor, torch_.float32, (void **)&part->at, &part->size);
}

/* Is a tensor that was plain floats still where it was? */
int still(PyObject *tensor, const float *at, Py_ssize_t size)
{
    Floats now;
    return at && floats(tensor, &now) && now.at == at && now.size == size;
}

/* The axes of a tensor; their number, 0 where there are too many, or -1 with an error set. */
Py_ssize_t shape(PyObject *tensor, Py_ssize_t axes[AXES])
{
    PyObject *sizes = get(&torch_.shape, tensor);
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
