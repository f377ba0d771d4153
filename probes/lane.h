/* Lane of lane.py: its fields, what a step does to them (step.c), and what stands in torch's places (patch.c). */
#pragma once
#include "routine.h"

#include <time.h>

enum { CLOSED, LOSS, BACKWARD, INSIDE, STEP, STEPPING, ENTRY, NEXT };
enum { CALL, MORE, TOTAL, OWN };

typedef struct {
    PyObject_HEAD
    /* public, as in lane.py */
    PyObject *iterator, *loader, *batch, *target, *trained_on;
    long long step, epoch, backwards, batches, rows;
    double wait, ended, spent;
    int stage, form;
    char inside_backward, fresh, timed;
    /* of the step: the loss call's name and function, arguments and value; NULL instead of no keywords */
    PyObject *name, *function, *args, *kwargs, *value;
    PyObject *top; /* what is trained on, where that is made of more than the value of a call */
    double number, root;
    /* the call of the model, where it was not noted by Layers itself: module, arguments; is it an outermost one? */
    PyObject *entered[3];
    int outermost, noted; /* noted: 1 here, 2 by Layers, 3 both ways */
    /* of the training */
    PyObject *left, *due, *canary, *small, *looks, *optimizer, *routine, *coming;
    Py_ssize_t groups, fields;
    long long until, at, segment;
    uint32_t schema, samples; /* ids of the schemas, of a step's and a sample's record */
    Work work;
    Pen pen;
} Lane;

#define FIELDS 60 /* float32 numbers in a record, at most; a step with more goes the long way */

/* lane.c */
PyObject *leave(Lane *self, PyObject *unused);
PyObject *arm(Lane *self, PyObject *unused);
void forget_call(Lane *self);
PyObject *keywords(PyObject *given); /* a new reference */

/* step.c: 1; 0: it is not what was expected; -1 with an error set */
int loss(Lane *self, PyObject *name, PyObject *function, PyObject *args, PyObject *kwargs, PyObject *value);
int backward(Lane *self, PyObject *tensors);
int steps(Lane *self, PyObject *optimizer);
int stepped(Lane *self, PyObject *optimizer);
int enters(Lane *self, PyObject *module, PyObject *args, PyObject *kwargs, int outermost);
int follows(const Lane *self, PyObject *iterator);
void reads(Lane *self, PyObject *batch, double waited);
double now(clockid_t clock); /* seconds */

/* patch.c */
PyObject *patch(Lane *self, PyObject *args);
PyObject *patch_type(void);
