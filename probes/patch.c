/* What stands in the place of a function of torch, or is a hook of its optimizers: as the wrappers of passes.py, which
   say the same in Python, but without a frame. It passes for the function it stands for: its __class__ is that one's,
   its attributes are given by passes.py, methods are made of it, and it is pickled by its name. */

#include "patch.h"

#include <stddef.h>
#include <structmember.h>

static PyObject *method_type;

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
    {Py_tp_call, call_patch},       {Py_tp_descr_get, bound}, {Py_tp_repr, repr},
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
