/* Lane of lane.py, method for method; lane.py says what each does and why, and the tests that both write the same
   bytes. What is here stays off the caches: no Python frame, and the record goes straight into the ring. */

#include "lane.h"

#include <math.h>
#include <stddef.h>
#include <structmember.h>

void forget_step(Lane *self)
{
    self->passes = self->done = self->summed = self->taken = 0;
    self->loss = self->root = 0;
    forget_calls(self, 0);
    put(&self->top, NULL);
    for (int i = 0; i < 3; i++)
        put(&self->entered[i], NULL);
}

PyObject *keywords(PyObject *given)
{
    Py_XINCREF(given);
    return given ? given : PyDict_New();
}

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

/* stages.Left; NULL with an error set */
static PyObject *left_with(const Lane *self, int stage)
{
    PyObject *pending = PyTuple_New(self->called), *taken = PyTuple_New(self->taken), *trained = NULL, *found = NULL;
    PyObject *node = self->top ? node_of(self->top) : none();
    int fine = pending && taken && node;
    for (int i = 0; fine && i < self->called; i++) {
        PyObject *said = told(&self->calls[i]);
        fine = said && !PyTuple_SetItem(pending, i, said);
    }
    for (int i = 0; fine && i < self->taken; i++) {
        PyObject *one = Py_BuildValue("id", self->sites[i], self->numbers[i]);
        fine = one && !PyTuple_SetItem(taken, i, one);
    }
    if (fine && (trained = !self->called && self->calls[0].value ? told(&self->calls[0]) : none()))
        found = PyObject_CallFunction(names.Left, "iOOOiddOOi", stage, pending, trained, node, self->passes, self->loss,
                                      self->root, self->summed ? Py_True : Py_False, taken, self->done);
    Py_XDECREF(pending);
    Py_XDECREF(taken);
    Py_XDECREF(trained);
    Py_XDECREF(node);
    return found;
}

int tell_entered(Lane *self)
{
    PyObject **entered = self->entered, *done;
    if (!entered[0])
        return 1;
    done = PyObject_CallMethodObjArgs(self->looks, names.entered, entered[0], entered[1], entered[2], NULL);
    Py_XDECREF(done);
    put(&entered[0], NULL);
    self->noted = 3;
    return done != NULL;
}

PyObject *leave(Lane *self, PyObject *unused)
{
    int stage = self->stage;
    PyObject *left = NULL, *done = NULL;
    self->stage = CLOSED;
    put(&self->coming, NULL);
    if (!tell_entered(self))
        return NULL;
    if (stage == CLOSED)
        Py_RETURN_NONE;
    put(&self->routine, NULL);
    forget_work(&self->work);
    left = left_with(self, stage);
    forget_step(self);
    if (left)
        done = PyObject_CallFunctionObjArgs(self->left, left, NULL);
    Py_XDECREF(left);
    return done;
}

PyObject *arm(Lane *self, PyObject *unused)
{
    if (!self->coming)
        Py_RETURN_NONE;
    put(&self->routine, self->coming);
    put(&self->coming, NULL);
    PyObject *armed = PyObject_CallMethodObjArgs(self->routine, names.arm, NULL), *looks, *work, *pass;
    int ready = armed && armed != Py_None;
    if (ready && PyArg_ParseTuple(armed, "OIOO", &looks, &self->samples, &work, &pass) &&
        take_work(&self->work, work) && take_pass(&self->pass, pass))
        put(&self->looks, looks);
    Py_XDECREF(armed);
    if (PyErr_Occurred())
        return NULL;
    return ready && self->stage != CLOSED ? none() : leave(self, NULL);
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
                    each(work.classes) each(work.name) each(pass.layers) each(pass.functions) each(pass.warnings)      \
                        each(pass.plain) each(pass.ours) each(pass.key) each(pass.inside) each(pass.hooked)

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
    put(&names.rows, rows);
    put(&names.Left, Left);
    put(&names.Said, Said);
    const char *reductions[] = {"reduction", "size_average", "reduce"};
    for (int i = 0; i < 3; i++)
        names.reductions[i] = PyUnicode_InternFromString(reductions[i]);
    names.f_back = PyUnicode_InternFromString("f_back");
    names.f_lasti = PyUnicode_InternFromString("f_lasti");
    names.next_functions = PyUnicode_InternFromString("next_functions");
    names.param_groups = PyUnicode_InternFromString("param_groups");
    names.lr = PyUnicode_InternFromString("lr");
    names.target = PyUnicode_InternFromString("target");
    names.tensors = PyUnicode_InternFromString("tensors");
    names.entered = PyUnicode_InternFromString("entered");
    names.call = PyUnicode_InternFromString("call");
    names.arm = PyUnicode_InternFromString("arm");
    names.begins = PyUnicode_InternFromString("begins");
    names.before = PyUnicode_InternFromString("before");
    names.after = PyUnicode_InternFromString("after");
    names.momentum = PyUnicode_InternFromString("momentum");
    names.training = PyUnicode_InternFromString("training");
    names.cpu = PyUnicode_InternFromString("cpu");
    names.forward_hooks = PyUnicode_InternFromString("_forward_hooks");
    names.warn = PyUnicode_InternFromString("warn");
    names.begin = PyUnicode_InternFromString("begin");
    names.end = PyUnicode_InternFromString("end");
    names.betas = PyUnicode_InternFromString("betas");
    return patch_type() ? PyType_FromSpec(&spec) : NULL;
}
