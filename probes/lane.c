/* Lane of lane.py, method for method; lane.py says what each does and why, and the tests that both write the same
   bytes. What is here stays off the caches: no Python frame, and the record goes straight into the ring. */

#include "routine.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <structmember.h>
#include <time.h>

enum { CLOSED, LOSS, BACKWARD, INSIDE, STEP, STEPPING };

#define FIELDS 60        /* float32 numbers in a record, at most; a step with more goes the long way */

typedef struct {
    PyObject_HEAD
    /* public, as in lane.py */
    PyObject *iterator, *loader, *batch, *target, *trained_on;
    long long step, epoch, backwards, batches, rows;
    double wait, ended, spent;
    int stage;
    char inside_backward, fresh, timed;
    /* of the step */
    PyObject *name, *function, *args, *kwargs, *value, *node;
    double number;
    /* of the training */
    PyObject *left, *due, *canary, *small, *looks, *optimizer, *routine, *coming;
    Py_ssize_t groups, fields;
    long long until, at, segment;
    uint32_t schema, samples; /* ids of the schemas, of a step's and a sample's record */
    Work work;
    Pen pen;
} Lane;

static void forget_call(Lane *self)
{
    put(&self->args, NULL);
    put(&self->kwargs, NULL);
    put(&self->value, NULL);
    put(&self->node, NULL);
}

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* methods */

static PyObject *begin(Lane *self, PyObject *unused)
{
    self->stage = CLOSED;
    self->step = self->epoch = self->backwards = self->batches = self->rows = 0;
    self->wait = 0;
    self->ended = NAN;
    self->spent = 0;
    self->timed = 0;
    self->number = NAN;
    put(&self->target, NULL);
    put(&self->trained_on, NULL);
    put(&self->looks, NULL);
    put(&self->routine, NULL);
    forget_work(&self->work);
    put(&self->coming, NULL);
    put(&self->optimizer, NULL);
    forget_call(self);
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

/* open(place of the ring, id of the schema, its numbers, learning rates among them, optimizer, small, and as of again) */
static PyObject *open_lane(Lane *self, PyObject *args)
{
    PyObject *optimizer, *small, *looks, *coming;
    unsigned long long map, ring, length, thread;
    unsigned int schema;
    if (!PyArg_ParseTuple(args, "(KKKKL)InnOOLOOL", &map, &ring, &length, &thread, &self->segment, &schema,
                          &self->fields, &self->groups, &optimizer, &small, &self->until, &looks, &coming, &self->at))
        return NULL;
    self->pen = (Pen){(unsigned char *)(uintptr_t)map, ring, length, (pthread_t)thread};
    self->schema = schema;
    put(&self->optimizer, optimizer);
    put(&self->small, small == Py_None ? NULL : small);
    put(&self->looks, looks == Py_None ? NULL : looks);
    put(&self->coming, coming == Py_None ? NULL : coming);
    self->stage = self->fields <= FIELDS ? LOSS : CLOSED;
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

static PyObject *leave(Lane *self, PyObject *unused)
{
    int stage = self->stage;
    PyObject *node = NULL, *call = NULL, *left = NULL, *done = NULL;
    self->stage = CLOSED;
    put(&self->coming, NULL);
    if (stage <= LOSS && !self->routine)
        Py_RETURN_NONE;
    put(&self->routine, NULL);
    forget_work(&self->work);
    if (self->args) {
        node = self->node ? (Py_INCREF(self->node), self->node) : node_of(self->value);
        if (node && node != Py_None)
            call = Py_BuildValue("OOOO", self->name, self->function, self->args, self->kwargs);
    }
    forget_call(self);
    left = PyObject_CallFunction(names.Left, "iOOd", stage, call ? call : Py_None, node ? node : Py_None, self->number);
    if (left)
        done = PyObject_CallFunctionObjArgs(self->left, left, NULL);
    Py_XDECREF(node);
    Py_XDECREF(call);
    Py_XDECREF(left);
    return done;
}

static PyObject *arm(Lane *self, PyObject *unused)
{
    if (!self->coming)
        Py_RETURN_NONE;
    put(&self->routine, self->coming);
    put(&self->coming, NULL);
    PyObject *armed = PyObject_CallMethodObjArgs(self->routine, names.arm, NULL), *looks, *work;
    int ready = armed && armed != Py_None;
    if (ready && PyArg_ParseTuple(armed, "OIO", &looks, &self->samples, &work) && take_work(&self->work, work))
        put(&self->looks, looks);
    Py_XDECREF(armed);
    if (PyErr_Occurred())
        return NULL;
    return ready && self->stage != CLOSED ? none() : leave(self, NULL);
}

static PyObject *loss_(Lane *self, PyObject *const *args, Py_ssize_t count)
{
    if (self->stage != LOSS || count != 5)
        Py_RETURN_FALSE;
    PyObject *value = args[4], *number;
    if ((PyObject *)Py_TYPE(value) != torch_.tensor || !is_true(value, names.requires_grad) ||
        !is_true(value, names.is_cpu))
        Py_RETURN_FALSE;
    if (!(number = PyObject_CallMethodObjArgs(value, names.item, NULL))) {
        PyErr_Clear(); /* not one number */
        Py_RETURN_FALSE;
    }
    self->number = PyFloat_AsDouble(number);
    Py_DECREF(number);
    if (PyErr_Occurred())
        return NULL;
    if (!isfinite(self->number))
        Py_RETURN_FALSE;
    put(&self->name, args[0]);
    put(&self->function, args[1]);
    put(&self->args, args[2]);
    put(&self->kwargs, args[3]);
    put(&self->value, value);
    self->stage = BACKWARD;
    Py_RETURN_TRUE;
}

/* Is the step still in the lane, after the routine was told? `done` is NULL with an error. */
static int in_lane(Lane *self, PyObject *done)
{
    Py_XDECREF(done);
    return done && self->stage != CLOSED;
}

static PyObject *backward_(Lane *self, PyObject *tensors)
{
    PyObject *version, *target;
    if (self->stage != BACKWARD || tensors != self->value || !(version = PyObject_GetAttr(tensors, names.version)))
        return PyErr_Occurred() ? NULL : PyBool_FromLong(0);
    long changed = PyLong_AsLong(version);
    Py_DECREF(version);
    if (changed)
        Py_RETURN_FALSE;
    if (self->routine && !begins(&self->work, self->looks, self->name, self->args, self->kwargs) &&
        !in_lane(self, PyObject_CallMethodObjArgs(self->routine, names.begins, self->name, self->args, self->kwargs,
                                                  NULL)))
        return PyErr_Occurred() ? NULL : PyBool_FromLong(0);
    if (PyTuple_Size(self->args) > 1)
        target = PyTuple_GetItem(self->args, 1);
    else
        target = PyDict_GetItem(self->kwargs, names.target);
    put(&self->target, target);
    self->backwards++;
    if (self->fresh) {
        self->fresh = 0;
        self->batches++;
        put(&self->trained_on, self->loader);
        self->rows = rows_of(self->batch);
    } else if (!self->loader || self->loader == Py_None)
        self->rows = rows_of(target);
    if (self->rows < 0)
        return NULL;
    if (!self->looks)
        forget_call(self);
    else {
        PyObject *node = PyObject_GetAttr(tensors, names.grad_fn);
        put(&self->node, node);
        Py_XDECREF(node);
        put(&self->value, NULL);
    }
    self->stage = INSIDE;
    Py_RETURN_TRUE;
}

static PyObject *steps_(Lane *self, PyObject *optimizer)
{
    if (self->stage != STEP || PyWeakref_GetObject(self->optimizer) != optimizer)
        Py_RETURN_FALSE;
    if (self->routine && !before(&self->work) &&
        !in_lane(self, PyObject_CallMethodObjArgs(self->routine, names.before, NULL)))
        return PyErr_Occurred() ? NULL : PyBool_FromLong(0);
    self->stage = STEPPING;
    if (self->looks && !self->routine && self->small && suspicious(PyWeakref_GetObject(self->small))) {
        PyObject *done = PyObject_CallFunctionObjArgs(self->canary, NULL);
        if (!done)
            return NULL;
        Py_DECREF(done);
    }
    Py_RETURN_TRUE;
}

static PyObject *stepped_(Lane *self, PyObject *optimizer)
{
    unsigned char record[HEAD + RECORD_HEAD + 4 * FIELDS + 4];
    float values[FIELDS], *at = values + 2;
    int loaded = self->loader && self->loader != Py_None;
    if (self->stage != STEPPING || self->groups + (loaded ? 6 : 4) != self->fields ||
        !rates(optimizer, at, self->groups))
        Py_RETURN_FALSE;
    if (self->routine && !after(&self->work) &&
        !in_lane(self, PyObject_CallMethodObjArgs(self->routine, names.after, NULL)))
        return PyErr_Occurred() ? NULL : PyBool_FromLong(0);
    double ended = now(CLOCK_MONOTONIC), when = now(CLOCK_REALTIME), seconds = ended - self->ended;
    at += self->groups;
    values[0] = values[1] = (float)self->number;
    *at++ = self->rows ? (float)self->rows : NAN;
    *at++ = (float)seconds;
    if (loaded) {
        *at++ = (float)self->epoch;
        *at++ = (float)self->wait;
        self->wait = 0;
    }
    self->step++;
    self->ended = ended;
    self->stage = LOSS;
    self->rows = 0;
    if (self->looks) {
        PyObject_SetAttr(self->looks, names.call, Py_None);
        forget_call(self);
    }
    uint32_t size = (uint32_t)((char *)at - (char *)values);
    memcpy(record + HEAD, &self->segment, 8);
    memcpy(record + HEAD + 8, &self->step, 8);
    memcpy(record + HEAD + 16, &when, 8);
    memcpy(record + HEAD + RECORD_HEAD, values, size);
    if (pthread_equal(pthread_self(), self->pen.thread))
        write_record(&self->pen, self->schema, record, RECORD_HEAD + size);
    if (self->routine) {
        PyObject *routine = self->routine, *done = NULL;
        self->routine = NULL;
        if (!written(&self->work, optimizer, self->groups, record + HEAD, &self->pen, self->samples))
            done = PyObject_CallMethod(routine, "write", "Ld", self->step, when);
        forget_work(&self->work);
        Py_XDECREF(done);
        Py_DECREF(routine);
        if (PyErr_Occurred())
            return NULL;
    }
    PyObject *done = NULL;
    if (self->step >= self->until && !(done = PyObject_CallFunction(self->due, "L", self->step)))
        return NULL;
    Py_XDECREF(done);
    if (self->coming && self->step + 1 == self->at) {
        if (!(done = arm(self, NULL)))
            return NULL;
        Py_DECREF(done);
    }
    Py_RETURN_TRUE;
}

/* The same by the clock, in a step whose hooks are measured. */
#define BY_THE_CLOCK(name, declared, given)                                                                          \
    static PyObject *name(Lane *self, declared)                                                                      \
    {                                                                                                                \
        if (!self->timed)                                                                                            \
            return name##_(self, given);                                                                             \
        double began = now(CLOCK_MONOTONIC);                                                                         \
        PyObject *found = name##_(self, given);                                                                      \
        self->spent += now(CLOCK_MONOTONIC) - began;                                                                 \
        return found;                                                                                                \
    }
BY_THE_CLOCK(backward, PyObject *object, object)
BY_THE_CLOCK(steps, PyObject *object, object)
BY_THE_CLOCK(stepped, PyObject *object, object)

static PyObject *loss(Lane *self, PyObject *const *args, Py_ssize_t count)
{
    double began = self->timed ? now(CLOCK_MONOTONIC) : 0;
    PyObject *found = loss_(self, args, count);
    if (self->timed)
        self->spent += now(CLOCK_MONOTONIC) - began;
    return found;
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
    each(iterator) each(loader) each(batch) each(target) each(trained_on) each(name) each(function) each(args)       \
        each(kwargs) each(value) each(node) each(left) each(due) each(canary) each(small) each(looks) each(optimizer)            \
            each(routine) each(coming) each(work.record) each(work.gradients) each(work.snapshot) each(work.compare)          \
            each(work.parameters) each(work.moments) each(work.classes) each(work.name)

static int traverse(Lane *self, visitproc visit, void *arg)
{
#define VISIT(field) Py_VISIT(self->field);
    REFERENCES(VISIT)
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static int clear(Lane *self)
{
#define CLEAR(field) Py_CLEAR(self->field);
    REFERENCES(CLEAR)
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
    {"loss", (PyCFunction)(void (*)(void))loss, METH_FASTCALL, NULL},
    {"backward", (PyCFunction)backward, METH_O, NULL},
    {"steps", (PyCFunction)steps, METH_O, NULL},
    {"stepped", (PyCFunction)stepped, METH_O, NULL},
    {"publish", (PyCFunction)publish, METH_VARARGS, NULL},
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

/* lane_type(inputs.rows, lane.Left) */
PyObject *lane_type(PyObject *module, PyObject *args)
{
    PyObject *rows, *Left;
    if (!PyArg_ParseTuple(args, "OO", &rows, &Left))
        return NULL;
    make_crcs();
    put(&names.rows, rows);
    put(&names.Left, Left);
    names.item = PyUnicode_InternFromString("item");
    names.grad_fn = PyUnicode_InternFromString("grad_fn");
    names.requires_grad = PyUnicode_InternFromString("requires_grad");
    names.version = PyUnicode_InternFromString("_version");
    names.next_functions = PyUnicode_InternFromString("next_functions");
    names.param_groups = PyUnicode_InternFromString("param_groups");
    names.lr = PyUnicode_InternFromString("lr");
    names.target = PyUnicode_InternFromString("target");
    names.call = PyUnicode_InternFromString("call");
    names.arm = PyUnicode_InternFromString("arm");
    names.begins = PyUnicode_InternFromString("begins");
    names.before = PyUnicode_InternFromString("before");
    names.after = PyUnicode_InternFromString("after");
    names.momentum = PyUnicode_InternFromString("momentum");
    names.betas = PyUnicode_InternFromString("betas");
    names.is_cpu = torch_.is_cpu;
    return PyType_FromSpec(&spec);
}
