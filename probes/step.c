/* An ordinary step, by the stages of lane.py. */

#include "lane.h"

#include <math.h>
#include <string.h>

double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Does a call of a module train it, with nothing about it that Layers would have to note? */
static int trains(PyObject *module)
{
    PyObject *training = PyObject_GetAttr(module, names.training);
    Py_XDECREF(training);
    PyObject *grad = training == Py_True ? PyObject_CallFunctionObjArgs(torch_.is_grad_enabled, NULL) : NULL;
    Py_XDECREF(grad);
    PyObject *cast = grad == Py_True ? PyObject_CallFunctionObjArgs(torch_.is_autocast_enabled, names.cpu, NULL) : NULL;
    Py_XDECREF(cast);
    PyErr_Clear();
    return cast == Py_False;
}

/* Of two calls the later one, unless it is of a part of the model, called by the model (Layers._outer). */
int enters(Lane *self, PyObject *module, PyObject *args, PyObject *kwargs, int outermost)
{
    int ours = self->stage == LOSS && self->looks && !self->routine && trains(module);
    self->noted |= ours ? 1 : 2;
    if (!ours)
        return 0;
    if (self->entered[0] && self->outermost && !outermost)
        return 1;
    put(&self->entered[0], module);
    put(&self->entered[1], args);
    put(&self->entered[2], kwargs);
    self->outermost = outermost;
    return 1;
}

static int take_loss(Lane *self, PyObject *name, PyObject *function, PyObject *args, PyObject *kwargs, PyObject *value)
{
    double number;
    if (self->stage != LOSS || !number_of(value, &number) || !isfinite(number) ||
        !is_true(&torch_.requires_grad, value))
        return 0;
    self->number = number;
    put(&self->name, name);
    put(&self->function, function);
    put(&self->args, args);
    put(&self->kwargs, kwargs);
    put(&self->value, value);
    self->stage = BACKWARD;
    return 1;
}

/* Does a batch come from the iterator that the last one came from, which has been trained on? */
int follows(const Lane *self, PyObject *iterator)
{
    return self->iterator && self->iterator != Py_None && PyWeakref_GetObject(self->iterator) == iterator && !self->fresh;
}

/* A batch is there, for which the script has waited so many seconds. */
void reads(Lane *self, PyObject *batch, double waited)
{
    put(&self->batch, batch);
    self->fresh = 1;
    self->wait += waited;
}

/* Is the step still in the lane, after the routine was told? `done` is NULL with an error. */
static int in_lane(Lane *self, PyObject *done)
{
    Py_XDECREF(done);
    return done ? self->stage != CLOSED : -1;
}

static int begins_by_hand(Lane *self)
{
    PyObject *kwargs = keywords(self->kwargs), *done = NULL;
    if (kwargs)
        done = PyObject_CallMethodObjArgs(self->routine, names.begins, self->name, self->args, kwargs, NULL);
    Py_XDECREF(kwargs);
    return in_lane(self, done);
}

/* Is this what is trained on, made as in the steps before? */
static int expected(Lane *self, PyObject *root)
{
    double number;
    int due = self->form == OWN ? LOSS : BACKWARD;
    if (self->stage == BACKWARD && root == self->value) {
        self->root = self->number;
        return number_of(root, &number) && number == self->number; /* perhaps it was changed in place */
    }
    if (self->stage != due || self->form == CALL || self->routine || !number_of(root, &number) || !isfinite(number) ||
        !is_true(&torch_.requires_grad, root) || (due == BACKWARD && !leads(root, self->value)))
        return 0;
    self->root = number;
    if (self->form != MORE)
        self->number = number;
    put(&self->top, root);
    return 1;
}

static int take_backward(Lane *self, PyObject *tensors)
{
    PyObject *target = NULL;
    int still = 1;
    if (!expected(self, tensors))
        return 0;
    if (self->routine && !begins(&self->work, self->looks, self->name, self->args, self->kwargs))
        still = begins_by_hand(self);
    if (still <= 0)
        return still;
    if (self->args && PyTuple_Size(self->args) > 1)
        target = PyTuple_GetItem(self->args, 1);
    else if (self->kwargs)
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
        return -1;
    if (!self->looks)
        forget_call(self);
    self->stage = INSIDE;
    return 1;
}

static int take_steps(Lane *self, PyObject *optimizer)
{
    int still = 1;
    if (self->stage != STEP || PyWeakref_GetObject(self->optimizer) != optimizer)
        return 0;
    if (self->routine && !before(&self->work))
        still = in_lane(self, PyObject_CallMethodObjArgs(self->routine, names.before, NULL));
    if (still <= 0)
        return still;
    self->stage = STEPPING;
    if (self->looks && !self->routine && self->small && suspicious(PyWeakref_GetObject(self->small))) {
        PyObject *done = PyObject_CallFunctionObjArgs(self->canary, NULL);
        if (!done)
            return -1;
        Py_DECREF(done);
    }
    return 1;
}

/* Of a step that was sampled: its second record, after its first one's head. */
static int write_sample(Lane *self, PyObject *optimizer, const unsigned char *head, double when)
{
    PyObject *routine = self->routine, *done = NULL;
    self->routine = NULL;
    if (!written(&self->work, optimizer, self->groups, head, &self->pen, self->samples))
        done = PyObject_CallMethod(routine, "write", "Ld", self->step, when);
    forget_work(&self->work);
    Py_XDECREF(done);
    Py_DECREF(routine);
    return PyErr_Occurred() ? -1 : 1;
}

/* `began`: by the clock, NaN in a step whose hooks are not measured. What follows from a step is no part of it. */
static int take_stepped(Lane *self, PyObject *optimizer, double began)
{
    unsigned char record[HEAD + RECORD_HEAD + 4 * FIELDS + 4];
    float values[FIELDS], *at = values + 2;
    int loaded = self->loader && self->loader != Py_None, still = 1;
    if (self->stage != STEPPING || self->groups + (loaded ? 6 : 4) != self->fields ||
        !rates(optimizer, at, self->groups))
        return 0;
    if (self->routine && !after(&self->work))
        still = in_lane(self, PyObject_CallMethodObjArgs(self->routine, names.after, NULL));
    if (still <= 0)
        return still;
    double ended = now(CLOCK_MONOTONIC), when = now(CLOCK_REALTIME), seconds = ended - self->ended;
    at += self->groups;
    values[0] = (float)self->number;
    values[1] = (float)self->root;
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
        if (self->noted != 1)
            PyObject_SetAttr(self->looks, names.call, Py_None);
        self->noted = 0;
        forget_call(self);
    }
    uint32_t size = (uint32_t)((char *)at - (char *)values);
    memcpy(record + HEAD, &self->segment, 8);
    memcpy(record + HEAD + 8, &self->step, 8);
    memcpy(record + HEAD + 16, &when, 8);
    memcpy(record + HEAD + RECORD_HEAD, values, size);
    if (pthread_equal(pthread_self(), self->pen.thread))
        write_record(&self->pen, self->schema, record, RECORD_HEAD + size);
    if (self->routine && write_sample(self, optimizer, record + HEAD, when) < 0)
        return -1;
    if (!isnan(began))
        self->spent += now(CLOCK_MONOTONIC) - began;
    PyObject *done = NULL;
    if (self->step >= self->until && !(done = PyObject_CallFunction(self->due, "L", self->step)))
        return -1;
    Py_XDECREF(done);
    if (self->coming && self->step + 1 == self->at) {
        if (!(done = arm(self, NULL)))
            return -1;
        Py_DECREF(done);
    }
    return 1;
}

/* The same by the clock, in a step whose hooks are measured. */
#define BY_THE_CLOCK(work)                                                                                           \
    if (!self->timed)                                                                                                \
        return work;                                                                                                 \
    double began = now(CLOCK_MONOTONIC);                                                                             \
    int found = work;                                                                                                \
    self->spent += now(CLOCK_MONOTONIC) - began;                                                                     \
    return found;

int loss(Lane *self, PyObject *name, PyObject *function, PyObject *args, PyObject *kwargs, PyObject *value)
{
    BY_THE_CLOCK(take_loss(self, name, function, args, kwargs, value))
}

int backward(Lane *self, PyObject *tensors)
{
    BY_THE_CLOCK(take_backward(self, tensors))
}

int steps(Lane *self, PyObject *optimizer)
{
    BY_THE_CLOCK(take_steps(self, optimizer))
}

int stepped(Lane *self, PyObject *optimizer)
{
    return take_stepped(self, optimizer, self->timed ? now(CLOCK_MONOTONIC) : NAN);
}
