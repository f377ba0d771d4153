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
    if (self->pass.inside)
        return 1;
    int ours = self->stage == LOSS && self->looks && (!self->routine || self->pass.layers) && trains(module);
    self->noted |= ours ? 1 : 2;
    if (!ours)
        return 0;
    if (!self->entered[0] || !self->outermost || outermost) {
        put(&self->entered[0], module);
        put(&self->entered[1], args);
        put(&self->entered[2], kwargs);
        self->outermost = outermost;
    }
    return self->routine ? begin_pass(&self->pass, module) : 1;
}

/* A pass is over, also where it raised an exception. */
int exits(Lane *self, PyObject *module)
{
    if (self->pass.inside == module)
        end_pass(&self->pass);
    else if (!self->pass.inside)
        return 0;
    return 1;
}

/* Or a loss call before it. */
static int pass_is_due(const Lane *self)
{
    if (self->stage == STEP)
        return self->many && !self->done && !self->routine && self->passes < PASSES;
    return self->stage == LOSS;
}

static int call_is_due(const Lane *self)
{
    if (self->stage == BACKWARD)
        return self->many && !self->routine && self->called < CALLS;
    return pass_is_due(self);
}

static int take_loss(Lane *self, PyObject *name, PyObject *function, PyObject *args, PyObject *kwargs, PyObject *value)
{
    double number;
    int site = -1;
    if (self->stage == BACKWARD && value == self->calls[self->called - 1].value)
        return 1; /* under a mode of torch functions (a default device) it is called once more inside itself */
    if (!call_is_due(self) || !number_of(value, &number) || !isfinite(number) ||
        !is_true(&torch_.requires_grad, value))
        return 0;
    if (self->places && (self->terms || self->routine) &&
        (self->taken + self->called >= TAKEN || (site = site_of(self, name)) < 0))
        return 0;
    Said *said = &self->calls[self->called++];
    put(&said->name, name);
    put(&said->function, function);
    put(&said->args, args);
    put(&said->kwargs, kwargs);
    put(&said->value, value);
    said->number = number;
    said->site = site;
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

/* What the model was called with first, a borrowed reference; NULL where that is not known here. */
static PyObject *first_argument(const Lane *self)
{
    PyObject *args = self->noted == 1 ? self->entered[1] : NULL;
    return args && PyTuple_Check(args) && PyTuple_Size(args) > 0 ? PyTuple_GetItem(args, 0) : NULL;
}

static int begins_by_hand(Lane *self, const Said *said)
{
    PyObject *kwargs = keywords(said->kwargs), *done = NULL;
    if (kwargs && tell_entered(self))
        done = PyObject_CallMethodObjArgs(self->routine, names.begins, said->name, said->args, kwargs, NULL);
    Py_XDECREF(kwargs);
    return in_lane(self, done);
}

/* Were the loss calls all for `root`? */
static int for_all(const Lane *self, PyObject *root)
{
    PyObject *nodes[CALLS] = {NULL};
    int found = 1;
    for (int i = 0; i < self->called; i++)
        found &= (nodes[i] = node_of(self->calls[i].value)) && nodes[i] != Py_None;
    found = found && leads(root, nodes, self->called);
    for (int i = 0; i < self->called; i++)
        Py_XDECREF(nodes[i]);
    PyErr_Clear();
    return found;
}

/* Is this what is trained on, made as in the steps before? The value of its loss, and its own. */
static int expected(Lane *self, PyObject *root, double *number, double *whole)
{
    const Said *said = self->calls;
    if (self->called == 1 && root == said->value) {
        *number = said->number;
        return number_of(root, whole) && *whole == *number; /* perhaps it was changed in place */
    }
    if (self->routine || !(self->called || pass_is_due(self)) || !number_of(root, whole) || !isfinite(*whole) ||
        !is_true(&torch_.requires_grad, root) || (self->called && !for_all(self, root)))
        return 0;
    *number = *whole;
    if (self->called != 1)
        return 1;
    if (takes_mean(said) || self->form == MORE)
        *number = said->number;
    else if (self->form != TOTAL || said->number == *whole)
        return 0;
    else
        self->summed = 1;
    return 1;
}

static int take_backward(Lane *self, PyObject *tensors)
{
    PyObject *target = NULL;
    const Said *said = self->calls;
    double number, whole;
    int still = 1, called = self->called;
    if (!expected(self, tensors, &number, &whole))
        return 0;
    if (self->routine && !begins(&self->work, first_argument(self), said->name, said->args, said->kwargs))
        still = begins_by_hand(self, said);
    if (still <= 0)
        return still;
    if (called && PyTuple_Size(said->args) > 1)
        target = PyTuple_GetItem(said->args, 1);
    else if (called && said->kwargs)
        target = PyDict_GetItem(said->kwargs, names.target);
    put(&self->target, target);
    self->backwards++;
    self->passes++;
    self->loss += number;
    self->root += whole;
    long long rows = 0;
    if (self->fresh) {
        self->fresh = 0;
        self->batches++;
        put(&self->trained_on, self->loader);
        rows = rows_of(self->batch);
    } else if (!self->loader || self->loader == Py_None)
        rows = rows_of(target);
    if (rows < 0)
        return -1;
    self->rows += rows;
    for (int i = 0; i < called && said[i].site >= 0; i++) {
        self->sites[self->taken] = said[i].site;
        self->numbers[self->taken++] = said[i].number;
    }
    forget_calls(self, self->looks && called ? 1 : 0); /* else the graph dies as early as it would */
    put(&self->top, self->looks ? tensors : NULL);
    self->stage = INSIDE;
    return 1;
}

/* Its place among the optimizers, below 0 where it has none. */
static int turn_of(const Lane *self, PyObject *optimizer)
{
    Py_ssize_t count = PyTuple_Size(self->optimizers);
    for (Py_ssize_t i = 0; i < count; i++)
        if (PyWeakref_GetObject(PyTuple_GetItem(self->optimizers, i)) == optimizer)
            return (int)i;
    return -1;
}

static int take_steps(Lane *self, PyObject *optimizer)
{
    int still = 1, turn = self->stage == STEP ? turn_of(self, optimizer) : -1;
    if (turn < 0 || (self->done && turn == self->first))
        return 0;
    if (self->routine && !before(&self->work))
        still = in_lane(self, PyObject_CallMethodObjArgs(self->routine, names.before, NULL));
    if (still <= 0)
        return still;
    self->turn = turn;
    self->stage = STEPPING;
    if (self->looks && !self->routine && self->small && suspicious(PyWeakref_GetObject(self->small))) {
        PyObject *done = PyObject_CallFunctionObjArgs(self->canary, NULL);
        if (!done)
            return -1;
        Py_DECREF(done);
    }
    return 1;
}

/* Of a step that was sampled: its second record. */
static int write_sample(Lane *self, PyObject *optimizer, double when)
{
    PyObject *routine = self->routine, *done = NULL;
    unsigned char head[RECORD_HEAD];
    memcpy(head, &self->segment, 8);
    memcpy(head + 8, &self->step, 8);
    memcpy(head + 16, &when, 8);
    self->routine = NULL;
    if (!written(&self->work, optimizer, self->groups, head, &self->pen, self->samples))
        done = PyObject_CallMethod(routine, "write", "Ld", self->step, when);
    forget_work(&self->work);
    Py_XDECREF(done);
    Py_DECREF(routine);
    return PyErr_Occurred() ? -1 : 1;
}

static void write_numbers(Lane *self, uint32_t schema, double when, const float *values, Py_ssize_t count)
{
    unsigned char record[HEAD + RECORD_HEAD + 4 * FIELDS + 4];
    uint32_t size = (uint32_t)(count * sizeof *values);
    memcpy(record + HEAD, &self->segment, 8);
    memcpy(record + HEAD + 8, &self->step, 8);
    memcpy(record + HEAD + 16, &when, 8);
    memcpy(record + HEAD + RECORD_HEAD, values, size);
    if (pthread_equal(pthread_self(), self->pen.thread))
        write_record(&self->pen, schema, record, RECORD_HEAD + size);
}

/* Of each site the mean over its calls. */
static void write_terms(Lane *self, double when)
{
    double sums[SITES] = {0};
    float values[SITES];
    int counts[SITES] = {0};
    for (int i = 0; i < self->taken; i++) {
        sums[self->sites[i]] += self->numbers[i];
        counts[self->sites[i]]++;
    }
    for (Py_ssize_t i = 0; i < self->terms; i++)
        values[i] = counts[i] ? (float)(sums[i] / counts[i]) : NAN;
    write_numbers(self, self->of_terms, when, values, self->terms);
}

/* The learning rates of all optimizers into `at`: 1, or 0 where they are not as the schema says. */
static int all_rates(const Lane *self, float *at)
{
    Py_ssize_t left = self->groups, count = PyTuple_Size(self->optimizers), found;
    for (Py_ssize_t i = 0; i < count; i++, left -= found, at += found) {
        PyObject *optimizer = PyWeakref_GetObject(PyTuple_GetItem(self->optimizers, i));
        if ((found = optimizer == Py_None ? -1 : rates(optimizer, at, left)) < 0)
            return 0;
    }
    return !left;
}

/* `began`: by the clock, NaN in a step whose hooks are not measured. What follows from a step is no part of it. */
static int take_stepped(Lane *self, PyObject *optimizer, double began)
{
    float values[FIELDS], *at = values + 2;
    int loaded = self->loader && self->loader != Py_None, still = 1;
    if (self->stage != STEPPING)
        return 0;
    if (self->done + 1 < self->together) { /* the others step next */
        if (!self->done++)
            self->first = self->turn;
        self->stage = STEP;
        return 1;
    }
    if (self->groups + (loaded ? 6 : 4) != self->fields || !all_rates(self, at))
        return 0;
    if (self->routine && !after(&self->work))
        still = in_lane(self, PyObject_CallMethodObjArgs(self->routine, names.after, NULL));
    if (still <= 0)
        return still;
    double ended = now(CLOCK_MONOTONIC), when = now(CLOCK_REALTIME), seconds = ended - self->ended;
    at += self->groups;
    values[0] = (float)(self->summed ? self->loss : self->loss / self->passes);
    values[1] = (float)(self->root / self->passes);
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
    }
    write_numbers(self, self->schema, when, values, at - values);
    if (self->taken && self->terms)
        write_terms(self, when);
    if (!self->done)
        self->first = self->turn;
    self->accumulates = self->passes > 1;
    forget_step(self);
    if (self->routine && write_sample(self, optimizer, when) < 0)
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
