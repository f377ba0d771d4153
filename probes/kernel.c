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

typedef struct {
    double mean, std, dead, saturated;
} Activation;

/* 1, 0 where the tensor is none for us, -1 with an error set. `seen` as in kernel.activation, or Py_None. */
static int activation(PyObject *tensor, Py_ssize_t most, double low, double high, PyObject *seen, int channels,
                      int64_t now, int64_t window, Activation *found)
{
    Py_ssize_t axes[64];
    Floats part;
    if (!floats(tensor, &part) || !part.size)
        return 0;
    Py_ssize_t dims = shape(tensor, axes, 64), step = distance(tensor, part.size, most);
    if (dims < 2 || dims > 64 || PyErr_Occurred())
        return PyErr_Occurred() ? -1 : 0;
    Moments whole = moments(part.at, part.size, step);
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
        if (PyByteArray_Size(seen) != units * (Py_ssize_t)sizeof(int64_t)) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_ValueError, "one number for each unit is needed");
            return -1;
        }
        int64_t *last = (int64_t *)PyByteArray_AsString(seen);
        fired(part.at, part.size, units, inner, last, now);
        for (Py_ssize_t unit = 0; unit < units; unit++)
            silent += now - last[unit] >= window;
        if (now >= window)
            dead = (double)silent / units;
    }
    *found = (Activation){whole.mean, whole.std, dead, isfinite(low) ? (double)flat / count : NAN};
    return 1;
}

static PyObject *activation_of(PyObject *module, PyObject *args)
{
    PyObject *tensor, *seen;
    Py_ssize_t most;
    int channels;
    double low, high;
    long long now, window;
    Activation found;
    if (!PyArg_ParseTuple(args, "OnddOpLL", &tensor, &most, &low, &high, &seen, &channels, &now, &window))
        return NULL;
    int done = activation(tensor, most, low, high, seen, channels, now, window, &found);
    if (done <= 0)
        return done ? NULL : none();
    return Py_BuildValue("dddd", found.mean, found.std, found.dead, found.saturated);
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

typedef struct {
    Py_ssize_t rows, kept, right;
    int within;
    double logz, of_target;
} Classes;

/* Logits (N, C) and labels (N,) of `classes`; 0 where they are none for us. */
typedef struct {
    const float *at;
    const int64_t *label;
    Py_ssize_t size, width;
} Batch;

static int batch(PyObject *logits, PyObject *labels, Batch *found)
{
    Floats part;
    Py_ssize_t axes[2];
    if (!floats(logits, &part) || !part.size || !plain(labels, torch_.int64, (void **)&found->label, &found->size) ||
        shape(logits, axes, 2) != 2 || axes[0] != found->size)
        return 0;
    found->at = part.at;
    found->width = axes[1];
    return 1;
}

/* `counts`: 2 * bins, and 3 * width more where `counted`. */
static Classes classes(const Batch *in, int64_t ignored, Py_ssize_t step, Py_ssize_t bins, int counted, int64_t *counts)
{
    Py_ssize_t width = in->width, per = counted ? width : 0;
    int64_t *predicted = counts + 2 * bins, *target = predicted + per, *right = target + per;
    Classes found = {.within = 1};
    memset(counts, 0, (2 * bins + 3 * per) * sizeof(int64_t));
    for (Py_ssize_t i = 0; i < in->size; i += step) {
        const float *row = in->at + i * width;
        int64_t truth = in->label[i];
        found.rows++;
        if (truth == ignored)
            continue;
        Py_ssize_t best = highest_of(row, width);
        double sum = exponentials(row, width, row[best]);
        float most = 1.0f / (float)sum;
        int hit = best == truth, inside = truth >= 0 && truth < width;
        found.kept++;
        found.right += hit;
        found.logz += log(sum) + row[best];
        found.within &= inside;
        if (inside)
            found.of_target += exp((double)row[truth] - row[best]) / sum;
        if (most == most) {
            Py_ssize_t place = (Py_ssize_t)(most * bins);
            counts[(place < bins ? place : bins - 1) + hit * bins]++;
        }
        if (counted) {
            predicted[best]++;
            if (inside) {
                target[truth]++;
                right[truth] += hit;
            }
        }
    }
    return found;
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
    if (!batch(logits, labels, &in))
        return PyErr_Occurred() ? NULL : none();
    PyObject *result = PyBytes_FromStringAndSize(NULL, (2 * bins + (counted ? 3 * in.width : 0)) * sizeof(int64_t));
    if (!result)
        return NULL;
    Classes found = classes(&in, ignored, step, bins, counted, (int64_t *)PyBytes_AsString(result));
    PyObject *all = Py_BuildValue("nnnOddO", found.rows, found.kept, found.right, found.within ? Py_True : Py_False,
                                  found.logz, found.of_target, result);
    Py_DECREF(result);
    return all;
}

/* a routine sample: straight into its record (routine.py) */

#define RECORD_HEAD 24 /* segment, step, time */

/* Numbers of a record from `place` on, at least `count`; NULL without them, or without a place (below 0). */
static float *numbers(PyObject *record, Py_ssize_t place, Py_ssize_t count)
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

static PyObject *gradients_into(PyObject *module, PyObject *args)
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
        PyObject *gradient = PyObject_GetAttr(PyList_GetItem(parameters, i), torch_.grad);
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

static PyObject *compare_into(PyObject *module, PyObject *args)
{
    PyObject *record, *parameters, *before;
    Py_ssize_t norms, ratios;
    if (!PyArg_ParseTuple(args, "O!nnO!O", &PyByteArray_Type, &record, &norms, &ratios, &PyList_Type, &parameters, &before))
        return NULL;
    PyObject *pair = Py_BuildValue("OO", parameters, before), *found = pair ? compare(module, pair) : NULL;
    Py_XDECREF(pair);
    if (!found || found == Py_None)
        return found;
    Py_ssize_t count = PyList_Size(parameters);
    const double *from = (const double *)PyBytes_AsString(found);
    float *norm = numbers(record, norms, count), *ratio = numbers(record, ratios, count);
    int finite = norm && ratio;
    for (Py_ssize_t i = 0; norm && ratio && i < count; i++) {
        norm[i] = (float)from[i];
        ratio[i] = (float)from[count + i];
        finite &= !(from[i] > 0) || isfinite(from[count + i]);
    }
    Py_DECREF(found);
    return PyBool_FromLong(finite);
}

/* places: mean, std, least, most */
static PyObject *moments_into(PyObject *module, PyObject *args)
{
    PyObject *record, *tensor;
    Py_ssize_t places[4], most;
    Floats part;
    if (!PyArg_ParseTuple(args, "O!(nnnn)On", &PyByteArray_Type, &record, places, places + 1, places + 2, places + 3,
                          &tensor, &most))
        return NULL;
    if (!floats(tensor, &part) || !part.size)
        return PyBool_FromLong(0);
    Moments found = moments(part.at, part.size, distance(tensor, part.size, most));
    if (PyErr_Occurred())
        return NULL;
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
    if (!batch(logits, labels, &in))
        return PyErr_Occurred() ? NULL : PyBool_FromLong(0);
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
    Py_ssize_t places[4], most, axes[64], rows = 1;
    double low, high;
    long long window, now = 0;
    Activation found;
    if (!PyArg_ParseTuple(plan, "OOOO(nnnn)ddOOOnL", &record, &calls, &names, &at, places, places + 1, places + 2,
                          places + 3, &low, &high, &fired, &samples, &widths, &most, &window))
        return 0;
    unsigned char call = (unsigned char)*PyByteArray_AsString(calls);
    PyObject *name = call < PyTuple_Size(names) ? PyTuple_GetItem(names, call) : NULL;
    Py_ssize_t dims = name ? shape(output, axes, 64) : 0;
    if (dims < 2 || dims > 64)
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
    if (activation(output, most, low, high, seen, channels, now, window, &found) <= 0)
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
