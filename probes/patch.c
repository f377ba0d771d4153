/* What stands in the place of a function of torch, or is a hook of its optimizers: as the wrappers of passes.py, which
   say the same in Python, but without a frame. It passes for the function it stands for: its __class__ is that one's,
   its attributes are given by passes.py, methods are made of it, and it is pickled by its name. */

#include "lane.h"

#include <stddef.h>
#include <structmember.h>

typedef struct {
    PyObject_HEAD
    PyObject *dict, *weak;
    Lane *lane;
    int stage, outermost;
    PyObject *name, *original; /* a hook's is the same in Python, which is not called */
    PyObject *told, *other, *failed;
} Patch;

static PyObject *method_type;

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

static PyObject *call(Patch *self, PyObject *args, PyObject *kwargs)
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

/* what makes it pass for a function */

static PyObject *class_of(Patch *self, void *unused)
{
    PyObject *type = (PyObject *)Py_TYPE(self->original);
    Py_INCREF(type);
    return type;
}

static PyObject *bound(PyObject *self, PyObject *instance, PyObject *type)
{
    if (instance && instance != Py_None)
        return PyObject_CallFunctionObjArgs(method_type, self, instance, NULL);
    Py_INCREF(self);
    return self;
}

static PyObject *reduce(Patch *self, PyObject *unused)
{
    return PyObject_GetAttrString(self->original, "__qualname__");
}

static PyObject *repr(Patch *self)
{
    return PyObject_Repr(self->original);
}

#define REFERENCES(each)                                                                                             \
    each(dict) each(lane) each(name) each(original) each(told) each(other) each(failed)

static int traverse(Patch *self, visitproc visit, void *arg)
{
#define VISIT(field) Py_VISIT(self->field);
    REFERENCES(VISIT)
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static int clear(Patch *self)
{
#define CLEAR(field) Py_CLEAR(self->field);
    REFERENCES(CLEAR)
    return 0;
}

static void dealloc(Patch *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weak)
        PyObject_ClearWeakRefs((PyObject *)self);
    clear(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"__reduce__", (PyCFunction)reduce, METH_NOARGS, NULL},
    {NULL},
};

static PyMemberDef members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(Patch, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Patch, weak), READONLY, NULL},
    {NULL},
};

static PyGetSetDef properties[] = {
    {"__class__", (getter)class_of, NULL, NULL, NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_call, call},       {Py_tp_descr_get, bound}, {Py_tp_repr, repr},
    {Py_tp_dealloc, dealloc}, {Py_tp_traverse, traverse}, {Py_tp_clear, clear},
    {Py_tp_methods, methods}, {Py_tp_members, members}, {Py_tp_getset, properties}, {0, NULL},
};

static PyType_Spec spec = {
    "nnwatch.probes._kernel.Patch", sizeof(Patch), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots,
};

static PyObject *type;

/* The type, a borrowed reference. */
PyObject *patch_type(void)
{
    PyObject *types = type ? NULL : PyImport_ImportModule("types");
    if (types && (method_type = PyObject_GetAttrString(types, "MethodType")))
        type = PyType_FromSpec(&spec);
    Py_XDECREF(types);
    return type;
}

/* Lane.patch(stage, name, original, told, other, failed) */
PyObject *patch(Lane *self, PyObject *args)
{
    PyObject *name, *original, *told, *other, *failed;
    int stage;
    if (!PyArg_ParseTuple(args, "iOOOOO", &stage, &name, &original, &told, &other, &failed))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot((PyTypeObject *)type, Py_tp_alloc);
    Patch *made = (Patch *)allocate((PyTypeObject *)type, 0);
    if (!made)
        return NULL;
    made->stage = stage;
    put((PyObject **)&made->lane, (PyObject *)self);
    made->outermost = other == Py_True;
    put(&made->name, name);
    put(&made->original, original);
    put(&made->told, told);
    put(&made->other, other);
    put(&made->failed, failed);
    return (PyObject *)made;
}
