/* An ordinary step until its end, by the stages of lane.py. */

#include "lane.h"

#include <math.h>

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

/* Is the step still in the lane, after the routine was told? `done` is NULL with an error. */
int in_lane(Lane *self, PyObject *done)
{
    Py_XDECREF(done);
    return done ? self->stage != CLOSED : -1;
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
