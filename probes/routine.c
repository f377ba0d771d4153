/* The ordinary way through a sampled step: what Routine's methods do (routine.py), without a line of Python between the
   operations of the model. Whatever is not as expected is left to them: they begin anew. */

#include "routine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define OURS -100 /* the index that cross_entropy leaves out where none is said */

void forget_work(Work *work)
{
    put(&work->record, NULL);
    put(&work->gradients, NULL);
    put(&work->snapshot, NULL);
    put(&work->compare, NULL);
    put(&work->parameters, NULL);
    put(&work->moments, NULL);
    put(&work->classes, NULL);
    put(&work->name, NULL);
}

/* (record, arguments of gradients_into, of snapshot, of compare_into, parameters, place of the whole norm, of the
   momenta, places and most of moments_into, places and bins of classes_into, name of the loss, classes, rows times
   classes, rows, may C look) */
int take_work(Work *work, PyObject *from)
{
    PyObject *record, *gradients, *snapshot, *compare, *parameters, *moments, *classes, *name;
    forget_work(work);
    if (!PyArg_ParseTuple(from, "OOOOOnnOOOnnnp", &record, &gradients, &snapshot, &compare, &parameters, &work->whole,
                          &work->momenta, &moments, &classes, &name, &work->width, &work->elements, &work->rows,
                          &work->looks))
        return 0;
    put(&work->record, record);
    put(&work->gradients, gradients);
    put(&work->snapshot, snapshot);
    put(&work->compare, compare);
    put(&work->parameters, parameters);
    put(&work->moments, moments);
    put(&work->classes, classes);
    put(&work->name, name);
    return 1;
}

/* Did a function give True? Takes its reference, and clears its error. */
static int was_done(PyObject *found)
{
    PyErr_Clear();
    Py_XDECREF(found);
    return found == Py_True;
}

static int stale(const Work *work)
{
    Py_ssize_t count = PyList_Size(work->parameters);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *gradient = get(&torch_.grad, PyList_GetItem(work->parameters, i));
        Py_XDECREF(gradient);
        if (gradient != Py_None)
            return 1;
    }
    return 0;
}

/* The first thing that the model was called with. */
static int input(const Work *work, PyObject *first)
{
    if (!first || (PyObject *)Py_TYPE(first) != torch_.tensor)
        return 0;
    PyObject *given = Py_BuildValue("(OOOO)", work->record, PyTuple_GetItem(work->moments, 0), first,
                                    PyTuple_GetItem(work->moments, 1));
    PyObject *done = given ? moments_into(NULL, given) : NULL;
    Py_XDECREF(given);
    return was_done(done);
}

static int prediction(const Work *work, PyObject *name, PyObject *args, PyObject *kwargs)
{
    Py_ssize_t axes[AXES];
    if (PyTuple_Size(args) != 2 || (kwargs && PyDict_Size(kwargs)) || PyUnicode_Compare(name, work->name))
        return 0;
    PyObject *logits = PyTuple_GetItem(args, 0);
    if ((PyObject *)Py_TYPE(logits) != torch_.tensor || shape(logits, axes) != 2 || axes[1] != work->width)
        return 0;
    Py_ssize_t most = work->elements / work->width, apart = axes[0] / (most > work->rows ? most : work->rows);
    PyObject *given = Py_BuildValue("(OOOOinOi)", work->record, PyTuple_GetItem(work->classes, 0), logits,
                                    PyTuple_GetItem(args, 1), OURS, apart > 1 ? apart : 1,
                                    PyTuple_GetItem(work->classes, 1), 1);
    PyObject *done = given ? classes_into(NULL, given) : NULL;
    Py_XDECREF(given);
    return was_done(done);
}

/* Routine.begins */
int begins(const Work *work, PyObject *first, PyObject *name, PyObject *args, PyObject *kwargs)
{
    int done = work->looks && !stale(work) && (work->moments == Py_None || input(work, first)) &&
               (work->classes == Py_None || prediction(work, name, args, kwargs));
    PyErr_Clear();
    return done;
}

/* Routine.before */
int before(const Work *work)
{
    PyObject *found = gradients_into(NULL, work->gradients);
    double whole = found && found != Py_None ? PyFloat_AsDouble(found) : NAN;
    float *at = numbers(work->record, work->whole, 1);
    Py_XDECREF(found);
    found = isfinite(whole) && at ? snapshot(NULL, work->snapshot) : NULL;
    int done = found && found != Py_None;
    Py_XDECREF(found);
    PyErr_Clear();
    if (done)
        *at = (float)whole;
    return done;
}

/* Routine.after */
int after(const Work *work)
{
    return was_done(compare_into(NULL, work->compare));
}

/* groups.momenta, where they are plain numbers */
static int momenta(const Work *work, PyObject *optimizer, Py_ssize_t groups)
{
    PyObject *found = PyObject_GetAttr(optimizer, names.param_groups);
    float *at = numbers(work->record, work->momenta, groups);
    int plain = at && found && PyList_CheckExact(found) && PyList_Size(found) == groups;
    for (Py_ssize_t i = 0; plain && i < groups; i++) {
        PyObject *group = PyList_GetItem(found, i), *betas, *value = NULL;
        if (PyDict_Check(group) && !(value = PyDict_GetItem(group, names.momentum)) &&
            (betas = PyDict_GetItem(group, names.betas)) && PyTuple_CheckExact(betas) && PyTuple_Size(betas) > 0)
            value = PyTuple_GetItem(betas, 0);
        plain = value && (PyFloat_CheckExact(value) || PyLong_CheckExact(value));
        at[i] = plain ? (float)PyFloat_AsDouble(value) : 0;
    }
    Py_XDECREF(found);
    PyErr_Clear();
    return plain;
}

/* Routine.write; `head` is the record's: segment, step, time. */
int written(const Work *work, PyObject *optimizer, Py_ssize_t groups, const void *head, const Pen *pen, uint32_t schema)
{
    if (!momenta(work, optimizer, groups))
        return 0;
    memcpy(PyByteArray_AsString(work->record), head, RECORD_HEAD);
    return published(pen, schema, work->record);
}

/* A record that is packed already. */
int published(const Pen *pen, uint32_t schema, PyObject *record)
{
    Py_ssize_t size = PyByteArray_Size(record);
    unsigned char *copy = malloc(HEAD + size + 4);
    if (!copy)
        return 0;
    memcpy(copy + HEAD, PyByteArray_AsString(record), size);
    if (pthread_equal(pthread_self(), pen->thread))
        write_record(pen, schema, copy, (uint32_t)size);
    free(copy);
    return 1;
}
