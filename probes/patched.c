/* A call of what stands in torch's places: the original, and what the lane makes of it. What the lane does not take is
   told in Python. */

#include "patch.h"

/* An error of ours ends here; 0 where it is none, but an interrupt. `about` is what the hook was called for. */
static int failed(Patch *self, PyObject *about)
{
    PyObject *type, *error, *trace;
    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return 0;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    PyObject *done = PyObject_CallFunctionObjArgs(self->failed, error, about, NULL);
    if (!done)
        PyErr_Clear();
    Py_XDECREF(done);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    return 1;
}

/* Tells what the lane has not taken. `taken`: 1, 0, or -1 with an error set, as from step.c. 0: it was interrupted. */
static int tell(Patch *self, int taken, PyObject *hook, PyObject *about, PyObject *args, PyObject *kwargs)
{
    if (taken > 0)
        return 1;
    if (!taken) {
        PyObject *named = keywords(kwargs);
        PyObject *done = named ? PyObject_CallFunctionObjArgs(hook, about, args, named, NULL) : NULL;
        Py_XDECREF(named);
        Py_XDECREF(done);
        if (done)
            return 1;
    }
    return failed(self, about);
}

/* The loss function has raised an exception, which stays; or the iterator of a loader, which has come to its end. */
static void refused(Patch *self, PyObject *args, PyObject *kwargs)
{
    PyObject *type, *error, *trace;
    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return;
    PyErr_Fetch(&type, &error, &trace);
    if (!tell(self, 0, self->other, Py_None, args, kwargs))
        PyErr_Clear();
    PyErr_Restore(type, error, trace);
}

static PyObject *call_loss(Patch *self, PyObject *args, PyObject *kwargs)
{
    PyObject *value = PyObject_Call(self->original, args, kwargs);
    if (!value) {
        refused(self, args, kwargs);
        return NULL;
    }
    int taken = loss(self->lane, self->name, self->original, args, kwargs, value);
    if (!tell(self, taken, self->told, value, args, kwargs))
        Py_CLEAR(value);
    return value;
}

static PyObject *call_backward(Patch *self, PyObject *args, PyObject *kwargs)
{
    Lane *lane = self->lane;
    PyObject *tensors = NULL, *found = NULL;
    if (PyTuple_Size(args) > 0)
        tensors = PyTuple_GetItem(args, 0);
    else if (kwargs)
        tensors = PyDict_GetItem(kwargs, names.tensors);
    if (!tensors || lane->inside_backward) /* a reentrant checkpoint calls backward inside backward */
        return PyObject_Call(self->original, args, kwargs);
    lane->inside_backward = 1;
    if (tell(self, backward(lane, tensors), self->told, tensors, args, kwargs))
        found = PyObject_Call(self->original, args, kwargs);
    lane->inside_backward = 0;
    int over = found && lane->stage == INSIDE;
    if (over)
        lane->stage = STEP;
    if (found && !tell(self, over, self->other, found, args, kwargs))
        Py_CLEAR(found);
    return found;
}

/* What a hook is called with; PyArg_ParseTuple takes longer than all the rest of it. */
static int three(PyObject *args, PyObject *given[3])
{
    for (int i = 0; i < 3; i++)
        if (!(given[i] = PyTuple_GetItem(args, i)))
            return 0;
    return 1;
}

/* A hook (optimizer, args, kwargs). */
static PyObject *call_hook(Patch *self, PyObject *args, PyObject *kwargs)
{
    PyObject *given[3];
    if (!three(args, given))
        return NULL;
    int taken = (self->stage == STEP ? steps : stepped)(self->lane, given[0]);
    return tell(self, taken, self->told, given[0], given[1], given[2]) ? none() : NULL;
}

/* A hook (module, args, kwargs) before the forward pass. */
static PyObject *call_entry(Patch *self, PyObject *args, PyObject *kwargs)
{
    PyObject *given[3];
    if (!three(args, given))
        return NULL;
    int taken = enters(self->lane, given[0], given[1], given[2], self->outermost);
    return tell(self, taken, self->told, given[0], given[1], given[2]) ? none() : NULL;
}

/* A hook (module, args, output) after it. */
static PyObject *call_exit(Patch *self, PyObject *args, PyObject *kwargs)
{
    PyObject *given[3];
    if (!three(args, given))
        return NULL;
    return tell(self, exits(self->lane, given[0]), self->told, given[0], given[1], given[2]) ? none() : NULL;
}

/* A loader's iterator gives a batch. */
static PyObject *call_next(Patch *self, PyObject *args, PyObject *kwargs)
{
    Lane *lane = self->lane;
    double began = now(CLOCK_MONOTONIC);
    PyObject *batch = PyObject_Call(self->original, args, kwargs), *iterator;
    if (!batch) {
        refused(self, args, kwargs);
        return NULL;
    }
    double came = now(CLOCK_MONOTONIC);
    if (!(iterator = PyTuple_GetItem(args, 0)) ||
        !tell(self, follows(lane, iterator), self->told, iterator, args, kwargs)) {
        Py_DECREF(batch);
        return NULL;
    }
    reads(lane, batch, came - began);
    if (lane->timed)
        lane->spent += now(CLOCK_MONOTONIC) - came;
    return batch;
}

PyObject *call_patch(Patch *self, PyObject *args, PyObject *kwargs)
{
    switch (self->stage) {
    case LOSS:
        return call_loss(self, args, kwargs);
    case BACKWARD:
        return call_backward(self, args, kwargs);
    case ENTRY:
        return call_entry(self, args, kwargs);
    case EXIT:
        return call_exit(self, args, kwargs);
    case NEXT:
        return call_next(self, args, kwargs);
    default:
        return call_hook(self, args, kwargs);
    }
}
