/* Lane of lane.py, method for method; lane.py says what each does and why, and the tests that both write the same
   bytes. What is here stays off the caches: no Python frame, and the record goes straight into the ring. */

#include "lane.h"

#include <math.h>
#include <stddef.h>
#include <structmember.h>

/* methods */

static PyObject *begin(Lane *self, PyObject *unused)
{
    self->stage = CLOSED;
    self->form = CALL;
    self->turn = self->first = -1;
    self->accumulates = 0;
    self->step = self->epoch = self->backwards = self->batches = self->rows = 0;
    self->wait = 0;
    self->ended = NAN;
    self->spent = 0;
    self->timed = 0;
    put(&self->target, NULL);
    put(&self->trained_on, NULL);
    put(&self->looks, NULL);
    put(&self->routine, NULL);
    forget_work(&self->work);
    end_pass(&self->pass);
    forget_pass(&self->pass);
    put(&self->coming, NULL);
    put(&self->optimizers, NULL);
    put(&self->places, NULL);
    forget_step(self);
    Py_RETURN_NONE;
}

static PyObject *forget_batch(Lane *self, PyObject *unused)
{
    self->fresh = 0;
    put(&self->iterator, NULL);
    put(&self->loader, NULL);
    put(&self->batch, NULL);
    Py_RETURN_NONE;
}

static PyObject *reset(Lane *self, PyObject *unused)
{
    self->inside_backward = 0;
    Py_DECREF(forget_batch(self, unused));
    return begin(self, unused);
}

static int init(Lane *self, PyObject *args, PyObject *kwargs)
{
    Py_DECREF(reset(self, NULL));
    return 0;
}

static PyObject *serve(Lane *self, PyObject *args)
{
    PyObject *left, *due, *canary;
    if (!PyArg_ParseTuple(args, "OOO", &left, &due, &canary))
        return NULL;
    put(&self->left, left);
    put(&self->due, due);
    put(&self->canary, canary);
    Py_RETURN_NONE;
}

/* open(place of the ring, id of the schema, its numbers, learning rates among them, optimizers, how many step together,
   many, id of the schema of loss calls or 0, its numbers, places, small, and as of again) */
static PyObject *open_lane(Lane *self, PyObject *args)
{
    PyObject *optimizers, *places, *small, *looks, *coming;
    unsigned long long map, ring, length, thread;
    unsigned int schema, terms;
    if (!PyArg_ParseTuple(args, "(KKKKL)InnO!ipInO!OLOOL", &map, &ring, &length, &thread, &self->segment, &schema,
                          &self->fields, &self->groups, &PyTuple_Type, &optimizers, &self->together, &self->many,
                          &terms, &self->terms, &PyTuple_Type, &places, &small, &self->until, &looks, &coming,
                          &self->at))
        return NULL;
    self->pen = (Pen){(unsigned char *)(uintptr_t)map, ring, length, (pthread_t)thread};
    self->schema = schema;
    self->of_terms = terms;
    self->turn = self->first = -1;
    forget_step(self);
    put(&self->optimizers, optimizers);
    put(&self->places, PyTuple_Size(places) ? places : NULL);
    put(&self->small, small == Py_None ? NULL : small);
    put(&self->looks, looks == Py_None ? NULL : looks);
    put(&self->coming, coming == Py_None ? NULL : coming);
    self->stage = self->fields <= FIELDS && self->terms <= SITES ? LOSS : CLOSED;
    Py_RETURN_NONE;
}

/* again(until, looks, routine, at) */
static PyObject *again(Lane *self, PyObject *args)
{
    PyObject *looks, *coming;
    if (!PyArg_ParseTuple(args, "LOOL", &self->until, &looks, &coming, &self->at))
        return NULL;
    put(&self->looks, looks == Py_None ? NULL : looks);
    put(&self->coming, coming == Py_None ? NULL : coming);
    Py_RETURN_NONE;
}

static PyObject *pass_over(Lane *self, PyObject *unused)
{
    end_pass(&self->pass);
    Py_RETURN_NONE;
}

static PyObject *publish(Lane *self, PyObject *args)
{
    PyObject *record;
    unsigned int schema;
    if (!PyArg_ParseTuple(args, "IO!", &schema, &PyByteArray_Type, &record))
        return NULL;
    return published(&self->pen, schema, record) ? none() : PyErr_NoMemory();
}

/* the type */

#define REFERENCES(each)                                                                                             \
    each(iterator) each(loader) each(batch) each(target) each(trained_on) each(top) each(entered[0])                 \
        each(entered[1]) each(entered[2]) each(left) each(due) each(canary) each(small) each(looks)                  \
            each(optimizers) each(routine) each(coming) each(places) each(work.record) each(work.gradients)          \
                each(work.snapshot) each(work.compare) each(work.parameters) each(work.moments)                      \
                    each(work.classes) each(work.name) each(pass.layers) each(pass.fused) each(pass.functions)       \
                        each(pass.warnings) each(pass.plain) each(pass.ours) each(pass.key) each(pass.inside)        \
                            each(pass.hooked)

static int traverse(Lane *self, visitproc visit, void *arg)
{
#define VISIT(field) Py_VISIT(self->field);
    REFERENCES(VISIT)
    for (int i = 0; i < CALLS; i++) {
        Py_VISIT(self->calls[i].name);
        Py_VISIT(self->calls[i].function);
        Py_VISIT(self->calls[i].args);
        Py_VISIT(self->calls[i].kwargs);
        Py_VISIT(self->calls[i].value);
    }
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static int clear(Lane *self)
{
#define CLEAR(field) Py_CLEAR(self->field);
    REFERENCES(CLEAR)
    forget_calls(self, 0);
    return 0;
}

static void dealloc(Lane *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"serve", (PyCFunction)serve, METH_VARARGS, NULL},
    {"begin", (PyCFunction)begin, METH_NOARGS, NULL},
    {"forget_batch", (PyCFunction)forget_batch, METH_NOARGS, NULL},
    {"reset", (PyCFunction)reset, METH_NOARGS, NULL},
    {"open", (PyCFunction)open_lane, METH_VARARGS, NULL},
    {"arm", (PyCFunction)arm, METH_NOARGS, NULL},
    {"again", (PyCFunction)again, METH_VARARGS, NULL},
    {"leave", (PyCFunction)leave, METH_NOARGS, NULL},
    {"pass_over", (PyCFunction)pass_over, METH_NOARGS, NULL},
    {"publish", (PyCFunction)publish, METH_VARARGS, NULL},
    {"patch", (PyCFunction)patch, METH_VARARGS, NULL},
    {NULL},
};

static PyMemberDef members[] = {
    {"iterator", T_OBJECT, offsetof(Lane, iterator), 0, NULL},
    {"loader", T_OBJECT, offsetof(Lane, loader), 0, NULL},
    {"batch", T_OBJECT, offsetof(Lane, batch), 0, NULL},
    {"target", T_OBJECT, offsetof(Lane, target), 0, NULL},
    {"trained_on", T_OBJECT, offsetof(Lane, trained_on), 0, NULL},
    {"step", T_LONGLONG, offsetof(Lane, step), 0, NULL},
    {"epoch", T_LONGLONG, offsetof(Lane, epoch), 0, NULL},
    {"backwards", T_LONGLONG, offsetof(Lane, backwards), 0, NULL},
    {"batches", T_LONGLONG, offsetof(Lane, batches), 0, NULL},
    {"rows", T_LONGLONG, offsetof(Lane, rows), 0, NULL},
    {"wait", T_DOUBLE, offsetof(Lane, wait), 0, NULL},
    {"ended", T_DOUBLE, offsetof(Lane, ended), 0, NULL},
    {"spent", T_DOUBLE, offsetof(Lane, spent), 0, NULL},
    {"timed", T_BOOL, offsetof(Lane, timed), 0, NULL},
    {"stage", T_INT, offsetof(Lane, stage), 0, NULL},
    {"form", T_INT, offsetof(Lane, form), 0, NULL},
    {"passes", T_INT, offsetof(Lane, passes), 0, NULL},
    {"turn", T_INT, offsetof(Lane, turn), 0, NULL},
    {"first", T_INT, offsetof(Lane, first), 0, NULL},
    {"accumulates", T_BOOL, offsetof(Lane, accumulates), 0, NULL},
    {"inside_backward", T_BOOL, offsetof(Lane, inside_backward), 0, NULL},
    {"fresh", T_BOOL, offsetof(Lane, fresh), 0, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_init, init},       {Py_tp_dealloc, dealloc}, {Py_tp_traverse, traverse}, {Py_tp_clear, clear},
    {Py_tp_methods, methods}, {Py_tp_members, members}, {0, NULL},
};

static PyType_Spec spec = {
    "nnwatch.probes._kernel.Lane", sizeof(Lane), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots,
};

/* lane_type(nested.rows, stages.Left, stages.Said) */
PyObject *lane_type(PyObject *module, PyObject *args)
{
    PyObject *rows, *Left, *Said;
    if (!PyArg_ParseTuple(args, "OOO", &rows, &Left, &Said))
        return NULL;
    make_crcs();
    take_names(rows, Left, Said);
    return patch_type() ? PyType_FromSpec(&spec) : NULL;
}
