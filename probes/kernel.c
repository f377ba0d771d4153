/* The arithmetic of a sampled step: one call a phase, on the tensors' own memory.

   Between the operations of a model every call of numpy or torch finds cold caches, and costs more than its work. A
   function here takes contiguous float32 tensors on the CPU and gives None for any other: the probe then does the
   same with torch and numpy, on any device. NaN and infinity are numbers like others: never compile with -ffast-math.
   Results are bytes of float64 (or int64) for numpy.frombuffer, unless said otherwise. */

#include "kernel.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

Torch torch_;

/* Faster code for newer processors, chosen when the module is loaded. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDE
#endif

#define LANES 16
#define BLOCK 512

/* tensors */

typedef struct {
    const float *at;
    Py_ssize_t size;
} Floats;

static int is_true(PyObject *tensor, PyObject *name, int method)
{
    PyObject *found = method ? PyObject_CallMethodObjArgs(tensor, name, NULL) : PyObject_GetAttr(tensor, name);
    int yes = found == Py_True;
    Py_XDECREF(found);
    return yes;
}

/* The memory of a plain tensor. 0 where it is none, with no error set. */
static int plain(PyObject *tensor, PyObject *dtype, void **at, Py_ssize_t *size)
{
    PyObject *type = (PyObject *)Py_TYPE(tensor), *found;
    if (type != torch_.tensor && type != torch_.parameter)
        return 0;
    found = PyObject_GetAttr(tensor, torch_.dtype);
    Py_XDECREF(found);
    if (found != dtype || !is_true(tensor, torch_.is_cpu, 0) || !is_true(tensor, torch_.is_contiguous, 1))
        goto other;
    if (!(found = PyObject_CallMethodObjArgs(tensor, torch_.numel, NULL)))
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

static int floats(PyObject *tensor, Floats *part)
{
    return plain(tensor, torch_.float32, (void **)&part->at, &part->size);
}

/* Up to `most` axes of a tensor; their number, or -1 with an error set. */
static Py_ssize_t shape(PyObject *tensor, Py_ssize_t *axes, Py_ssize_t most)
{
    PyObject *sizes = PyObject_GetAttr(tensor, torch_.shape);
    Py_ssize_t count = sizes ? PyTuple_Size(sizes) : -1;
    for (Py_ssize_t axis = 0; axis < count && axis < most; axis++)
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
static Py_ssize_t distance(PyObject *tensor, Py_ssize_t size, Py_ssize_t most)
{
    Py_ssize_t axes[64], count, row, step;
    if (size <= most)
        return 1;
    count = shape(tensor, axes, 64);
    row = count > 0 && count <= 64 ? axes[count - 1] : 1;
    step = ((size + most - 1) / most) | 1;
    while (divisor(step, row) > 1)
        step += 2;
    return step;
}

/* sums */

/* Sum of squares. Blocks in float32 lanes, added up in float64; a block whose squares do not fit float32 again. */
WIDE static double squares(const float *at, Py_ssize_t size)
{
    double whole = 0;
    for (Py_ssize_t begin = 0; begin < size; begin += BLOCK) {
        Py_ssize_t end = begin + BLOCK < size ? begin + BLOCK : size, i = begin;
        float lanes[LANES] = {0}, sum = 0;
        for (; i + LANES <= end; i += LANES)
            for (int lane = 0; lane < LANES; lane++)
                lanes[lane] += at[i + lane] * at[i + lane];
        for (; i < end; i++)
            sum += at[i] * at[i];
        for (int lane = 0; lane < LANES; lane++)
            sum += lanes[lane];
        if (sum > 1e-30f && sum <= FLT_MAX)
            whole += sum;
        else
            for (i = begin; i < end; i++)
                whole += (double)at[i] * at[i];
    }
    return whole;
}

typedef struct {
    double mean, std, least, most;
} Moments;

WIDE static Moments moments(const float *at, Py_ssize_t size, Py_ssize_t step)
{
    Py_ssize_t count = (size + step - 1) / step;
    double sum = 0, square = 0;
    float least = at[0], most = at[0];
    for (Py_ssize_t i = 0; i < count; i++) {
        float value = at[i * step];
        sum += value;
        least = value < least || value != value ? value : least;  /* a NaN stays */
        most = value > most || value != value ? value : most;
    }
    sum /= count;
    for (Py_ssize_t i = 0; i < count; i++) {
        double off = at[i * step] - sum;
        square += off * off;
    }
    return (Moments){sum, sqrt(square / count), least, most};
}

/* the functions of the module */

static PyObject *none(void)
{
    Py_RETURN_NONE;
}

static PyObject *norms(PyObject *module, PyObject *tensors)
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

/* Of one parameter in a snapshot; the sampled elements of all follow the last of these. */
typedef struct {
    Py_ssize_t size, step, count;
} Part;

static PyObject *snapshot(PyObject *module, PyObject *args)
{
    PyObject *tensors, *result = NULL;
    Py_ssize_t most, total = 0;
    if (!PyArg_ParseTuple(args, "On", &tensors, &most))
        return NULL;
    Py_ssize_t count = PyList_Size(tensors);
    Part *parts = count < 0 ? NULL : malloc((count + 1) * sizeof(Part));
    const float **at = parts ? malloc((count + 1) * sizeof(float *)) : NULL;
    if (!at) {
        free(parts);
        return count < 0 ? NULL : PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        Floats part;
        PyObject *tensor = PyList_GetItem(tensors, i);
        if (!floats(tensor, &part)) {
            result = none();
            goto done;
        }
        Py_ssize_t step = distance(tensor, part.size, most);
        at[i] = part.at;
        parts[i] = (Part){part.size, step, (part.size + step - 1) / step};
        total += parts[i].count;
    }
    result = PyBytes_FromStringAndSize(NULL, count * sizeof(Part) + total * sizeof(float));
    if (result) {
        char *out = PyBytes_AsString(result);
        memcpy(out, parts, count * sizeof(Part));
        float *values = (float *)(out + count * sizeof(Part));
        for (Py_ssize_t i = 0; i < count; i++)
            for (Py_ssize_t k = 0; k < parts[i].count; k++)
                *values++ = at[i][k * parts[i].step];
    }
done:
    free(parts);
    free(at);
    return PyErr_Occurred() ? (Py_XDECREF(result), NULL) : result;
}

static PyObject *compare(PyObject *module, PyObject *args)
{
    PyObject *tensors, *before;
    if (!PyArg_ParseTuple(args, "OO", &tensors, &before))
        return NULL;
    Py_ssize_t count = PyList_Size(tensors), bytes = PyBytes_Size(before);
    if (count < 0 || bytes < 0)
        return NULL;
    const Part *parts = (const Part *)PyBytes_AsString(before);
    const float *old = (const float *)(parts + count);
    PyObject *result = PyBytes_FromStringAndSize(NULL, 2 * count * sizeof(double));
    if (!result)
        return NULL;
    double *norm = (double *)PyBytes_AsString(result), *ratio = norm + count;
    for (Py_ssize_t i = 0; i < count; i++) {
        Floats now;
        Part part = parts[i];
        double weight = 0, change = 0;
        if (!floats(PyList_GetItem(tensors, i), &now) || now.size != part.size) {
            Py_DECREF(result);
            return none();
        }
        for (Py_ssize_t k = 0; k < part.count; k++) {
            double value = *old++, moved = now.at[k * part.step] - value;
            weight += value * value;
            change += moved * moved;
        }
        norm[i] = sqrt(weight) * sqrt((double)part.size / (part.count ? part.count : 1));
        ratio[i] = weight > 0 ? sqrt(change) / sqrt(weight) : NAN;
    }
    return result;
}

static PyObject *moments_of(PyObject *module, PyObject *args)
{
    PyObject *tensor;
    Py_ssize_t most;
    Floats part;
    if (!PyArg_ParseTuple(args, "On", &tensor, &most))
        return NULL;
    if (!floats(tensor, &part) || !part.size)
        return none();
    Moments found = moments(part.at, part.size, distance(tensor, part.size, most));
    return PyErr_Occurred() ? NULL : Py_BuildValue("dddd", found.mean, found.std, found.least, found.most);
}

/* Sets seen[unit] to `now` for every unit that fired; units lie `inner` apart in blocks of units * inner. */
static void fired(const float *at, Py_ssize_t size, Py_ssize_t units, Py_ssize_t inner, int64_t *seen, int64_t now)
{
    Py_ssize_t left = 0;
    for (Py_ssize_t unit = 0; unit < units; unit++)
        left += seen[unit] != now;
    for (Py_ssize_t begin = 0; begin < size && left; begin += units * inner)
        for (Py_ssize_t unit = 0; unit < units; unit++) {
            if (seen[unit] == now)
                continue;
            const float *value = at + begin + unit * inner, *end = value + inner;
            while (value < end && *value <= 0)
                value++;
            if (value < end) {
                seen[unit] = now;
                left--;
            }
        }
}

static PyObject *activation(PyObject *module, PyObject *args)
{
    PyObject *tensor, *seen;
    Py_ssize_t most, axes[64];
    int channels;
    double low, high;
    long long now, window;
    Floats part;
    if (!PyArg_ParseTuple(args, "OnddOpLL", &tensor, &most, &low, &high, &seen, &channels, &now, &window))
        return NULL;
    if (!floats(tensor, &part) || !part.size)
        return none();
    Py_ssize_t dims = shape(tensor, axes, 64), step = distance(tensor, part.size, most);
    if (dims < 2 || dims > 64 || PyErr_Occurred())
        return PyErr_Occurred() ? NULL : none();
    Moments found = moments(part.at, part.size, step);
    Py_ssize_t flat = 0, count = (part.size + step - 1) / step;
    for (Py_ssize_t i = 0; i < count; i++) {
        float value = part.at[i * step];
        flat += value < (float)low || value > (float)high;
    }
    double dead = NAN;
    if (seen != Py_None) {
        Py_ssize_t axis = channels ? 1 : dims - 1, units = axes[axis], inner = 1, silent = 0;
        for (Py_ssize_t after = axis + 1; after < dims; after++)
            inner *= axes[after];
        if (PyByteArray_Size(seen) != units * (Py_ssize_t)sizeof(int64_t))
            return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "one number for each unit is needed");
        int64_t *last = (int64_t *)PyByteArray_AsString(seen);
        fired(part.at, part.size, units, inner, last, now);
        for (Py_ssize_t unit = 0; unit < units; unit++)
            silent += now - last[unit] >= window;
        if (now >= window)
            dead = (double)silent / units;
    }
    return Py_BuildValue("dddd", found.mean, found.std, dead, isfinite(low) ? (double)flat / count : NAN);
}

/* exp(x) of x <= 0 to 2 units in the last place; 0 below -87; NaN stays. Cephes' polynomial, without a branch. */
static inline float power(float x)
{
    float bounded = x < -87.0f ? -87.0f : x;
    float whole = (bounded * 1.44269504f + 12582912.0f) - 12582912.0f; /* nearest, as 1.5 * 2^23 leaves no bits */
    float rest = (bounded - whole * 0.693359375f) + whole * 2.12194440e-4f;
    float y = 1.9875691500e-4f;
    y = y * rest + 1.3981999507e-3f;
    y = y * rest + 8.3334519073e-3f;
    y = y * rest + 4.1665795894e-2f;
    y = y * rest + 1.6666665459e-1f;
    y = y * rest + 5.0000001201e-1f;
    y = y * rest * rest + rest + 1.0f;
    union {
        float real;
        int32_t bits;
    } two = {.bits = ((x == x ? (int32_t)whole : 0) + 127) << 23};
    return x < -87.0f ? 0.0f : y * two.real;
}

/* Sum of exp(value - highest) over a row, in float32 lanes. */
WIDE static double exponentials(const float *row, Py_ssize_t classes, float highest)
{
    float lanes[LANES] = {0};
    double sum = 0;
    Py_ssize_t i = 0;
    for (; i + LANES <= classes; i += LANES)
        for (int lane = 0; lane < LANES; lane++)
            lanes[lane] += power(row[i + lane] - highest);
    for (; i < classes; i++)
        sum += power(row[i] - highest);
    for (int lane = 0; lane < LANES; lane++)
        sum += lanes[lane];
    return sum;
}

WIDE static Py_ssize_t highest_of(const float *row, Py_ssize_t classes)
{
    float lanes[LANES], highest = row[0];
    Py_ssize_t i = 0;
    int odd = 0;
    for (int lane = 0; lane < LANES; lane++)
        lanes[lane] = row[0];
    for (; i + LANES <= classes; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            float value = row[i + lane];
            lanes[lane] = value > lanes[lane] ? value : lanes[lane];
            odd |= value != value;
        }
    for (; i < classes; i++) {
        highest = row[i] > highest ? row[i] : highest;
        odd |= row[i] != row[i];
    }
    for (int lane = 0; lane < LANES; lane++)
        highest = lanes[lane] > highest ? lanes[lane] : highest;
    for (i = 0; i < classes; i++)
        if (odd ? row[i] != row[i] : row[i] == highest)
            return i; /* the first NaN, as numpy and torch have it, or the first maximum */
    return 0;
}

static PyObject *classes(PyObject *module, PyObject *args)
{
    PyObject *logits, *labels;
    Py_ssize_t step, bins, axes[2], size;
    long long ignored;
    int counted;
    Floats part;
    int64_t *label;
    if (!PyArg_ParseTuple(args, "OOLnnp", &logits, &labels, &ignored, &step, &bins, &counted))
        return NULL;
    if (!floats(logits, &part) || !part.size || !plain(labels, torch_.int64, (void **)&label, &size))
        return none();
    if (shape(logits, axes, 2) != 2 || axes[0] != size)
        return PyErr_Occurred() ? NULL : none();
    Py_ssize_t width = axes[1], per = counted ? width : 0;
    PyObject *result = PyBytes_FromStringAndSize(NULL, (2 * bins + 3 * per) * sizeof(int64_t));
    if (!result)
        return NULL;
    int64_t *sure = (int64_t *)PyBytes_AsString(result);
    int64_t *predicted = sure + 2 * bins, *target = predicted + per, *right = target + per;
    memset(sure, 0, (2 * bins + 3 * per) * sizeof(int64_t));
    Py_ssize_t looked = 0, kept = 0, hits = 0;
    int within = 1;
    double logz = 0, given = 0;
    for (Py_ssize_t i = 0; i < size; i += step) {
        const float *row = part.at + i * width;
        int64_t truth = label[i];
        looked++;
        if (truth == ignored)
            continue;
        Py_ssize_t best = highest_of(row, width);
        double sum = exponentials(row, width, row[best]);
        float most = 1.0f / (float)sum;
        int hit = best == truth, inside = truth >= 0 && truth < width;
        kept++;
        hits += hit;
        logz += log(sum) + row[best];
        within &= inside;
        if (inside)
            given += exp((double)row[truth] - row[best]) / sum;
        if (most == most) {
            Py_ssize_t place = (Py_ssize_t)(most * bins);
            sure[(place < bins ? place : bins - 1) + hit * bins]++;
        }
        if (counted) {
            predicted[best]++;
            if (inside) {
                target[truth]++;
                right[truth] += hit;
            }
        }
    }
    PyObject *found = Py_BuildValue("nnnOddO", looked, kept, hits, within ? Py_True : Py_False, logz, given, result);
    Py_DECREF(result);
    return found;
}

static PyMethodDef functions[] = {
    {"norms", norms, METH_O, NULL},
    {"snapshot", snapshot, METH_VARARGS, NULL},
    {"compare", compare, METH_VARARGS, NULL},
    {"moments", moments_of, METH_VARARGS, NULL},
    {"activation", activation, METH_VARARGS, NULL},
    {"classes", classes, METH_VARARGS, NULL},
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
