/* The end of a step in the lane: its records go into the ring, and the next one begins. */

#include "lane.h"

#include <math.h>
#include <string.h>

double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
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

int stepped(Lane *self, PyObject *optimizer)
{
    return take_stepped(self, optimizer, self->timed ? now(CLOCK_MONOTONIC) : NAN);
}
