/* Lane of lane.py: its fields (lane.c), what a step does to them (entry.c, step.c, publish.c), how it leaves (leave.c). */
#pragma once
#include "pass.h"
#include "routine.h"

#include <time.h>

enum { CLOSED, LOSS, BACKWARD, INSIDE, STEP, STEPPING, ENTRY, NEXT, EXIT };
enum { CALL, MORE, TOTAL, OWN };

enum { CALLS = 5, TAKEN = 64, PASSES = 63, SITES = 16 };

/* A loss call: name and function, arguments and value; NULL instead of no keywords. */
typedef struct {
    PyObject *name, *function, *args, *kwargs, *value;
    double number;
    int site;
} Said;

typedef struct {
    PyObject_HEAD
    /* public, as in lane.py */
    PyObject *iterator, *loader, *batch, *target, *trained_on;
    long long step, epoch, backwards, batches, rows;
    double wait, ended, spent;
    int stage, form, passes, turn, first;
    char inside_backward, fresh, timed, accumulates;
    /* of the step: the calls before the next backward pass; or, after the last one, the first that this was for, and
       where it began, if they are kept */
    Said calls[CALLS];
    PyObject *top;
    int called, done, summed, taken, sites[TAKEN];
    double loss, root, numbers[TAKEN];
    /* the call of the model, where it was not noted by Layers itself: module, arguments; is it an outermost one? */
    PyObject *entered[3];
    int outermost, noted; /* noted: 1 here, 2 by Layers, 3 both ways */
    /* of the training */
    PyObject *left, *due, *canary, *small, *looks, *optimizers, *routine, *coming;
    PyObject *places; /* (name, codes, instruction, site) of loss calls, where their lines are told apart */
    Py_ssize_t groups, fields, terms; /* terms: numbers in a record of the loss calls' values */
    long long until, at, segment;
    int together, many;
    uint32_t schema, of_terms, samples; /* ids of the schemas: of a step, its loss calls, a sample */
    Work work;
    Pass pass;
    Pen pen;
} Lane;

#define FIELDS 60 /* float32 numbers in a record, at most; a step with more goes the long way */

/* leave.c */
PyObject *leave(Lane *self, PyObject *unused);
PyObject *arm(Lane *self, PyObject *unused);
void forget_step(Lane *self);
int tell_entered(Lane *self); /* Layers, whose call was noted here; 0 with an error set */
PyObject *keywords(PyObject *given); /* a new reference */

/* calls.c */
void forget_calls(Lane *self, int from);
void forget_call(Said *said);
int site_of(const Lane *self, PyObject *name); /* below 0 where it is not known */
int takes_mean(const Said *said);
PyObject *told(const Said *said); /* stages.Said, a new reference; NULL with an error set */

/* of step.c, publish.c and entry.c: 1; 0: it is not what was expected; -1 with an error set */
int loss(Lane *self, PyObject *name, PyObject *function, PyObject *args, PyObject *kwargs, PyObject *value);
int backward(Lane *self, PyObject *tensors);
int steps(Lane *self, PyObject *optimizer);
int stepped(Lane *self, PyObject *optimizer);
int enters(Lane *self, PyObject *module, PyObject *args, PyObject *kwargs, int outermost);
int exits(Lane *self, PyObject *module);
int follows(const Lane *self, PyObject *iterator);
int in_lane(Lane *self, PyObject *done);

void reads(Lane *self, PyObject *batch, double waited);
PyObject *first_argument(const Lane *self);
double now(clockid_t clock); /* seconds */

/* patch.c */
PyObject *patch(Lane *self, PyObject *args);
PyObject *patch_type(void);
